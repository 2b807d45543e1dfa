"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from companion.backbones import load_backbone
from companion.datasets import LOADERS
from companion.exercises.answers import WrongKind, as_mapping, as_number, as_tensor
from companion.exercises.framework import Feedback, right, wrong
from companion.fewshot import Episode, compute_prototypes, prototype_logits

__all__ = [
    "NUM_EPISODES",
    "SHOTS",
    "check_episodes_for_half",
    "check_fair_curve",
    "check_printed_prototypes",
    "check_repaired_logits",
    "handwritten_features",
    "little_encoder",
    "little_episode",
]

NUM_EPISODES = 400
SHOTS = (1, 2)
CHANCE = 0.1
ENOUGH = 0.5


# --- 1: how many episodes for half the interval? ---


def check_episodes_for_half(answer: Any) -> Feedback:
    """Check how many episodes make an interval half as wide."""
    number = as_number(answer, what="a number of episodes")
    if abs(number - 4 * NUM_EPISODES) <= 0.02 * 4 * NUM_EPISODES:
        return right(
            "Four times as many: the width falls with the root of the number. It still speaks of "
            "the same pool of classes."
        )
    if number == 2 * NUM_EPISODES:
        return wrong(
            "Twice as many make it narrower by the root of two, not by two.",
            misconception="width taken to fall with the number",
        )
    if number in (NUM_EPISODES / 2, NUM_EPISODES / 4):
        return wrong("Fewer episodes make the interval wider.", misconception="the wrong way round")
    if number == 3 * NUM_EPISODES:
        return wrong(
            "That many more are needed; the question is how many in all.",
            misconception="the further ones counted only",
        )
    return wrong("How does the half-width depend on the number of episodes?")


# --- 2: two draws that differ in the shots alone ---


def check_fair_curve(answer: Any) -> Feedback:
    """Check that episodes with one and with two shots share classes, query and the first shot."""
    given = as_mapping(answer, SHOTS, what="a dictionary with the keys 1 and 2")
    one, two = (_as_episodes(given[shot]) for shot in SHOTS)
    shots = [len(e.support_labels) / e.n_way for episodes in (one, two) for e in episodes]
    if shots != [1.0] * len(one) + [2.0] * len(two):
        return wrong(
            "Under 1 belong episodes with one support item a class, under 2 such with two.",
            misconception="the shots were not changed",
        )
    if len(one) != len(two) or any(a.n_way != b.n_way for a, b in zip(one, two, strict=True)):
        return wrong(
            "The two draws differ in the number of episodes or of ways, too.",
            misconception="more than one thing changed",
        )
    if any(len(a.query_labels) != len(b.query_labels) for a, b in zip(one, two, strict=True)):
        return wrong(
            "The number of query items changed as well: was it meant to make up for the shots?",
            misconception="more than one thing changed",
        )
    return _same_tasks(one, two)


def _same_tasks(one: Sequence[Episode], two: Sequence[Episode]) -> Feedback:
    """Say whether the episodes are the same tasks, with one shot more."""
    pairs = list(zip(one, two, strict=True))
    is_same = all(
        a.classes == b.classes and torch.equal(a.query_positions, b.query_positions)
        for a, b in pairs
    )
    if not is_same:
        return wrong(
            "Other classes or other query items are asked: a difference would be one of the draw "
            "as much as of the shots. Give both the same seed.",
            misconception="another draw",
        )
    if not all(set(_support(a)) <= set(_support(b)) for a, b in pairs):
        return wrong(
            "The one shot is not among the two.", misconception="the support was drawn anew"
        )
    if len({tuple(a.query_positions.tolist()) for a in one}) < len(one):
        return wrong(
            "Some episodes are one and the same, counted several times.",
            misconception="one episode repeated",
        )
    return right("Same classes, same questions, one more example of each: only the shots differ.")


def _support(episode: Episode) -> list[int]:
    """Return where the support stands in its split."""
    found: list[int] = episode.support_positions.tolist()
    return found


def _as_episodes(value: Any) -> list[Episode]:
    """Return a sequence of episodes as a list."""
    expected = "a sequence of episodes, such as draw_episodes returns"
    if not isinstance(value, Sequence) or len(value) == 0:
        raise WrongKind(expected, value)
    found = list(value)
    if not all(isinstance(item, Episode) for item in found):
        raise WrongKind(expected, value)
    return found


# --- 3: a judge to repair ---


def little_episode() -> Episode:
    """Return an episode of three ways and two shots on random inputs, always the same."""
    generator = torch.Generator().manual_seed(0)
    support = torch.arange(3).repeat_interleave(2)
    query = torch.tensor([2, 0, 1, 1, 0, 2, 0, 1, 2])
    centres = 2 * torch.randn(3, 6, generator=generator)

    def near(labels: Tensor) -> Tensor:
        return centres[labels] + torch.randn(len(labels), 6, generator=generator)

    return Episode(near(support), support, near(query), query, ("a", "b", "c"),
                   torch.arange(6), torch.arange(6, 15))  # fmt: skip


