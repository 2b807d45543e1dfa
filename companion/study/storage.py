"""A study as one JSON file: small, checked, whole or not there at all."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from companion import checks, runtime
from companion.batches import ImageAugment
from companion.evaluation import Interval
from companion.study.results import Study
from companion.study.rows import Run, TestItems
from companion.training import Recipe

__all__ = ["FORMAT", "load", "recipe_from_dict", "save"]

FORMAT = 2
"""Version of the file's schema; a file of another one is refused."""

MAX_PREDICTED = 2000
"""Of a larger test set the file keeps which items were mistaken, and not for what."""


def save(study: Study, path: str | Path) -> Path:
    """Write a study as JSON, whole or not at all.

    Args:
        study: the study; kept models are not written.
        path: where to.

    Returns:
        The path.

    Raises:
        CompanionError: no permission, or no room; the file that was there is untouched.
    """
    head = {
        "format": FORMAT,
        "config": dict(study.config),
        "config_hash": study.config_hash,
        "dependencies": study.dependencies,
        "versions": dict(study.versions),
        "machine": study.machine,
        "recorded": study.recorded,
        "seconds": round(study.seconds, 1),
        "items": _items_to_dict(study.items),
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    runs = ",\n".join(
        json.dumps(_run_to_dict(run, study.items), allow_nan=False) for run in study.runs
    )
    return runtime.atomic_write(path, "{\n" + ",\n".join(lines) + f',\n"runs": [\n{runs}\n]\n}}\n')


def load(path: str | Path) -> Study:
    """Read a study that `save` wrote.

    Args:
        path: the file.

    Raises:
        CompanionError: no such file, or not a study of this format.
    """
    path = checks.existing_file("study", path, do="record it with `make studies`")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            _refuse(path, f"format {values['format']}")
        study = _study_from_dict(values)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        if isinstance(error, checks.CompanionError):
            raise
        _refuse(path, f"{type(error).__name__}: {error}")
    if study.config_hash != values["config_hash"]:
        _refuse(path, "a config that was changed by hand")
    return study


def _refuse(path: Path, got: str) -> None:
    """Raise the error of a file that is no study."""
    checks.fail(
        f"study {path}",
        got=got,
        expected=f"a study file of format {FORMAT}",
        do="delete it and run the study again",
    )


def recipe_from_dict(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe that `Recipe.as_dict` wrote, or one from some of its fields.

    Args:
        values: fields of a recipe; `augment` is a table of the fields of an `ImageAugment`.

    Raises:
        CompanionError: a field that recipes do not have; near matches are listed.
    """
    known = [field.name for field in dataclasses.fields(Recipe)]
    for name in values:
        checks.one_of("field of the recipe", name, known)
    given = dict(values)
    if given.get("augment") is not None:
        given["augment"] = ImageAugment(**{"seed": 0, **given["augment"]})
    return Recipe(**given)


def _study_from_dict(values: dict[str, Any]) -> Study:
    """Return the study of a file's values."""
    items = _items_from_dict(values["items"])
    return Study(
        config=values["config"],
        items=items,
        runs=tuple(_run_from_dict(run, items) for run in values["runs"]),
        dependencies=values["dependencies"],
        versions=values["versions"],
        machine=values["machine"],
        recorded=values["recorded"],
    )


def _items_to_dict(items: TestItems) -> dict[str, Any]:
    """Return what the runs were judged on as plain values."""
    return {
        "fingerprint": items.fingerprint,
        "task": items.task,
        "classes": list(items.classes),
        "num_items": len(items.sizes),
        "sizes": pack(items.sizes),
        "labels": None if items.labels is None else pack(items.labels),
        "groups": None if items.groups is None else pack(items.groups),
    }


def _items_from_dict(values: dict[str, Any]) -> TestItems:
    """Return what `_items_to_dict` wrote."""
    num_items, labels, groups = values["num_items"], values["labels"], values["groups"]
    return TestItems(
        fingerprint=values["fingerprint"],
        task=values["task"],
        classes=tuple(values["classes"]),
        sizes=unpack(values["sizes"], num_items),
        labels=None if labels is None else unpack(labels, num_items),
        groups=None if groups is None else unpack(groups, num_items),
    )


def _run_to_dict(run: Run, items: TestItems) -> dict[str, Any]:
    """Return a run as plain values; predictions of few items as their distance from the labels."""
    values: dict[str, Any] = {
        "strategy": run.strategy,
        "seed": run.seed,
        "labels_per_class": run.labels_per_class,
        "val": run.val,
        "test": {name: None if math.isnan(x) else x for name, x in run.test.items()},
        "interval": dataclasses.astuple(run.interval),
        "recipe": run.recipe,
        "num_steps": run.num_steps,
        "seconds": round(run.seconds, 2),
    }
    is_small = len(items.sizes) <= MAX_PREDICTED
    if run.predictions is None or items.labels is None or not is_small:
        return values | {"errors": pack(run.errors)}
    distances = [
        (p - t) % len(items.classes) for p, t in zip(run.predictions, items.labels, strict=True)
    ]
    return values | {"predictions": pack(distances)}


def _run_from_dict(values: dict[str, Any], items: TestItems) -> Run:
    """Return what `_run_to_dict` wrote."""
    fields = {k: v for k, v in values.items() if k not in ("predictions", "errors")}
    fields["test"] = {n: math.nan if x is None else x for n, x in values["test"].items()}
    fields["interval"] = Interval(*values["interval"])
    num_items, num_classes = len(items.sizes), len(items.classes)
    if items.labels is None or "errors" in values:
        return Run(errors=unpack(values["errors"], num_items), predictions=None, **fields)
    distances = unpack(values["predictions"], num_items)
    return Run(
        errors=tuple(int(distance != 0) for distance in distances),
        predictions=tuple(
            (t + d) % num_classes for t, d in zip(items.labels, distances, strict=True)
        ),
        **fields,
    )


def pack(numbers: tuple[int, ...] | list[int]) -> str:
    """Return non-negative integers below 2**16 as a short text.

    Args:
        numbers: such as distances of predictions from labels, most of them 0.

    Raises:
        CompanionError: a number outside the range.
    """
    import numpy as np

    array = np.asarray(numbers, dtype=np.int64)
    if len(array) and not 0 <= array.min() <= array.max() < 2**16:
        checks.fail("numbers to pack", got=int(array.max()), expected="0..65535", do="store fewer")
    if array.max(initial=0) <= 1:
        return "1:" + _as_text(np.packbits(array.astype(np.uint8)).tobytes())
    return "16:" + _as_text(array.astype("<u2").tobytes())


def _as_text(content: bytes) -> str:
    """Return bytes as a short text."""
    return base64.b85encode(zlib.compress(content, 9)).decode()


def unpack(text: str, num_items: int) -> tuple[int, ...]:
    """Return the numbers that `pack` wrote.

    Args:
        text: what it returned.
        num_items: how many numbers there must be.

    Raises:
        CompanionError: there are more or fewer.
    """
    import numpy as np

    bits, _, packed = text.partition(":")
    content = zlib.decompress(base64.b85decode(packed))
    numbers = np.frombuffer(content, dtype="<u2" if bits == "16" else np.uint8)
    if bits == "1" and len(numbers) == -(-num_items // 8):
        numbers = np.unpackbits(numbers, count=num_items)
    if len(numbers) != num_items:
        checks.fail(
            "packed numbers", got=len(numbers), expected=num_items, do="record the study again"
        )
    return tuple(numbers.tolist())
