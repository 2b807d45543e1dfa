"""From a name to splits of raw examples: digits, letters, drawn scenes, your own folder.

A dataset is a module with a `CARD` and a function `load(path) -> Source`; it is registered here.
"""

from __future__ import annotations

from pathlib import Path

from companion.datasets import (
    bccd,
    bccd_cells,
    boxes_folder,
    digits,
    docstring_library,
    fashion_mnist,
    folder,
    glyphs,
    medmnist,
    omniglot,
    pets,
    public_texts,
    scenes,
    smears,
)
from companion.datasets.base import FILES, LOADERS, Loader, Source, register_dataset
from companion.registry import DATASETS
from companion.splits import Splits, draw

__all__ = ["FILES", "LOADERS", "Loader", "Source", "load_dataset", "register_dataset"]


def load_dataset(
    name: str,
    *,
    labels_per_class: int | None = None,
    seed: int = 0,
    path: str | Path | None = None,
) -> Splits:
    """Load a dataset and draw a labelled budget from it.

    Args:
        name: a registered name, such as `"digits"` or `"folder"`.
        labels_per_class: the whole labelled budget k, val included: below 5 there is no val, from
            5 on a fifth of k is val. `None` takes all, a fifth of it for val.
        seed: which draw of train and val; the test set is the same for every seed.
        path: the folder of images, for `"folder"` and `"boxes"`; for downloaded data where to
            look first.

    Returns:
        The splits.

    Raises:
        CompanionError: an unknown name (near matches are listed), a class with fewer items than
            k, or files that are missing or broken.
    """
    DATASETS.get(name)
    source = LOADERS[name](None if path is None else Path(path).expanduser())
    return draw(
        source.pool,
        source.test,
        source.card,
        labels_per_class=labels_per_class,
        seed=seed,
        val_pool=source.val_pool,
        grouped=source.grouped,
    )


register_dataset(digits.CARD, digits.load)
register_dataset(glyphs.CARD, glyphs.load)
register_dataset(folder.CARD, folder.load)
register_dataset(fashion_mnist.CARD, fashion_mnist.load, files=fashion_mnist.FILES)
register_dataset(pets.CARD, pets.load)
register_dataset(omniglot.CARD, omniglot.load, files=omniglot.FILES)
register_dataset(boxes_folder.CARD, boxes_folder.load)
register_dataset(bccd.CARD, bccd.load, files=bccd.FILES)
register_dataset(scenes.DIGIT_SCENES, scenes.load_digit_scenes)
register_dataset(scenes.LETTER_SCENES, scenes.load_letter_scenes)
register_dataset(smears.SMEARS, smears.load_smears)
register_dataset(smears.SMEARS_A, smears.load_smears_a)
register_dataset(smears.SMEAR_CELLS, smears.load_cells)
register_dataset(bccd_cells.CARD, bccd_cells.load, files=bccd_cells.FILES)
register_dataset(medmnist.BLOOD, medmnist.load_blood)
register_dataset(medmnist.PNEUMONIA, medmnist.load_pneumonia)
register_dataset(
    public_texts.polarity.CARD, public_texts.polarity.load, files=public_texts.polarity.FILES
)
register_dataset(
    public_texts.wnut17.CARD, public_texts.wnut17.load, files=public_texts.wnut17.FILES
)
register_dataset(
    public_texts.ud_english.CARD, public_texts.ud_english.load, files=public_texts.ud_english.FILES
)
register_dataset(docstring_library.CARD, docstring_library.load)
