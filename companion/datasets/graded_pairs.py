"""Pairs of sentences with a grade of how alike their meanings are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion import checks

__all__ = ["GradedPairs"]


@dataclass(frozen=True, eq=False)
class GradedPairs:
    """Pairs of sentences, graded.

    Attributes:
        first: one sentence of each pair.
        second: the other one.
        scores: how alike their meanings are, (pairs,), float32 in [0, 1]; a scale of 0 to 5 is
            divided by 5.
        kinds: what sort of pair each is, such as `"paraphrase"`; `None` where nobody said.
        ids: one name a pair, all different.

    Raises:
        CompanionError: fields of different lengths, a sentence that is empty or no text, scores
            that are no numbers in [0, 1], or an id that is given twice.

    Example:
        >>> pairs = GradedPairs(["A dog runs."], ["A dog is running."], [0.9], None, ["dog"])
        >>> len(pairs), pairs.first
        (1, ('A dog runs.',))
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: Tensor
    kinds: tuple[str, ...] | None
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        """Bring the fields into their form and check them."""
        set_field = object.__setattr__
        for name in ("first", "second", "ids"):
            set_field(self, name, _texts(name, getattr(self, name)))
        if self.kinds is not None:
            set_field(self, "kinds", _texts("kinds", self.kinds))
        set_field(self, "scores", _scores(self.scores))
        _check_lengths(self)
        twice = [name for name, number in Counter(self.ids).items() if number > 1]
        if twice:
            checks.fail(
                "ids of graded pairs",
                got=f"{twice[0]!r} more than once",
                expected="a name of its own for each pair",
                do="leave the second copy out or name it differently",
            )

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.ids)

    def __repr__(self) -> str:
        """Return what is here in one line, without the sentences."""
        kinds = "no kinds" if self.kinds is None else f"{len(set(self.kinds))} kinds"
        return f"GradedPairs({len(self)} pairs, {kinds})"

    def subset(self, positions: Iterable[int] | Tensor) -> GradedPairs:
        """Return some of the pairs, in the order of the positions.

        Args:
            positions: which pairs, from 0, each at most once.

        Raises:
            CompanionError: there is no pair at a position, or one is given twice.
        """
        chosen = [int(position) for position in positions]
        outside = [position for position in chosen if not 0 <= position < len(self)]
        if outside:
            checks.fail(
                "positions",
                got=outside[0],
                expected=f"0..{len(self) - 1} for {len(self)} pairs",
                do="choose among the pairs that there are",
            )
        return GradedPairs(
            first=tuple(self.first[p] for p in chosen),
            second=tuple(self.second[p] for p in chosen),
            scores=self.scores[torch.tensor(chosen, dtype=torch.long)],
            kinds=None if self.kinds is None else tuple(self.kinds[p] for p in chosen),
            ids=tuple(self.ids[p] for p in chosen),
        )


def _texts(name: str, texts: Any) -> tuple[str, ...]:
    """Return texts as a tuple, after a look at each."""
    found = (None,) if isinstance(texts, str) else tuple(texts)
    wrong = [p for p, text in enumerate(found) if not isinstance(text, str) or not text.strip()]
    if wrong:
        checks.fail(
            f"{name} of graded pairs",
            got="one text" if isinstance(texts, str) else f"{found[wrong[0]]!r:.60}, at {wrong[0]}",
            expected="one text a pair, none of them empty",
            do="leave such pairs out",
        )
    return tuple(map(str, found))


def _scores(scores: Any) -> Tensor:
    """Return scores as float32 in [0, 1], (pairs,)."""
    try:
        found = torch.as_tensor(scores, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        found = torch.full((1, 1), float("nan"))
    if found.dim() != 1 or not bool(((found >= 0) & (found <= 1)).all()):
        odd = found[~((found >= 0) & (found <= 1))] if found.dim() == 1 else found[:0]
        checks.fail(
            "scores of graded pairs",
            got=f"{float(odd[0]):.4g}" if len(odd) else f"{scores!r:.60}",
            expected="one number in [0, 1] a pair",
            do="divide grades of 0 to 5 by 5, and leave pairs without a grade out",
        )
    return found


def _check_lengths(pairs: GradedPairs) -> None:
    """Refuse fields of different lengths."""
    fields = {name: getattr(pairs, name) for name in ("first", "second", "scores", "kinds", "ids")}
    lengths = {name: len(value) for name, value in fields.items() if value is not None}
    if len(set(lengths.values())) > 1:
        checks.fail(
            "graded pairs",
            got=", ".join(f"{number} {name}" for name, number in lengths.items()),
            expected="as many of each",
            do="give one of each a pair",
        )
