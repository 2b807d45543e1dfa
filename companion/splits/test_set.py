"""The test set: open to an evaluation only, and it remembers who read it.

The readings are kept for the whole process by what the test set holds, so that loading the same
data again does not forget them.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Final, NoReturn

from companion import checks
from companion.splits.examples import Split

__all__ = ["TestReadAgainWarning", "TestSplit", "fresh_readings"]


class TestReadAgainWarning(UserWarning):
    """A test set was read a second time, so that its figure is no longer one of unseen data."""

    __test__ = False


_READINGS: Final[dict[str, list[str]]] = {}
"""Which evaluations read which test set in this process, by the test set's fingerprint."""


@contextlib.contextmanager
def fresh_readings() -> Iterator[None]:
    """Forget all readings for the body of a `with` block and put them back afterwards.

    For tests and for pages that show what a second reading does.
    """
    before = dict(_READINGS)
    _READINGS.clear()
    try:
        yield
    finally:
        _READINGS.clear()
        _READINGS.update(before)


class TestSplit:
    """The items that judge, closed to everything but an evaluation.

    Args:
        split: the items.
        content_key: tells test sets with equal ids apart, such as a hash of the files.
    """

    __test__ = False

    def __init__(self, split: Split, *, content_key: str = ""):
        self._split = split if split.name == "test" else replace(split, name="test")
        text = f"{content_key}\x1f{self._split.fingerprint()}"
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()

    name: str = "test"

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the items."""
        return self._split.ids

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the class ids."""
        return self._split.classes

    @property
    def groups(self) -> tuple[Hashable, ...] | None:
        """What each item must not be parted from, such as its speaker."""
        return self._split.groups

    @property
    def task(self) -> str:
        """The task, such as `"classification"`."""
        return self._split.task

    @property
    def readings(self) -> tuple[str, ...]:
        """The different evaluations that read these items in this process, in order."""
        return tuple(_READINGS.get(self.fingerprint, ()))

    @property
    def num_readings(self) -> int:
        """How many different evaluations read these items in this process."""
        return len(self.readings)

    @property
    def inputs(self) -> NoReturn:
        """Closed: raises CompanionError."""
        self._refuse("inputs")

    @property
    def labels(self) -> NoReturn:
        """Closed: raises CompanionError."""
        self._refuse("labels")

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._split)

    def __repr__(self) -> str:
        """Return size and number of readings."""
        return f"TestSplit({len(self)} items, {len(self.classes)} classes, read {self.readings})"

    def open(self, reading: str) -> Split:
        """Return the items to an evaluation, which is written down.

        Args:
            reading: what is evaluated; the same words again are the same reading.

        Warns:
            TestReadAgainWarning: another reading came before.
        """
        readings = _READINGS.setdefault(self.fingerprint, [])
        if reading not in readings:
            if readings:
                warnings.warn(
                    f"the test set was read before, by {readings[-1]!r}, and now by {reading!r}: "
                    "choose between models on val, and read test once, at the end",
                    TestReadAgainWarning,
                    stacklevel=3,
                )
            readings.append(reading)
        return self._split

    def _refuse(self, what: str) -> NoReturn:
        """Raise the error of one who wants to train or choose on the test set."""
        checks.fail(
            f"{what} of the test set",
            got="an attempt to read them outside an evaluation",
            expected="the test set in companion.evaluate(model, splits.test) only",
            do="train on splits.train and choose on splits.val",
        )
