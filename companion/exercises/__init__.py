"""Exercises that check an answer and name the mistake behind a wrong one.

A chapter's own checks are a module here, named after the chapter; `check` finds it by the
exercise's id.
"""

from companion.exercises.answers import (
    WrongKind,
    as_choice,
    as_fraction,
    as_mapping,
    as_model,
    as_number,
    as_numbers,
    as_tensor,
    describe,
)
from companion.exercises.framework import (
    EXERCISES,
    Exercise,
    ExerciseFailed,
    Feedback,
    Mistake,
    check,
    first_of,
    hint,
    register,
    right,
    wrong,
)

__all__ = [
    "EXERCISES",
    "Exercise",
    "ExerciseFailed",
    "Feedback",
    "Mistake",
    "WrongKind",
    "as_choice",
    "as_fraction",
    "as_mapping",
    "as_model",
    "as_number",
    "as_numbers",
    "as_tensor",
    "check",
    "describe",
    "first_of",
    "hint",
    "register",
    "right",
    "wrong",
]
