"""The checks of exercises 1 to 3: a right answer, the usual mistakes, and what is said of each.

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
from companion.datasets import load_dataset
from companion.exercises.answers import WrongKind, as_mapping, as_model, as_number, as_numbers
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import batch_norm_moved, eval_mode_forgotten
from companion.heads import Model, head_for
from companion.strategies import plan

__all__ = [
    "ALPHAS",
    "GROUPS",
    "NUM_STEPS",
    "check_mixtures",
    "check_repaired_probe",
    "check_steps_of_the_stem",
]

GROUPS = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
NUM_STEPS = 60
ALPHAS = (0, 0.5, 1)
TRAINED_ON = {"laptop": ("digits", 1), "full": ("pets", 4), "rehearsal": ("pets", 1)}
"""The chapter's dataset and its labels a class, by scale."""

State = Mapping[str, Tensor]


# --- 1: in how many steps is the stem trained? ---


def check_steps_of_the_stem(answer: Any) -> Feedback:
    """Check in how many of sixty steps gradual unfreezing trains the stem."""
    num_phases = len(plan("gradual", GROUPS).phases)
    per_phase = NUM_STEPS // num_phases
    if (found := _steps_themselves(answer)) is not None:
        return found
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
    found = first_of(detect(steps, num_phases) for detect in (_phases, _fraction_of_steps))
    return found or wrong(
        "Count the phases in the figure 'The strategy ladder', and those in which the stem's cell "
        "is not grey."
    )


def _steps_themselves(answer: Any) -> Feedback | None:
    """Recognise which steps, where it is asked how many."""
    try:
        steps = as_numbers(sorted(answer) if isinstance(answer, set | range) else answer)
    except WrongKind:
        return None
    if len(steps) < 2:
        return None
    return wrong(
        "How many steps, not which: give one number.",
        misconception="the steps themselves instead of their number",
    )


def _phases(steps: float, num_phases: int) -> Feedback | None:
    """Recognise phases: all of them, or those in which the stem is trained."""
    if steps not in (1, num_phases):
        return None
    return wrong(
        f"Phases were counted here: how many of the {NUM_STEPS} steps lie in them?",
        misconception="phases for steps",
    )


def _fraction_of_steps(steps: float, num_phases: int) -> Feedback | None:
    """Recognise the stem's share of the steps, as a fraction or in percent."""
    shares = (1 / num_phases, 100 / num_phases, 1 - 1 / num_phases, 100 - 100 / num_phases)
    if not any(abs(steps - share) < 0.03 * share for share in shares):
        return None
    return wrong(
        f"This is a share. How many of the {NUM_STEPS} steps is it?",
        misconception="fraction for steps",
    )


# --- 2: WiSE-FT with three mixing weights ---


def check_mixtures(answer: Any) -> Feedback:
    """Check that three models lie on one line that begins at the pretrained backbone."""
    given = as_mapping(answer, ALPHAS, what="a dictionary with the keys 0, 0.5 and 1")
    models = {alpha: as_model(value) for alpha, value in given.items()}
    states = {alpha: _averageable(model) for alpha, model in models.items()}
    backbone = load_backbone(models[0].backbone.name)
    if not _differing(states[0], states[1]):
        return wrong(
            "The models with alpha 0 and 1 are equal: was the interpolation passed on to the plan?",
            misconception="alpha not passed on",
        )
    moved = {alpha: _differing(states[alpha], _averageable(backbone)) for alpha in (0, 1)}
    found = _ends_amiss(states, moved)
    return found or _half_way(states)


