"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from companion.backbones import load_backbone
from companion.backbones.glyphnet import preprocess
from companion.datasets import LOADERS
from companion.exercises.few_shot.checks import handwritten_features
from companion.fewshot import Episode, compute_prototypes, draw_episodes, prototype_logits

__all__ = ["episodes", "handwritten_means", "judge", "printed"]


def episodes(
    n_shot: int, *, seed: int = 3, n_way: int = 3, n_query: int = 2, num_episodes: int = 20
) -> Sequence[Episode]:
    """Return episodes of handwritten digits."""
    return draw_episodes(
        LOADERS["digits"](None).pool,
        n_way=n_way,
        n_shot=n_shot,
        n_query=n_query,
        num_episodes=num_episodes,
        seed=seed,
    )


def judge(
    *, mode: str = "eval", with_query: bool = False, sign: float = 1.0
) -> Callable[[nn.Module, Episode], Tensor]:
    """Return a function from encoder and episode to logits, with one of the usual mistakes."""

    def logits(encoder: nn.Module, episode: Episode) -> Tensor:
        encoder.train(mode == "train")
        support, query = episode.support_inputs, episode.query_inputs
        found = encoder(torch.cat([torch.as_tensor(support), torch.as_tensor(query)]))
        labels = episode.support_labels
        if with_query:
            centres = compute_prototypes(found, torch.cat([labels, episode.query_labels]))
        else:
            centres = compute_prototypes(found[: len(labels)], labels)
        return sign * prototype_logits(found[len(labels) :], centres)

    return logits


@functools.cache
def printed(*, is_bright: bool = True, is_prepared: bool = True) -> Tensor:
    """Return features of the ten digits, printed in one font."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont
    from torchvision.transforms.functional import pil_to_tensor

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    font = ImageFont.truetype(str(path), 44)
    pictures = []
    for character in "0123456789":
        picture = Image.new("L", (48, 48))
        ImageDraw.Draw(picture).text((24, 24), character, font=font, fill=255, anchor="mm")
        pictures.append(pil_to_tensor(picture))
    images = torch.stack(pictures) if is_bright else 255 - torch.stack(pictures)
    with torch.no_grad():
        features: Tensor = load_backbone("glyphnet").eval()(
            preprocess(images) if is_prepared else images.float()
        )
    return features


def handwritten_means() -> Tensor:
    """Return prototypes made with the labels of all handwritten digits."""
    return compute_prototypes(*handwritten_features())
