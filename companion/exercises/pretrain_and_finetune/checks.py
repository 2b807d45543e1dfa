"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from companion import assets
from companion.backbones import Backbone, load_backbone
from companion.backbones.glyphnet import preprocess
from companion.datasets import glyphs, load_dataset
from companion.exercises.answers import WrongKind, as_mapping, as_model, as_number
from companion.exercises.framework import Feedback, right, wrong
from companion.exercises.misconceptions import batch_norm_moved, eval_mode_forgotten

__all__ = [
    "LETTERS_KEPT",
    "RANKS",
    "TARGET_REACHED",
    "LittleLowRank",
    "check_kept_and_learned",
    "check_merge",
    "check_ranks",
    "check_saving",
    "lora_numbers",
]

SIDE, RANK = 1024, 8
RANKS = (1, 8, 64)
HEAD_NUMBERS = 1290
TARGET_REACHED = 0.87
LETTERS_KEPT = 0.93
NUM_FACES = 2
PIECE = 128


# --- 1: how much optimizer state does LoRA save? ---


def check_saving(answer: Any) -> Feedback:
    """Check by what factor LoRA shrinks gradients and optimizer state of one layer."""
    number = as_number(answer, what="a factor")
    factor = SIDE * SIDE / (RANK * 2 * SIDE)
    if abs(number - factor) < 0.01 * factor:
        return right(
            f"Gradient and two states belong to each trained number, so the factor is that of the "
            f"trained numbers: {SIDE * SIDE:,} over {RANK * 2 * SIDE:,}."
        )
    if abs(number - 2 * factor) < 0.02 * factor:
        return wrong("LoRA has two factors, A and B.", misconception="one factor left out")
    if abs(number - 1 / factor) < 0.01 / factor:
        return wrong(
            "The question is how many times as many full fine-tuning keeps: more than one.",
            misconception="the wrong way round",
        )
    if abs(number - 3 * factor) < 0.03 * factor:
        return wrong(
            "Gradient and states were counted for one of the two only; LoRA keeps them as well.",
            misconception="states counted on one side only",
        )
    return wrong("How many numbers does each of the two train in this layer?")


# --- 2: the rank ---


@functools.cache
def _glyphnet() -> Backbone:
    return load_backbone("glyphnet").eval()


def lora_numbers(rank: int, *, with_a: bool = True, with_b: bool = True) -> int:
    """Return how many numbers LoRA trains in glyphnet, without the head.

    Args:
        rank: rank of the factors.
        with_a: whether the first factors are counted.
        with_b: whether the second factors are counted.
    """
    per_rank = 0
    for module in _glyphnet().modules():
        if isinstance(module, nn.Conv2d):
            inputs = module.weight[0].numel()
            per_rank += with_a * inputs + with_b * module.out_channels
    return rank * per_rank


def check_ranks(answer: Any) -> Feedback:
    """Check how many numbers LoRA trains at three ranks."""
    given = as_mapping(answer, RANKS, what="a dictionary with the keys 1, 8 and 64")
    found = [as_number(given[rank], what="a number of parameters") for rank in RANKS]
    frozen = sum(parameter.numel() for parameter in _glyphnet().parameters())
    if found == [lora_numbers(rank) for rank in RANKS]:
        return right(
            f"The number grows with the rank, {lora_numbers(1):,} a step: at rank 64 it is near "
            f"the {frozen:,} of the backbone itself. In small layers low rank is not low."
        )
    for told, surplus, misconception in (
        ("the frozen weights are among them", frozen, "frozen weights counted"),
        ("the head is among them", HEAD_NUMBERS, "the head was counted"),
    ):
        if found == [lora_numbers(rank) + surplus for rank in RANKS]:
            return wrong(
                f"Too many by the same number at each rank: {told}.", misconception=misconception
            )
    for with_a in (True, False):
        half = [lora_numbers(rank, with_a=with_a, with_b=not with_a) for rank in RANKS]
        if found == half:
            return wrong("There are two factors a layer.", misconception="one factor left out")
    if len(set(found)) == 1:
        return wrong("All ranks give the same.", misconception="the rank was not changed")
    return wrong("For each convolution: rank times (inputs of a kernel + output channels).")


# --- 3: a merge to repair ---


class LittleLowRank(nn.Module):
    """A layer with factors beside it, under the names of the chapter, with random numbers.

    Args:
        is_linear: a linear layer in place of a convolution.
    """

    def __init__(self, *, is_linear: bool = False):
        super().__init__()
        self.scale = 2.5
        self.layer: nn.Module
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            if is_linear:
                self.layer = nn.Linear(6, 5)
                self.A, self.B = nn.Linear(6, 2, bias=False), nn.Linear(2, 5, bias=False)
            else:
                self.layer = nn.Conv2d(4, 5, 3, stride=2, padding=1)
                self.A = nn.Conv2d(4, 2, 3, stride=2, padding=1, bias=False)  # type: ignore[assignment]
                self.B = nn.Conv2d(2, 5, 1, bias=False)  # type: ignore[assignment]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the layer, and the change."""
        outputs: Tensor = self.layer(inputs) + self.scale * self.B(self.A(inputs))
        return outputs


