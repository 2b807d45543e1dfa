"""From a name to splits of raw examples: images, scenes, texts, your own folder or table.

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
    tables,
    texts,
)
from companion.datasets.base import FILES, LOADERS, Loader, Source, register_dataset
from companion.registry import DATASETS
from companion.splits import Splits, draw

__all__ = ["FILES", "LOADERS", "Loader", "Source", "load_dataset", "load_table", "register_dataset"]


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
        path: the folder of images, for `"folder"` and `"boxes"`; the file of texts for `"table"`
            (`load_table` names its columns); for downloaded data where to look first.

    Returns:
        The splits.

    Raises:
        CompanionError: an unknown name (near matches are listed), a class with fewer items than
            k, or files that are missing or broken.
    """
    DATASETS.get(name)
    source = LOADERS[name](None if path is None else Path(path).expanduser())
    return _drawn(source, labels_per_class, seed)


def load_table(
    path: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    text_pair: str | None = None,
    group: str | None = None,
    repair: bool = False,
    leave_out: bool = False,
    labels_per_class: int | None = None,
    seed: int = 0,
) -> Splits:
    """Load your own texts, as the dataset `"table"` does, from columns of any name.

    A column `split` with train, val and test is respected; without a test a fifth is set aside, the
    same whatever the seed.

    Args:
        path: a CSV, TSV, JSONL or CoNLL file in UTF-8, or a folder with such files named train,
            val and test.
        text: the column of the texts.
        label: the column of their classes.
        text_pair: the column of second texts; `None` takes `text_pair` where there is one.
        group: the column of what must not be parted, such as an author; `None` takes `group`
            where there is one.
        repair: whether spans of a CoNLL file that begin with I- are read as if with B-; else they
            are refused.
        leave_out: whether a text whose copies differ in label, part or group is left out, all its
            copies; else it is refused.
        labels_per_class: the whole labelled budget, as in `load_dataset`.
        seed: which draw of train and val; the test set is the same for every seed.

    Returns:
        The splits: texts, or pairs of texts, with classes; of a CoNLL file sentences as tuples of
        words, with spans where the labels are BIO, else with a class a word.

    Raises:
        CompanionError: no such file or column (near matches are listed), another encoding than
            UTF-8, a broken row, an empty text or label, one class only, a class of one text, a
            text in two parts or with two labels; the file and the line are named.

    Warns:
        UserWarning: copies of a text, which are left out.
    """
    columns = tables.Columns(text, label, text_pair, group)
    source = tables.load(
        Path(path).expanduser(), columns=columns, repair=repair, leave_out=leave_out
    )
    return _drawn(source, labels_per_class, seed)


def _drawn(source: Source, labels_per_class: int | None, seed: int) -> Splits:
    """Return the splits of one draw from a source."""
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
register_dataset(tables.CARD, tables.load)
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
register_dataset(texts.REVIEWS, texts.load_reviews)
register_dataset(texts.REVIEW_STARS, texts.load_stars)
register_dataset(texts.REVIEWS_PRODUCTS, texts.load_products)
register_dataset(texts.REVIEWS_PLACES, texts.load_places)
register_dataset(texts.REVIEWS_FILMS, texts.load_films)
register_dataset(texts.ENTITIES, texts.load_entities)
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
