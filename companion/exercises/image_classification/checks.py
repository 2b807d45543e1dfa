"""The checks: a right answer, the usual mistakes, and what is said of each.

A check takes what it needs to know from the answer itself, such as the name of the model's
backbone, so that the same check serves at every scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from companion import runtime
from companion.backbones import Backbone, load_backbone
from companion.evaluation import Scores
from companion.exercises.answers import WrongKind, as_mapping, as_model, as_number
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import (
    batch_norm_moved,
    chosen_on_test,
    eval_mode_forgotten,
    trained_on_what_is_scored,
)
from companion.heads import Model
from companion.strategies import plan

__all__ = [
    "ALPHAS",
    "GROUPS",
    "NUM_STEPS",
    "check_mixtures",
    "check_rare_class",
    "check_repaired_probe",
    "check_steps_of_the_stem",
]

GROUPS = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
NUM_STEPS = 60
ALPHAS = (0, 0.5, 1)
State = Mapping[str, Tensor]


# --- 1: in how many steps is the stem trained? ---


def check_steps_of_the_stem(answer: Any) -> Feedback:
    """Check in how many of sixty steps gradual unfreezing trains the stem."""
    num_phases = len(plan("gradual", GROUPS).phases)
    per_phase = NUM_STEPS // num_phases
    steps = as_number(answer, what="a number of steps")
    if steps == per_phase:
        return right(f"The stem joins last: it is trained in one of {num_phases} phases.")
    if steps == NUM_STEPS:
        return wrong(
            "Each phase lets one more group train, from the head towards the input.",
            misconception="everything unfrozen at once",
        )
    if steps == NUM_STEPS - per_phase:
        return wrong(
            "That is how long layer4 is trained; the stem lies at the other end of the network.",
            misconception="unfrozen from the input to the head",
        )
    if steps == NUM_STEPS // (num_phases - 1):
        return wrong(
            "The head has a phase of its own before the five groups of the backbone.",
            misconception="the head's own phase forgotten",
        )
    return wrong("Count the phases, and those in which the stem's cell is not grey.")


# --- 2: WiSE-FT with three mixing weights ---


def check_mixtures(answer: Any) -> Feedback:
    """Check that three models lie on one line that begins at the pretrained backbone."""
    given = as_mapping(answer, ALPHAS, what="a dictionary with the keys 0, 0.5 and 1")
    models = {alpha: as_model(value) for alpha, value in given.items()}
    states = {alpha: _averageable(model) for alpha, model in models.items()}
    pretrained = _averageable(load_backbone(models[0].backbone.name))
    begins_right = not _differing(states[0], pretrained)
    if not _differing(states[0], states[1]):
        return wrong(
            "The three models are equal: was the interpolation passed on to the plan?",
            misconception="alpha not passed on",
        )
    if not begins_right and not _differing(states[1], pretrained):
        return wrong(
            "With alpha 1 you have the model before fine-tuning; alpha weighs the one after it.",
            misconception="alpha the wrong way round",
        )
    if not begins_right:
        return wrong(
            "With alpha 0 nothing of the second phase is left, so the backbone must be the "
            "pretrained one. Yours is not.",
            misconception="the mixture does not begin at the probe",
        )
    middle = {name: (states[0][name] + states[1][name]) / 2 for name in states[0]}
    return _half_way(_differing(states[0.5], middle))


def _half_way(differing: list[str]) -> Feedback:
    """Say what was left out of the mixture, or that nothing was."""
    if not differing:
        return right(
            "The three models lie on one line in the space of the weights: the probe, the "
            "fine-tuned model, and the point half way between them."
        )
    if all(name.startswith("head.") for name in differing):
        return wrong(
            "The backbone is mixed and the head is not: both moved, so both are mixed.",
            misconception="the head was not mixed",
        )
    if all(".running_" in name for name in differing):
        return wrong(
            f"The weights are mixed, the batch-norm statistics ({differing[0]}, ...) are not.",
            misconception="batch-norm statistics not mixed",
        )
    return wrong(
        "With alpha 1/2 every weight must be the mean of those with 0 and 1: same seed and recipe?",
        misconception="not half way",
    )


def _averageable(module: nn.Module) -> dict[str, Tensor]:
    """Return the weights and statistics of a model or a backbone by their names in a model."""
    prefix = "backbone." if isinstance(module, Backbone) else ""
    state = module.state_dict()
    return {prefix + name: value for name, value in state.items() if value.is_floating_point()}


def _differing(first: State, second: State) -> list[str]:
    """Return the names of shared tensors that differ by more than rounding."""
    return [
        name
        for name in sorted(first.keys() & second.keys())
        if not torch.allclose(
            first[name].detach().cpu(), second[name].detach().cpu(), atol=1e-5, rtol=1e-4
        )
    ]


# --- 3: a probe to repair ---


def check_repaired_probe(answer: Any) -> Feedback:
    """Check that the head moved, that nothing else did, and that the model may be judged."""
    model = as_model(answer)
    before = load_backbone(model.backbone.name).state_dict()
    after = model.backbone.state_dict()
    detectors: tuple[Callable[[], Feedback | None], ...] = (
        lambda: _head_untrained(model),
        lambda: _weights_moved(model, before),
        lambda: batch_norm_moved(before, after),
        lambda: eval_mode_forgotten(model),
    )
    found = first_of(detect() for detect in detectors)
    return found or right("The head has learned, and every bit of the backbone is where it was.")


def _head_untrained(model: Model) -> Feedback | None:
    """Recognise a head that is still the one of seed 0."""
    kind = type(model.head)
    with runtime.fork_seed(0, "head"):
        fresh = kind(model.backbone.feature_dim, model.head.num_classes)
    if torch.equal(fresh.linear.weight, model.head.linear.weight.detach().cpu()):
        return wrong(
            "The head still has its first random weights. Freeze the backbone only.",
            misconception="the head was frozen too",
        )
    return None


def _weights_moved(model: Model, before: State) -> Feedback | None:
    """Recognise a backbone that was trained."""
    for name, parameter in model.backbone.named_parameters():
        if not torch.equal(parameter.detach().cpu(), before[name]):
            return wrong(
                f"{name} has moved: give the optimizer the head's parameters and no others.",
                misconception="the backbone was not frozen",
            )
    return None


# --- 4: another rare class ---


def check_rare_class(answer: Any) -> Feedback:
    """Check scores on validation images of a folder with a common and a rare class."""
    if not isinstance(answer, Scores):
        raise WrongKind("scores, such as result.scores or what companion.evaluate returns", answer)
    found = first_of(
        detect(answer)
        for detect in (
            trained_on_what_is_scored,
            chosen_on_test,
            _other_classes,
            _nothing_rare,
            _blind_to_the_rare,
        )
    )
    balanced = answer.values["balanced_accuracy"]
    return found or right(
        f"Balanced accuracy {balanced:.3f} beside accuracy {answer.accuracy:.3f}: report both, "
        "and how many rare images they rest on."
    )


def _other_classes(scores: Scores) -> Feedback | None:
    """Recognise scores of another dataset."""
    if len(scores.classes) != 2:
        return wrong(
            f"These scores are over {len(scores.classes)} classes; the folder has two.",
            misconception="scores of another dataset",
        )
    return None


def _nothing_rare(scores: Scores) -> Feedback | None:
    """Recognise a folder in which both classes are about equally common."""
    share = torch.bincount(torch.as_tensor(scores.labels), minlength=2).min() / len(scores.ids)
    if float(share) > 0.4:
        return wrong(
            "Both classes are about equally common here: write the folder with unequal counts.",
            misconception="no rare class",
        )
    return None


def _blind_to_the_rare(scores: Scores) -> Feedback | None:
    """Recognise a model that names one class only; random images have nothing to find."""
    if scores.values["balanced_accuracy"] <= 0.5 and runtime.scale() != "rehearsal":
        return wrong(
            f"Accuracy {scores.accuracy:.3f}, balanced accuracy "
            f"{scores.values['balanced_accuracy']:.3f}: the rare class is not found.",
            misconception="majority class taken for skill",
        )
    return None