def _ends_amiss(states: Mapping[float, State], moved: Mapping[int, list[str]]) -> Feedback | None:
    """Recognise what is wrong with the models of alpha 0 and 1.

    Args:
        states: tensors of each model.
        moved: for alpha 0 and 1, what of the backbone differs from the pretrained one.
    """
    one_head = not any(name.startswith("head.") for name in _differing(states[0], states[1]))
    if moved[0] and not moved[1]:
        return wrong(
            "With alpha 1 you have the model before fine-tuning; alpha weighs the one after it.",
            misconception="alpha the wrong way round",
        )
    if moved[0]:
        return wrong(
            "With alpha 0 nothing of the second phase is left, so the backbone must be the "
            "pretrained one. Yours is not.",
            misconception="the mixture does not begin at the probe",
        )
    if one_head:
        return wrong(
            "The head is the same with alpha 0 and 1. It moves in the second phase too: with "
            "alpha 0 it is the probe's.",
            misconception="the head was not mixed",
        )
    if not any(".running_" in name for name in moved[1]):
        return wrong(
            "With alpha 1 the batch-norm statistics are still the pretrained ones: fine-tuning "
            "moves them, and they are mixed as the weights are.",
            misconception="batch-norm statistics not mixed",
        )
    return None


def _half_way(states: Mapping[float, State]) -> Feedback:
    """Say what was left out of the mixture, or that nothing was."""
    middle = {name: (states[0][name] + states[1][name]) / 2 for name in states[0]}
    differing = _differing(states[0.5], middle)
    if not differing:
        return right(
            "The three models lie on one line in the space of the weights: the probe, the "
            "fine-tuned model, and the point half way between them."
        )
    parts = {alpha: {name: states[alpha][name] for name in differing} for alpha in ALPHAS}
    was_left = not all(_differing(parts[0.5], parts[end]) for end in (0, 1))
    only_head = all(name.startswith("head.") for name in differing)
    if only_head and was_left:
        return wrong(
            "The backbone is mixed and the head is not: both moved, so both are mixed.",
            misconception="the head was not mixed",
        )
    if only_head:
        return wrong(
            "The backbone lies half way, the head does not: a probe of another length, say, ends "
            "in another head. Take one plan and change its interpolation only.",
            misconception="not of the same run",
        )
    if was_left and all(".running_" in name for name in differing):
        return wrong(
            f"The weights are mixed, the batch-norm statistics ({differing[0]}, ...) are not.",
            misconception="batch-norm statistics not mixed",
        )
    return wrong(
        "With alpha 1/2 every weight must be the mean of those with 0 and 1: same plan, seed and "
        "recipe?",
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
        lambda: _head_has_not_learned(model),
    )
    found = first_of(detect() for detect in detectors)
    return found or right("The head has learned, and every bit of the backbone is where it was.")


def _head_has_not_learned(model: Model) -> Feedback | None:
    """Recognise a head that is wrong on more than a tenth of the chapter's training images."""
    name, labels_per_class = TRAINED_ON[runtime.scale()]
    train = load_dataset(name, labels_per_class=labels_per_class, seed=0).train
    if model.classes != train.classes:
        raise WrongKind(f"a model of the chapter's {len(train.classes)} classes", model)
    source = model.backbone.prepare(train)
    batch = source.batch(torch.arange(len(source))).to(next(model.parameters()).device)
    with torch.no_grad():
        num_right = int((model(batch.inputs).argmax(dim=1) == batch.labels).sum())
    if runtime.scale() == "rehearsal" or num_right >= 0.9 * len(train):
        return None
    return wrong(
        f"It names {num_right} of {len(train)} training images right. Look at the loss, the "
        "labels, the learning rate and the number of steps.",
        misconception="the head has not learned",
    )


def _head_untrained(model: Model) -> Feedback | None:
    """Recognise a head that is still the one of seed 0."""
    with runtime.fork_seed(0, "head"):
        fresh = head_for(model.head.task, model.backbone, model.head.num_classes)
    first, found = (next(head.parameters()).detach().cpu() for head in (fresh, model.head))
    if torch.equal(first, found):
        return wrong(
            "The head still has its first random weights. Freeze the backbone only, and give the "
            "head's parameters to the optimizer.",
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
