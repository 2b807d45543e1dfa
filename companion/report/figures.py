"""Figures of one training or one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from companion import checks
from companion.evaluation import (
    Scores,
    class_recalls,
    confusion,
    expected_calibration_error,
    reliability_bins,
)
from companion.report.numbers import format_fraction
from companion.report.style import figure_size, finish, new_figure, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_confusion", "plot_history", "plot_reliability", "show_images"]

MAX_NUMBERED_CLASSES = 20
_LINES = (("blue", "o"), ("vermilion", "s"), ("green", "^"), ("purple", "D"), ("orange", "v"))


class History(Protocol):
    """What a training tells of itself."""

    losses: list[float]
    learning_rates: list[float]
    phases: list[tuple[str, int]]
    evaluations: list[Any]


def plot_history(history: History) -> Figure:
    """Draw losses and learning rate of one training.

    Args:
        history: from `Result.history`.

    Raises:
        CompanionError: nothing was trained.
    """
    checks.non_empty("history", history.losses, do="train at least one step")
    figure, axes = new_figure(2, 1, sharex=True, height_ratios=[3, 1])
    loss_axes, rate_axes = axes[:, 0]
    colours = palette()
    _draw_losses(loss_axes, history, colours)
    rate_axes.plot(history.learning_rates, color=colours["green"])
    rate_axes.set(xlabel="step", ylabel="learning rate")
    for name, start in history.phases:
        loss_axes.axvline(start, color="#767676", linewidth=0.8, linestyle=":")
        loss_axes.annotate(
            name, (start, 1), xycoords=("data", "axes fraction"), xytext=(3, 2),
            textcoords="offset points", fontsize=8, color="#555555", parse_math=False,
        )  # fmt: skip
    first, last = history.losses[0], _smooth(history.losses)[-1]
    words = f"Training loss over {len(history.losses)} steps, from {first:.2f} to {last:.2f} nats"
    if history.evaluations:
        best = min(evaluation.loss for evaluation in history.evaluations)
        words += f"; lowest loss on val {best:.2f} nats"
    return finish(figure, alt=f"{words}; below it the learning rate.")


def _draw_losses(axes: Axes, history: History, colours: Mapping[str, str]) -> None:
    """Draw the losses of train and val."""
    axes.plot(history.losses, color=colours["sky blue"], linewidth=0.7, alpha=0.7)
    axes.plot(_smooth(history.losses), color=colours["blue"], label="train (running mean)")
    if history.evaluations:
        steps = [evaluation.step for evaluation in history.evaluations]
        losses = [evaluation.loss for evaluation in history.evaluations]
        axes.plot(steps, losses, color=colours["vermilion"], marker="o", markersize=3, label="val")
    axes.set(ylabel="loss (nats)", ylim=(0, None))
    axes.legend(frameon=False)


def _smooth(values: Sequence[float]) -> list[float]:
    """Return a running mean over the last twentieth of the values."""
    width = max(1, len(values) // 20)
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    starts = [max(0, i + 1 - width) for i in range(len(values))]
    return [(sums[i + 1] - sums[s]) / (i + 1 - s) for i, s in enumerate(starts)]


def plot_confusion(scores: Scores) -> Figure:
    """Draw which class was taken for which.

    Args:
        scores: of a task with one class an item or a token.

    Raises:
        CompanionError: the task has no confusion matrix.
    """
    counts = confusion(scores)
    shares = counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1)
    figure, axes = new_figure(figsize=figure_size(width=0.85, ratio=0.85))
    axes = axes[0, 0]
    image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    ticks = range(len(scores.classes))
    rotation = 90 if _are_long(scores.classes) else 0
    axes.set_xticks(ticks, scores.classes, rotation=rotation, parse_math=False)
    axes.set_yticks(ticks, scores.classes, parse_math=False)
    axes.set(xlabel="predicted class", ylabel="true class")
    if len(scores.classes) <= MAX_NUMBERED_CLASSES:
        _write_counts(axes, counts, shares)
    figure.colorbar(image, ax=axes, label="fraction of the true class", shrink=0.8)
    return finish(figure, alt=_confusion_words(scores, counts))


def _are_long(names: Sequence[str]) -> bool:
    """Return whether names need to stand upright."""
    return max(map(len, names)) * len(names) > 40


def _write_counts(axes: Axes, counts: Tensor, shares: Tensor) -> None:
    """Write each count that is not 0 into its field."""
    for row, column in counts.nonzero().tolist():
        colour = "white" if float(shares[row, column]) > 0.5 else "black"
        text = str(int(counts[row, column]))
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def _confusion_words(scores: Scores, counts: Tensor) -> str:
    """Return what a confusion matrix shows."""
    wrong = counts.clone().fill_diagonal_(0)
    row, column = divmod(int(wrong.argmax()), len(scores.classes))
    recalls = {name: value for name, value in class_recalls(scores).items() if value == value}
    worst = min(recalls, key=recalls.__getitem__)
    words = (
        f"Confusion matrix of {len(scores.classes)} classes on {scores.split}: accuracy "
        f"{format_fraction(scores.accuracy)}; {worst} is found least often "
        f"({format_fraction(recalls[worst])} of its items)"
    )
    if int(wrong.max()):
        words += (
            f"; the most frequent mistake takes {scores.classes[row]} for "
            f"{scores.classes[column]} ({int(wrong.max())} times)"
        )
    return f"{words}."


def show_images(
    images: Sequence[Tensor] | Tensor,
    *,
    labels: Sequence[int] | Tensor | None = None,
    predictions: Sequence[int] | Tensor | None = None,
    classes: Sequence[str] | None = None,
    columns: int = 8,
) -> Figure:
    """Draw images in rows, with their true and predicted classes.

    Args:
        images: each (channels, height, width) with 1 or 3 channels, uint8 or float in [0, 1].
        labels: true class ids, one an image.
        predictions: predicted class ids, one an image.
        classes: names of the class ids; `None` prints the ids.
        columns: images a row.

    Raises:
        CompanionError: no images, or as many labels as there are not images.
    """
    checks.positive_int("columns", columns)
    checks.non_empty("images", range(len(images)), do="choose at least one image")
    for name, values in (("labels", labels), ("predictions", predictions)):
        if values is not None and len(values) != len(images):
            checks.fail(name, got=len(values), expected=f"{len(images)}, one an image", do="match")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    size = figure_size(width=min(1.0, columns / 8))
    height = size[0] / columns * (1.3 if labels is not None else 1.05) * rows
    figure, axes = new_figure(rows, columns, figsize=(size[0], height))
    for position, place in enumerate(axes.flat):
        place.axis("off")
        if position < len(images):
            _draw_image(place, images[position])
            title, is_wrong = _title(position, labels, predictions, classes)
            colour = palette()["vermilion"] if is_wrong else "black"
            place.set_title(title, fontsize=8, color=colour, parse_math=False)
    titles = [_title(i, labels, predictions, classes)[0] for i in range(len(images))]
    named = "; ".join(title.replace("\n", " ") for title in titles[:20] if title)
    return finish(figure, alt=f"{len(images)} images{': ' + named if named else ''}.")


def _draw_image(axes: Axes, image: Tensor) -> None:
    """Draw one image."""
    pixels = torch.as_tensor(image).detach().cpu()
    if pixels.shape[0] == 1:
        limit = 255 if pixels.dtype == torch.uint8 else 1
        axes.imshow(pixels[0].numpy(), cmap="gray", vmin=0, vmax=limit)
    else:
        axes.imshow(pixels.permute(1, 2, 0).numpy())


def _title(
    position: int,
    labels: Sequence[int] | Tensor | None,
    predictions: Sequence[int] | Tensor | None,
    classes: Sequence[str] | None,
) -> tuple[str, bool]:
    """Return the words above an image, and whether it was mistaken."""

    def name(values: Sequence[int] | Tensor) -> str:
        number = int(values[position])
        return str(number) if classes is None else classes[number]

    if labels is None:
        return ("" if predictions is None else f"read as {name(predictions)}"), False
    if predictions is None or int(predictions[position]) == int(labels[position]):
        return name(labels), False
    return f"{name(labels)}, not\n{name(predictions)}", True


def plot_reliability(scores: Scores | Mapping[str, Scores], *, num_bins: int = 15) -> Figure:
    """Draw accuracy over confidence: on the diagonal a confidence means what it says.

    Args:
        scores: with probabilities; several by their names.
        num_bins: bins of equal width.

    Raises:
        CompanionError: scores without probabilities.

    Reference: guo2017calibration, fig. 1
    """
    named = {"model": scores} if isinstance(scores, Scores) else dict(scores)
    figure, axes = new_figure(figsize=figure_size(width=0.7, ratio=0.9))
    axes = axes[0, 0]
    axes.plot([0, 1], [0, 1], color="#767676", linestyle="--", linewidth=1)
    words = []
    colours = [palette()[name] for name in ("blue", "vermilion", "green", "purple", "orange")]
    for number, (name, value) in enumerate(named.items()):
        error = _draw_reliability(
            axes, name, value, num_bins, colours[number % len(colours)], "os^Dv"[number % 5]
        )
        words.append(f"{name} has an expected calibration error of {format_fraction(error)}")
    axes.set(xlabel="confidence (fraction)", ylabel="accuracy (fraction)", xlim=(0, 1), ylim=(0, 1))
    for text in axes.legend(loc="lower right", frameon=False).get_texts():
        text.set_parse_math(False)
    return finish(figure, alt=f"Accuracy over confidence in {num_bins} bins: {', '.join(words)}.")


def _draw_reliability(
    axes: Axes, name: str, scores: Scores, num_bins: int, colour: str, marker: str
) -> float:
    """Draw one model's bins and return its expected calibration error."""
    if scores.probabilities is None or not isinstance(scores.labels, Tensor):
        checks.fail(
            f"scores of {name}",
            got="no probabilities",
            expected="one row of probabilities an item",
            do="evaluate a classification with `companion.evaluate`",
        )
    filled = [
        row
        for row in reliability_bins(scores.probabilities, scores.labels, num_bins=num_bins)
        if row.num_items
    ]
    error = expected_calibration_error(scores.probabilities, scores.labels, num_bins=num_bins)
    axes.plot(
        [row.confidence for row in filled],
        [row.accuracy for row in filled],
        color=colour,
        marker=marker,
        label=f"{name}, calibration error {format_fraction(error)}",
    )
    return error