def check_merge(answer: Any) -> Feedback:
    """Check a function from a low-rank layer to one plain layer."""
    if not callable(answer) or isinstance(answer, nn.Module | type):
        raise WrongKind("a function of a low-rank layer", answer)
    for is_linear in (False, True):
        feedback = _merges(answer, is_linear=is_linear)
        if feedback is not None:
            return feedback
    return right("One plain layer with the same outputs, and the layer it came from is untouched.")


def _merges(merge: Callable[[nn.Module], Any], *, is_linear: bool) -> Feedback | None:
    """Return what is wrong with a merge of one kind of layer, if anything is."""
    low_rank = LittleLowRank(is_linear=is_linear).eval()
    shape = (7, 6) if is_linear else (7, 4, 8, 8)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, plain = low_rank(inputs), low_rank.layer(inputs)
        unscaled = low_rank.B(low_rank.A(inputs))
        try:
            layer = merge(low_rank)
            found = layer(inputs)
        except Exception as error:
            return wrong(f"It fails: {error}", misconception="shapes that do not fit")
        if isinstance(layer, LittleLowRank) or not isinstance(layer, nn.Linear | nn.Conv2d):
            raise WrongKind("a function that returns one plain layer", layer)
        return _judge(low_rank, inputs, found, wanted, plain, unscaled)


def _judge(
    low_rank: nn.Module,
    inputs: Tensor,
    found: Tensor,
    wanted: Tensor,
    plain: Tensor,
    unscaled: Tensor,
) -> Feedback | None:
    """Return in what the outputs of a merged layer differ, if they do."""

    def near(one: Tensor, other: Tensor) -> bool:
        return one.shape == other.shape and torch.allclose(one, other, atol=1e-4)

    if near(found, plain):
        return wrong("The change is not in the weight.", misconception="the change left out")
    if near(found, plain + unscaled):
        return wrong(
            "The change enters as it is, without its scale.", misconception="scale left out"
        )
    if not near(low_rank(inputs), wanted):
        return wrong(
            "The layer that was given has changed: with the factors still beside it, it now "
            "counts the change twice. Work on a copy.",
            misconception="the given layer was changed",
        )
    if not near(found, wanted):
        return wrong("The outputs differ from those of layer and factors together.")
    return None


# --- 4: a new target, and the letters kept ---


@functools.cache
def _letters() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return prepared letters of a few faces, their labels, and the head of pretraining."""
    drawings = glyphs.render_letters(glyphs.FACES[:NUM_FACES])
    images = glyphs.distort(drawings.images, generator=torch.Generator().manual_seed(0))
    path = Path(assets.__file__).parent / "assets" / "glyphnet" / "model.safetensors"
    weights = assets.load_weights(path, sha256=_glyphnet().card.sha256)
    return preprocess(images), drawings.labels, weights["fc.weight"], weights["fc.bias"]


@functools.cache
def _negatives() -> tuple[Tensor, Tensor]:
    """Return prepared digits in negative that seed 0 does not train on, and their labels."""
    digits = load_dataset("digits", labels_per_class=10, seed=0)
    taken = {*digits.train.ids, *(digits.val.ids if digits.val is not None else ())}
    pool = digits.pool
    assert pool is not None  # a bundled dataset has one
    rest = pool.subset([row for row, name in enumerate(pool.ids) if name not in taken])
    return preprocess(1 - torch.as_tensor(rest.inputs)), torch.as_tensor(rest.labels)


def check_kept_and_learned(answer: Any) -> Feedback:
    """Check a model that names digits in negative and still reads letters."""
    model = as_model(answer)
    (images, labels), (letters, names, weight, bias) = _negatives(), _letters()
    if getattr(model.head, "num_classes", 0) != 10 or model.backbone.feature_dim != weight.shape[1]:
        raise WrongKind("glyphnet with a head of ten classes", answer)
    found = eval_mode_forgotten(model)
    if found is not None:
        return found
    model = copy.deepcopy(model).cpu()
    with torch.no_grad():
        answers = torch.cat([model(piece) for piece in torch.split(images, PIECE)])
        features = torch.cat([model.backbone(piece) for piece in torch.split(letters, PIECE)])
        reached = float((answers.argmax(dim=1) == labels).double().mean())
        logits = features @ weight.T + bias
        kept = float((logits.argmax(dim=1) == names).double().mean())
    return _both(reached, kept, model.backbone)


def _both(reached: float, kept: float, backbone: Backbone) -> Feedback:
    """Say whether a model has learned and kept enough."""
    measured = f"Digits in negative {reached:.3f}, letters {kept:.3f}."
    if reached >= TARGET_REACHED and kept >= LETTERS_KEPT:
        return right(f"{measured} Learned, and not forgotten.")
    if kept < LETTERS_KEPT:
        moved = batch_norm_moved(_glyphnet().encoder.state_dict(), backbone.encoder.state_dict())
        if moved is not None:
            return wrong(f"{measured} {moved.message}", misconception=moved.misconception)
        return wrong(
            f"{measured} The letters are forgotten: smaller steps, the head first, or a mean of "
            "before and after.",
            misconception="the source was forgotten",
        )
    return wrong(
        f"{measured} The letters are kept, but the new digits are not learned: the features have "
        "to move.",
        misconception="the target was not learned",
    )
