"""Detectors of the usual mistakes: each returns feedback that names one, or `None`.

They take what a check has already read from the answer, so that each looks for one thing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from companion.batches import IGNORE_LABEL
from companion.evaluation import Scores
from companion.exercises.framework import Feedback, wrong
from companion.heads import Model
from companion.layer_groups import HEAD, Ledger, is_frozen
from companion.splits import TestSplit

__all__ = [
    "backbone_trained",
    "batch_norm_moved",
    "chosen_on_test",
    "eval_mode_forgotten",
    "head_frozen",
    "leakage",
    "majority_mistaken",
    "padding_counted",
    "percent",
    "read_test_again",
    "seeds_not_varied",
    "trained_on_what_is_scored",
    "wrong_normalisation",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)


def percent(value: float) -> Feedback | None:
    """Recognise a percentage where a fraction is asked for.

    Args:
        value: the number given.
    """
    if 1 < value <= 100:
        return wrong(
            "Accuracies are fractions here: divide by 100.", misconception="percent for fraction"
        )
    return None


def chosen_on_test(scores: Scores | Iterable[Scores]) -> Feedback | None:
    """Recognise a choice between models that was made on test scores.

    Args:
        scores: what the choice was made on.
    """
    given = [scores] if isinstance(scores, Scores) else list(scores)
    if any(value.split == "test" for value in given):
        return wrong(
            "The choice looked at test. Choose on val and read test once, with what was chosen.",
            misconception="chosen on test data",
        )
    return None


def read_test_again(test: TestSplit, *, allowed: int = 1) -> Feedback | None:
    """Recognise a test set that was read by more evaluations than are allowed.

    Args:
        test: the test set.
        allowed: how many different evaluations may have read it.
    """
    if test.num_readings > allowed:
        return wrong(
            f"The test set was read {test.num_readings} times, by different evaluations. Each "
            "further look makes its figure less of one on unseen data.",
            misconception="chosen on test data",
        )
    return None


def head_frozen(trained: Model | Ledger) -> Feedback | None:
    """Recognise a head that cannot learn.

    Args:
        trained: the model, or the ledger of a training.
    """
    if isinstance(trained, Ledger):
        frozen = any(row.group == HEAD and row.num_trainable == 0 for row in trained.rows)
    else:
        frozen = is_frozen(trained, HEAD)
    if frozen:
        return wrong(
            "The new head is frozen too, so its weights stay random. Freeze the backbone only.",
            misconception="the head was frozen too",
        )
    return None


def backbone_trained(model: Model) -> Feedback | None:
    """Recognise a backbone that should be frozen and is not.

    Args:
        model: the model.
    """
    if any(parameter.requires_grad for parameter in model.backbone.parameters()):
        return wrong(
            "Some parameters of the backbone still get gradients.",
            misconception="the backbone was not frozen",
        )
    return None


def batch_norm_moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Feedback | None:
    """Recognise batch-norm statistics that drifted in layers that were to stay.

    Args:
        before: state dict of the frozen part before the training.
        after: the same after it.
    """
    moved = [
        name
        for name, tensor in before.items()
        if name.rpartition(".")[2] in ("running_mean", "running_var")
        and name in after
        and not torch.equal(tensor.detach().cpu(), after[name].detach().cpu())
    ]
    if moved:
        return wrong(
            f"The statistics {moved[0]} moved although no gradient reached them: a frozen layer "
            "must be in evaluation mode while the others train.",
            misconception="batch-norm statistics moved",
        )
    return None


def eval_mode_forgotten(model: nn.Module) -> Feedback | None:
    """Recognise a model that is about to be judged in training mode.

    Args:
        model: the model.
    """
    kinds = (_BatchNorm, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    if any(module.training for module in model.modules() if isinstance(module, kinds)):
        return wrong(
            "Batch norm or dropout is in training mode: the answer depends on the other items of "
            "the batch, or on chance.",
            misconception="forgot eval mode",
        )
    return None


def wrong_normalisation(
    inputs: Tensor, *, mean: Sequence[float], std: Sequence[float], tolerance: float = 0.5
) -> Feedback | None:
    """Recognise images that were not normalised as the backbone wants them.

    Args:
        inputs: prepared images, (batch, channels, height, width).
        mean: the backbone's mean of each channel, for pixels in [0, 1].
        std: its standard deviation of each channel.
        tolerance: how far from the range of such pixels values may lie, in standard deviations.
    """
    low = min((0 - m) / s for m, s in zip(mean, std, strict=True)) - tolerance
    high = max((1 - m) / s for m, s in zip(mean, std, strict=True)) + tolerance
    least, most = float(inputs.min()), float(inputs.max())
    if most > 10:
        words = "Pixels still run to 255: bring them to [0, 1] first, then normalise."
    elif least >= 0 and most <= 1:
        words = "Pixels are in [0, 1] but were not normalised with the backbone's mean and std."
    elif not low <= least <= most <= high:
        words = "Pixels lie outside of what the backbone's own mean and std can give."
    else:
        return None
    return wrong(
        f"{words} Preprocessing belongs to the backbone: use backbone.prepare.",
        misconception="wrong normalisation",
    )


def leakage(train: Iterable[Hashable], judged: Iterable[Hashable]) -> Feedback | None:
    """Recognise items, or groups of them, that are trained on and judged by.

    Args:
        train: ids (or speakers, fonts) of the training items.
        judged: those of val or test.
    """
    shared = set(train) & set(judged)
    if shared:
        return wrong(
            f"{len(shared)} of them are in both, for instance {sorted(map(str, shared))[0]}.",
            misconception="leakage between training and test",
        )
    return None


def trained_on_what_is_scored(scores: Scores) -> Feedback | None:
    """Recognise the accuracy of the training items given for that of new ones.

    Args:
        scores: what was given.
    """
    if scores.split == "train":
        return wrong(
            "This is the score on the items that the model was trained on.",
            misconception="training accuracy for test accuracy",
        )
    return None


def seeds_not_varied(values: Sequence[float]) -> Feedback | None:
    """Recognise several runs that are one run several times.

    Args:
        values: one score a run.
    """
    if len(values) > 1 and max(values) == min(values):
        return wrong(
            "All runs give exactly the same: was the seed passed on to each of them?",
            misconception="seeds not varied",
        )
    return None


def majority_mistaken(value: float, labels: Tensor, *, tolerance: float = 0.005) -> Feedback | None:
    """Recognise an accuracy that the constant answer reaches as well.

    Args:
        value: the accuracy given, as a fraction.
        labels: class ids of the items it is of, (items,), int64.
        tolerance: how near it must lie, as a fraction.
    """
    share = float(torch.bincount(labels).max()) / len(labels)
    if math.isclose(value, share, abs_tol=tolerance):
        return wrong(
            f"Always naming the most frequent class reaches {share:.3f} too. Look at the recall of "
            "each class, or the balanced accuracy.",
            misconception="majority class taken for skill",
        )
    return None


def padding_counted(
    value: float, predictions: Tensor, labels: Tensor, *, tolerance: float = 0.0005
) -> Feedback | None:
    """Recognise an accuracy over tokens in which padding was counted.

    Args:
        value: the accuracy given, as a fraction.
        predictions: class ids, (batch, tokens), int64.
        labels: likewise, with -100 where nothing is to be predicted.
        tolerance: how near it must lie, as a fraction.
    """
    counts = labels != IGNORE_LABEL
    is_right = predictions == labels
    proper = float(is_right[counts].double().mean())
    over_all = float(is_right.double().mean())
    all_padding_right = float((is_right | ~counts).double().mean())
    if math.isclose(value, proper, abs_tol=tolerance):
        return None
    if any(math.isclose(value, x, abs_tol=tolerance) for x in (over_all, all_padding_right)):
        return wrong(
            "This is the accuracy over all positions. Leave out those labelled -100.",
            misconception="padding counted",
        )
    return None
