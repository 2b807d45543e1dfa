"""What kind of thing an answer is: readers of answers that say what they expected.

Each takes any object at all and returns it in one form, or raises `WrongKind`, which `check`
turns into "expected ..., got ...".
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from companion.evaluation import Scores
from companion.heads import Model
from companion.training import Result

__all__ = [
    "WrongKind",
    "as_choice",
    "as_fraction",
    "as_mapping",
    "as_model",
    "as_number",
    "as_numbers",
    "as_tensor",
    "describe",
]


class WrongKind(TypeError):
    """An answer that is not of the kind asked for.

    Args:
        expected: what was asked for, in words.
        answer: what came.
    """

    def __init__(self, expected: str, answer: object):
        super().__init__(f"expected {expected}, got {describe(answer)}")


def describe(answer: object) -> str:
    """Return what kind of thing an answer is, in a few words.

    Args:
        answer: anything.

    Example:
        >>> describe([1, 2]), describe(None), describe(torch.zeros(2, 3))
        ('a list of 2', 'nothing', 'a tensor of shape (2, 3)')
    """
    if answer is None or answer is Ellipsis:
        return "nothing"
    if isinstance(answer, Tensor):
        return f"a tensor of shape {tuple(answer.shape)}"
    if isinstance(answer, bool | int | float | str):
        return _short(repr(answer))
    if isinstance(answer, list | tuple | dict | set):
        return f"a {type(answer).__name__} of {len(answer)}"
    return f"an object of type {type(answer).__name__}"


def _short(text: str) -> str:
    """Return a text, cut where it is long."""
    return text if len(text) <= 60 else text[:57] + "..."


def as_number(answer: object, *, what: str = "a number") -> float:
    """Return a finite number; a tensor or array of one number counts.

    Args:
        answer: anything.
        what: what was asked for, for the message.

    Raises:
        WrongKind: it is no such number.
    """
    if isinstance(answer, Scores):
        raise WrongKind(f"{what}; take one metric, such as scores.accuracy", answer)
    size = getattr(answer, "size", None)
    is_array = hasattr(answer, "item") and not isinstance(answer, numbers.Real)
    if is_array and (answer.numel() if isinstance(answer, Tensor) else size) == 1:
        answer = cast("Any", answer).item()
    if isinstance(answer, bool) or not isinstance(answer, numbers.Real):
        raise WrongKind(what, answer)
    if not math.isfinite(float(answer)):
        raise WrongKind(f"{what} that is finite", answer)
    return float(answer)


def as_fraction(answer: object, *, what: str = "a fraction from 0 to 1") -> float:
    """Return a number in [0, 1].

    A percentage is not caught here but by `misconceptions.percent`, which says so.

    Args:
        answer: anything.
        what: what was asked for, for the message.

    Raises:
        WrongKind: it is no such number.
    """
    number = as_number(answer, what=what)
    if not 0 <= number <= 1:
        raise WrongKind(what, answer)
    return number


def as_numbers(answer: object, *, length: int | None = None, what: str = "") -> list[float]:
    """Return a row of finite numbers.

    Args:
        answer: anything; lists, tuples, arrays and tensors of one axis count.
        length: how many numbers there must be; `None` for any number of them.
        what: what was asked for, for the message.

    Raises:
        WrongKind: it is no such row.
    """
    what = what or f"a row of {'' if length is None else f'{length} '}numbers"
    if hasattr(answer, "tolist"):
        answer = cast("Any", answer).tolist()
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        raise WrongKind(what, answer)
    if length is not None and len(answer) != length:
        raise WrongKind(what, answer)
    return [as_number(value, what=what) for value in answer]


def as_choice(answer: object, choices: Collection[str]) -> str:
    """Return one of some words, whatever its case and outer spaces.

    Args:
        answer: anything.
        choices: the words, in lower case.

    Raises:
        WrongKind: it is none of them.
    """
    word = answer.strip().lower() if isinstance(answer, str) else None
    if word is None or word not in choices:
        raise WrongKind(f"one of {', '.join(map(repr, choices))}", answer)
    return word


def as_mapping(answer: object, keys: Collection[Any], *, what: str = "") -> dict[Any, Any]:
    """Return a dictionary that has exactly these keys.

    Args:
        answer: anything.
        keys: the keys.
        what: what was asked for, for the message.

    Raises:
        WrongKind: it is no such dictionary; missing and surplus keys are named.
    """
    what = what or f"a dictionary with the keys {', '.join(map(repr, keys))}"
    if not isinstance(answer, Mapping):
        raise WrongKind(what, answer)
    missing = [key for key in keys if key not in answer]
    surplus = [key for key in answer if key not in keys]
    if missing or surplus:
        raise WrongKind(f"{what} (missing {missing}, surplus {surplus})", answer)
    return dict(answer)


def as_tensor(answer: object, *, shape: Sequence[int | None], what: str = "") -> Tensor:
    """Return a tensor of a shape.

    Args:
        answer: anything; an array counts.
        shape: the length of each axis; `None` for any length.
        what: what was asked for, for the message.

    Raises:
        WrongKind: it is no such tensor.
    """
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    what = what or f"a tensor of shape ({sizes})"
    if not isinstance(answer, Tensor) and not hasattr(answer, "__array__"):
        raise WrongKind(what, answer)
    try:
        # torch refuses arrays that run backwards, and those of words or objects.
        whole = answer if isinstance(answer, Tensor) else np.array(answer, order="C")
        tensor = torch.as_tensor(whole)
    except TypeError:
        raise WrongKind(what, answer) from None
    fits = [size is None or size == own for size, own in zip(shape, tensor.shape, strict=False)]
    if len(tensor.shape) != len(shape) or not all(fits):
        raise WrongKind(what, tensor)
    return tensor


def as_model(answer: object) -> Model:
    """Return a model, also from the result of a training.

    Args:
        answer: anything.

    Raises:
        WrongKind: it is neither.
    """
    if isinstance(answer, Result):
        return answer.model
    if not isinstance(answer, Model):
        raise WrongKind("a model, or the result of `companion.fit`", answer)
    return answer
