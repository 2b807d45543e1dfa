"""Checks nothing."""


def check(exercise_id, answer):
    """Check an answer.

    Args:
        exercise_id: label.
        answer: value * of _anything_.

    Raises:
        ValueError: never.

    Reference: kornblith2019better, eq. 3
    """
    return f"{exercise_id}: right"
