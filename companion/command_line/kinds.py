"""What `finetune` may be given: images by class, images with boxes, or a table of texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companion.splits import Splits

__all__ = ["BOXES", "CLASSES", "PAIRS", "SPANS", "TEXTS", "TOKENS", "Kind", "kind_of", "recognise"]


@dataclass(frozen=True)
class Kind:
    """What a path may hold.

    Attributes:
        dataset: the dataset that reads it.
        what: what it is, for messages.
        modality: `"vision"` or `"language"`.
        backbone: the backbone that is taken where none is named.
        items: what is counted.
        budget: what the labelled budget counts.
        metric: the main metric in words.
        usage: lines of Python that load the model and use it on new items.
        epochs: passes over the items; `None` for the recipe's.
        learning_rate: of a whole network; `None` for the recipe's.
    """

    dataset: str
    what: str
    modality: str
    backbone: str
    items: str
    budget: str
    metric: str
    usage: str
    epochs: int | None = None
    learning_rate: float | None = None


def _images(*, what: str, dataset: str, backbone: str, budget: str, metric: str, use: str) -> Kind:
    """Return a kind of images."""
    usage = f"""import companion
from companion.datasets.image_files import ImageFiles
from companion.model_files import load_model
from companion.splits import Split

model = load_model("{{model}}")
paths = ["one.jpg", "two.jpg"]
{use}"""
    return Kind(dataset, what, "vision", backbone, "images", budget, metric, usage)


def _texts(*, what: str, items: str, budget: str, metric: str, examples: str, use: str) -> Kind:
    """Return a kind of texts.

    The learning rate and the passes are among those that BERT was fine-tuned with: a whole encoder
    of texts does not stand the rate that suits small networks of images.

    Reference: devlin2019bert, appendix A.3
    """
    usage = f"""import companion
from companion.model_files import load_model
from companion.splits import Split

model = load_model("{{model}}")
{items} = {examples}
ids = [str(number) for number in range(len({items}))]
{use}"""
    return Kind(
        "table",
        what,
        "language",
        "minilm",
        items,
        budget,
        metric,
        usage,
        epochs=4,
        learning_rate=5e-5,
    )


CLASSES = _images(
    what="a folder of images a class",
    dataset="folder",
    backbone="glyphnet",
    budget="labels a class",
    metric="accuracy",
    use="""images = Split("new", ImageFiles(paths), [0] * len(paths), paths, model.classes)
predictions = companion.evaluation.predict(model, images)
names = [model.classes[label] for label in predictions.labels]
""",
)
BOXES = _images(
    what="a folder with boxes",
    dataset="boxes",
    backbone="spotnet",
    budget="labelled images",
    metric="mAP@0.5",
    use="""empty = [[] for _ in paths]
images = Split("new", ImageFiles(paths), empty, paths, model.classes, task="detection")
predictions = companion.evaluation.predict(model, images)
# One row a box: class id, x_min, y_min, x_max, y_max as fractions of the image, score.
sure = [rows[rows[:, 5] >= 0.5] for rows in predictions.labels]
names = [[model.classes[int(row[0])] for row in rows] for rows in sure]
""",
)
TEXTS = _texts(
    what="a table of texts",
    items="texts",
    budget="labels a class",
    metric="accuracy",
    examples='["One text.", "Another text."]',
    use="""new = Split("new", texts, [0] * len(texts), ids, model.classes)
predictions = companion.evaluation.predict(model, new)
names = [model.classes[label] for label in predictions.labels]
""",
)
PAIRS = _texts(
    what="a table of pairs of texts",
    items="pairs",
    budget="labels a class",
    metric="accuracy",
    examples='[("One text.", "Its second text."), ("Another text.", "And its second.")]',
    use="""new = Split("new", pairs, [0] * len(pairs), ids, model.classes)
predictions = companion.evaluation.predict(model, new)
names = [model.classes[label] for label in predictions.labels]
""",
)
WORDS = '[("One", "sentence", "."), ("Another", "one", ".")]'
TOKENS = _texts(
    what="sentences with a class a word",
    items="sentences",
    budget="labelled sentences",
    metric="accuracy of words",
    examples=WORDS,
    use="""empty = [[0] * len(words) for words in sentences]
new = Split("new", sentences, empty, ids, model.classes, task="tokens")
predictions = companion.evaluation.predict(model, new)
names = [[model.classes[label] for label in row] for row in predictions.labels]
""",
)
SPANS = _texts(
    what="sentences with spans",
    items="sentences",
    budget="labelled sentences",
    metric="F1 of spans",
    examples=WORDS,
    use="""empty = [[0] * len(words) for words in sentences]
new = Split("new", sentences, empty, ids, model.classes, task="spans")
predictions = companion.evaluation.predict(model, new)
# Of each span its type, its first word, and the word behind its last.
spans = [companion.splits.read_spans(row.tolist(), model.classes) for row in predictions.labels]
""",
)


def recognise(name: str) -> Kind:
    """Return what a path holds: boxes where they are found, texts where a table is, else classes.

    Args:
        name: the path; `~` stands for the home folder.

    Returns:
        `BOXES`, `CLASSES` or `TEXTS`; which kind of texts is known when they are read.
    """
    from companion.boxes import recognise as holds_boxes
    from companion.datasets.tables import recognise as holds_texts

    path = Path(name).expanduser()
    is_of_boxes = path.is_file() and path.suffix.lower() in (".json", ".xml", ".yaml", ".zip")
    if is_of_boxes or (path.is_dir() and holds_boxes(path)):
        return BOXES
    if holds_texts(path):
        return TEXTS
    return BOXES if path.is_file() else CLASSES


def kind_of(splits: Splits) -> Kind:
    """Return what splits hold.

    Args:
        splits: of the datasets `folder`, `boxes` or `table`.
    """
    if splits.card.modality == "vision":
        return BOXES if splits.train.task == "detection" else CLASSES
    if splits.train.task == "classification":
        return TEXTS if isinstance(splits.train.inputs[0], str) else PAIRS
    return SPANS if splits.train.task == "spans" else TOKENS
