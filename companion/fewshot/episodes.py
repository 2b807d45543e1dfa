"""Episodes: small tasks of a few classes, drawn from a split by seed and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import torch
from torch import Tensor

from companion import checks, runtime
from companion.splits import Split

__all__ = ["Episode", "draw_episodes", "tensor_inputs"]


@dataclass(frozen=True, eq=False)
class Episode:
    """One n-way n-shot task: support to learn from, query to judge by.

    Attributes:
        support_inputs: the labelled items, (n_way * n_shot, ...), or a sequence of them.
        support_labels: class ids 0..n_way-1 of this episode, (n_way * n_shot,), int64.
        query_inputs: the items to classify, (n_way * n_query, ...), or a sequence of them.
        query_labels: class ids 0..n_way-1 of this episode, (n_way * n_query,), int64.
        classes: names of the class ids of this episode.
        support_positions: where the support stands in its split, (n_way * n_shot,), int64.
        query_positions: where the query stands in its split, (n_way * n_query,), int64.

    Raises:
        CompanionError: an item is both support and query.
    """

    support_inputs: Tensor | Sequence[Any]
    support_labels: Tensor
    query_inputs: Tensor | Sequence[Any]
    query_labels: Tensor
    classes: tuple[str, ...]
    support_positions: Tensor
    query_positions: Tensor

    def __post_init__(self) -> None:
        """Check that support and query are apart."""
        shared = set(self.support_positions.tolist()) & set(self.query_positions.tolist())
        if shared:
            checks.fail(
                "episode",
                got=f"item {min(shared)} in support and in query",
                expected="support and query without a common item",
                do="let `draw_episodes` draw it",
            )

    @property
    def n_way(self) -> int:
        """How many classes there are to choose from."""
        return len(self.classes)

    def with_inputs(self, inputs: Tensor) -> Episode:
        """Return the same episode on another form of the same items.

        So are features that were computed once, or inputs that a backbone prepared, used in every
        episode.

        Args:
            inputs: one row for each item of the split that the episode was drawn from,
                (items, ...).

        Raises:
            CompanionError: there are fewer rows than the episode's positions ask for.
        """
        checks.instance("inputs", inputs, Tensor)
        last = int(torch.cat([self.support_positions, self.query_positions]).max())
        if len(inputs) <= last:
            checks.fail(
                "inputs",
                got=f"{len(inputs)} rows",
                expected=f"a row for each item of the split, at least {last + 1}",
                do="compute them for the whole split that the episode was drawn from",
            )
        return replace(
            self,
            support_inputs=inputs[self.support_positions],
            query_inputs=inputs[self.query_positions],
        )


def tensor_inputs(episode: Episode) -> tuple[Tensor, Tensor]:
    """Return support and query inputs that a network can take in one batch.

    Raises:
        CompanionError: they are sequences of items, such as texts.
    """
    support, query = episode.support_inputs, episode.query_inputs
    if not (isinstance(support, Tensor) and isinstance(query, Tensor)):
        checks.fail(
            "inputs of the episode",
            got=f"a {type(support).__name__} and a {type(query).__name__}",
            expected="one tensor each",
            do="compute features of the whole split and pass them to `Episode.with_inputs`",
        )
    return support, query


def draw_episodes(
    split: Split,
    *,
    n_way: int,
    n_shot: int,
    n_query: int,
    num_episodes: int,
    seed: int,
    classes: Sequence[str] | None = None,
) -> Sequence[Episode]:
    """Return episodes that are drawn when they are asked for.

    Episode i is a function of the seed and of i alone: not of how many there are, nor of which
    were asked for before. With the same seed the classes of a smaller n_way, the support of a
    smaller n_shot and the query of a smaller n_query are parts of those of a larger one, so that
    a curve over shots is judged on the same query items (as long as a class has items enough:
    support grows from one end of its shuffled items, query from the other).

    Args:
        split: labelled items of a classification task, raw or as features.
        n_way: classes an episode.
        n_shot: support items a class.
        n_query: query items a class.
        num_episodes: how many.
        seed: which draw.
        classes: names of the classes to draw from, such as those that pretraining never saw;
            `None` takes all classes of the split.

    Returns:
        A sequence of `Episode`s. In each the items stand class by class, support and query share
        none, and label c is the c-th of its `classes`. Different episodes share classes and items.

    Raises:
        CompanionError: another task, a number that is not positive, an unknown or repeated class,
            fewer classes than n_way, or a class with fewer than n_shot + n_query items.

    Reference: vinyals2016matching, sec. 2.2; snell2017prototypical, alg. 1
    """
    checks.instance("split", split, Split)
    for what, number in (("n_way", n_way), ("n_shot", n_shot), ("n_query", n_query)):
        checks.positive_int(what, number)
    checks.positive_int("num_episodes", num_episodes)
    checks.non_negative_int("seed", seed)
    rows = _rows_by_class(split, classes)
    _check_enough_classes(split, rows, n_way)
    _check_enough_items(split, rows, n_shot, n_query)
    return _Episodes(split, rows, (n_way, n_shot, n_query), num_episodes, seed)


class _Episodes(Sequence[Episode]):
    """Episodes of one draw; each is made when it is asked for.

    Args:
        split: the items.
        rows: positions of the items of each class, (items of the class,), by its name.
        shape: n_way, n_shot and n_query.
        num_episodes: how many.
        seed: which draw.
    """

    def __init__(
        self,
        split: Split,
        rows: dict[str, Tensor],
        shape: tuple[int, int, int],
        num_episodes: int,
        seed: int,
    ):
        self._split = split
        self._rows = rows
        self._shape = shape
        self._num_episodes = num_episodes
        self._seed = seed

    def __len__(self) -> int:
        """Return the number of episodes."""
        return self._num_episodes

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Episode]: ...

    def __getitem__(self, index: int | slice) -> Episode | Sequence[Episode]:
        """Return episode `index`, or a list of episodes for a slice."""
        numbers = range(self._num_episodes)[index]
        if isinstance(numbers, range):
            return [self._draw(number) for number in numbers]
        return self._draw(numbers)

    def _draw(self, number: int) -> Episode:
        """Return one episode, a function of the seed and of its number."""
        n_way, n_shot, n_query = self._shape
        seed = runtime.derive_seed(self._seed, "episode", number)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self._rows), generator=generator)
        names = [tuple(self._rows)[c] for c in order[:n_way].tolist()]
        shuffled = [_shuffle(self._rows[name], generator) for name in names]
        support = torch.cat([row[:n_shot] for row in shuffled])
        query = torch.cat([row.flip(0)[:n_query] for row in shuffled])
        return Episode(
            support_inputs=self._split.subset(support).inputs,
            support_labels=torch.arange(n_way).repeat_interleave(n_shot),
            query_inputs=self._split.subset(query).inputs,
            query_labels=torch.arange(n_way).repeat_interleave(n_query),
            classes=tuple(names),
            support_positions=support,
            query_positions=query,
        )


def _shuffle(row: Tensor, generator: torch.Generator) -> Tensor:
    """Return the items of a class in random order."""
    return row[torch.randperm(len(row), generator=generator)]


def _rows_by_class(split: Split, classes: Sequence[str] | None) -> dict[str, Tensor]:
    """Return the positions of the items of each class, by its name, in the split's order.

    Raises:
        CompanionError: the items have no single class, or a name is unknown or given twice.
    """
    labels = split.labels
    if split.task != "classification" or not isinstance(labels, Tensor):
        checks.fail(
            "task of the split",
            got=repr(split.task),
            expected="'classification', where each item has one class",
            do="draw episodes from labelled items",
        )
    names = split.classes if classes is None else tuple(classes)
    for name in names:
        checks.one_of("classes", name, split.classes)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        checks.fail(
            "classes", got=f"{twice!r} twice", expected="each class once", do="leave one out"
        )
    wanted = set(names)
    return {
        name: torch.nonzero(labels == label).flatten()
        for label, name in enumerate(split.classes)
        if name in wanted
    }


def _check_enough_classes(split: Split, rows: dict[str, Tensor], n_way: int) -> None:
    """Refuse more classes an episode than there are."""
    if n_way > len(rows):
        checks.fail(
            "n_way",
            got=n_way,
            expected=f"at most {len(rows)}, the classes to draw from in split {split.name!r}",
            do="ask for fewer classes an episode, or draw from more classes",
        )


def _check_enough_items(split: Split, rows: dict[str, Tensor], n_shot: int, n_query: int) -> None:
    """Refuse classes that cannot fill their share of an episode."""
    needed = n_shot + n_query
    short = [name for name, row in rows.items() if len(row) < needed]
    if short:
        others = f" ({len(short)} such classes)" if len(short) > 1 else ""
        checks.fail(
            f"class {short[0]!r} of split {split.name!r}",
            got=f"{len(rows[short[0]])} items{others}",
            expected=f"at least {needed}: n_shot={n_shot} for support and n_query={n_query}",
            do="ask for fewer, or name the classes with enough items in `classes`",
        )
