"""Accuracy over episodes, and what its interval can say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from companion import checks
from companion.evaluation import Interval, t_interval
from companion.fewshot.border import as_class_ids
from companion.fewshot.episodes import Episode

__all__ = ["EpisodeScores", "episode_accuracies"]


@dataclass(frozen=True)
class EpisodeScores:
    """Accuracies of one method over episodes.

    Attributes:
        accuracies: of each episode's query, as fractions, in the order of the episodes.
        mean: their mean.
        interval: t interval of the mean; it speaks of further episodes from this very pool of
            items and classes (see `episode_accuracies`).
    """

    accuracies: tuple[float, ...]
    mean: float
    interval: Interval


def episode_accuracies(
    predict: Callable[[Episode], Tensor], episodes: Sequence[Episode], *, level: float = 0.95
) -> EpisodeScores:
    """Score a few-shot method on each episode.

    Episodes of one draw share their classes and their items. The interval counts them as
    independent, so it says how well this pool of classes has been sampled, and nothing about other
    classes or other items: more episodes make it as narrow as one likes. Compare two methods on
    the same episodes, by the differences of their `accuracies`.

    Args:
        predict: from an episode to class ids of its query, (query items,), or to logits,
            (query items, n_way). The episode it is given has -1 for every query label.
        episodes: at least two.
        level: of the interval, as a fraction.

    Raises:
        CompanionError: fewer than two episodes, predictions that do not fit a query, or a level
            outside (0, 1).

    Reference: student1908probable; lafargue2024oops, for what the interval leaves out
    """
    if len(episodes) < 2:
        checks.fail("episodes", got=len(episodes), expected="at least two", do="draw more episodes")
    accuracies = tuple(_accuracy(predict(_hidden(episode)), episode) for episode in episodes)
    method = f"t over {len(accuracies)} episodes of one pool"
    interval = replace(t_interval(accuracies, level=level), method=method)
    return EpisodeScores(accuracies, sum(accuracies) / len(accuracies), interval)


def _hidden(episode: Episode) -> Episode:
    """Return the episode without the answers."""
    return replace(episode, query_labels=torch.full_like(episode.query_labels, -1))


def _accuracy(predictions: Tensor, episode: Episode) -> float:
    """Return the fraction of the query that is right."""
    checks.instance("predictions", predictions, Tensor)
    if predictions.dim() == 2:
        predictions = predictions.argmax(dim=1)
    num_items = len(episode.query_labels)
    predictions = as_class_ids("predictions", predictions, num_items=num_items).cpu()
    return float((predictions == episode.query_labels.cpu()).double().mean())