def little_encoder() -> nn.Sequential:
    """Return an encoder with batch norm whose running statistics are not those of a batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))
    return encoder.train()


def check_repaired_logits(answer: Any) -> Feedback:
    """Check a function from encoder and episode to logits of the nearest prototype."""
    if not callable(answer):
        raise WrongKind("a function of an encoder and an episode", answer)
    encoder, episode = little_encoder(), little_episode()
    reference = _reference(encoder, episode)
    hidden = replace(episode, query_labels=torch.full_like(episode.query_labels, -1))
    try:
        found = _detached(answer(little_encoder(), hidden))
    except Exception as error:
        return wrong(
            f"With the labels of the query hidden it fails: {error}",
            misconception="labels of the query used",
        )
    if found.shape != reference.shape:
        raise WrongKind(f"logits of shape {tuple(reference.shape)}", found)
    if not torch.allclose(found, _detached(answer(little_encoder(), episode)), atol=1e-5):
        return wrong(
            "The logits change with the labels of the query: it may not see them.",
            misconception="labels of the query used",
        )
    return _like_reference(answer, found, reference)


def _like_reference(
    answer: Callable[[nn.Module, Episode], Tensor], found: Tensor, reference: Tensor
) -> Feedback:
    """Say in what the logits differ from those of an encoder in evaluation mode."""
    whole = little_episode()
    alone = replace(
        whole,
        query_inputs=whole.query_inputs[:1],
        query_labels=whole.query_labels[:1],
        query_positions=whole.query_positions[:1],
    )
    if not torch.allclose(_detached(answer(little_encoder(), alone)), found[:1], atol=1e-5):
        return wrong(
            "The logits of a query item change when the others are taken away: put the encoder in "
            "evaluation mode.",
            misconception="query items see each other",
        )
    if torch.equal(found.argmin(dim=1), reference.argmax(dim=1)):
        return wrong(
            "The nearest prototype has the smallest logit; distances enter with a minus.",
            misconception="distances for logits",
        )
    if not torch.equal(found.argmax(dim=1), reference.argmax(dim=1)):
        return wrong("These are not the answers of the nearest mean of the support's features.")
    return right("Each query item is judged for itself, by the support alone.")


def _reference(encoder: nn.Module, episode: Episode) -> Tensor:
    """Return the logits of the nearest prototype, each item encoded for itself."""
    encoder.eval()
    with torch.no_grad():
        support = encoder(torch.as_tensor(episode.support_inputs))
        query = encoder(torch.as_tensor(episode.query_inputs))
    return prototype_logits(query, compute_prototypes(support, episode.support_labels))


def _detached(value: Any) -> Tensor:
    """Return logits without their gradient."""
    if not isinstance(value, Tensor):
        raise WrongKind("a function that returns logits", value)
    return value.detach().cpu()


# --- 4: printed digits as prototypes ---


def handwritten_features() -> tuple[Tensor, Tensor]:
    """Return glyphnet's features of the pool of handwritten digits, and their labels."""
    digits = LOADERS["digits"](None).pool
    backbone = load_backbone("glyphnet").eval()
    source = backbone.prepare(digits)
    with torch.no_grad():
        features = backbone(source.batch(torch.arange(len(source))).inputs)
    return features, torch.as_tensor(digits.labels)


def check_printed_prototypes(answer: Any) -> Feedback:
    """Check ten prototypes of printed digits by the handwritten digits that they name."""
    features, labels = handwritten_features()
    prototypes = as_tensor(answer, shape=(10, features.shape[1]), what="ten rows of features")
    prototypes = prototypes.detach().cpu().float()
    if torch.allclose(prototypes, compute_prototypes(features, labels), atol=1e-3):
        return wrong(
            "These are the means of the handwritten digits, made with all their labels.",
            misconception="labels of the target used",
        )
    named = prototype_logits(features, prototypes).argmax(dim=1)
    accuracy = float((named == labels).double().mean())
    if accuracy >= ENOUGH:
        return right(
            f"{accuracy:.3f} of the handwritten digits are named right, chance {CHANCE:.1f}, and "
            "no handwritten digit had a label."
        )
    counts = torch.zeros(10, 10).index_put(
        (named, labels), torch.ones(len(labels)), accumulate=True
    )
    if float(counts.max(dim=1).values.sum()) / len(labels) >= ENOUGH:
        return wrong(
            f"Accuracy {accuracy:.3f}: the prototypes part the digits, but their rows are not in "
            "the order 0 to 9.",
            misconception="rows in another order",
        )
    return wrong(
        f"Accuracy {accuracy:.3f}, chance {CHANCE:.1f}: is the ink bright on a dark ground, as "
        "the backbone wants it, prepared by its own preprocessing, and the backbone in "
        "evaluation mode?",
        misconception="wrong preprocessing",
    )
