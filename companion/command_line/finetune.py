"""`finetune PATH`: the strategy ladder, compared honestly on the reader's own images or texts.

A folder of images a class becomes a classifier; images with boxes in the format of Pascal VOC, COCO
or YOLO become a detector. A table of texts becomes a classifier of texts, and sentences in the
format of CoNLL a model that labels words or spans.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion import checks, runtime
from companion.checks import CompanionError
from companion.command_line.boxes import naming_a_damaged_zip
from companion.command_line.kinds import BOXES, CLASSES, Kind, kind_of, recognise
from companion.command_line.notes import telling_warnings

if TYPE_CHECKING:
    from companion.backbones import Backbone
    from companion.heads import Model
    from companion.splits import Splits
    from companion.study import Row, Run, Study
    from companion.training import Recipe

__all__ = ["add_parser", "best_row", "report_page", "run"]

MODEL, STUDY, REPORT = "model.safetensors", "study.json", "report.md"


def add_parser(commands: Any) -> None:
    """Add the command `finetune` to the parser.

    Args:
        commands: what `add_subparsers` returned.

    Modifies: `commands`.
    """
    parser = commands.add_parser(
        "finetune", help="compare strategies on your own images or texts", allow_abbrev=False
    )
    add = parser.add_argument
    add(
        "folder",
        metavar="PATH",
        help="one folder of images a class, or train, val and test with such folders; or images "
        "with boxes as VOC, COCO or YOLO has them, or a zip of these; or texts: a file .csv, .tsv, "
        ".jsonl or .conll, or a folder with such files named train, val and test",
    )
    add("--backbone", help="default: glyphnet; for boxes spotnet, for texts minilm")
    add("--image-size", type=int, metavar="PIXELS", help="side of the images (default: its own)")
    _add_of_tables(parser)
    add(
        "--strategies",
        nargs="+",
        default=["scratch", "probe", "lp_ft"],
        metavar="NAME",
        help="default: scratch probe lp_ft",
    )
    add("--seeds", type=int, default=5, help="how many draws (default: 5, the fewest for a claim)")
    add(
        "--labels-per-class",
        type=int,
        metavar="K",
        help="budget a class; for boxes the labelled images in all, for CoNLL sentences "
        "(default: all)",
    )
    add("--epochs", type=int, help="passes over the items (default: the recipe's; for texts 4)")
    add("--min-steps", type=int, help="fewest optimizer steps (default: the recipe's)")
    rate = "of a whole network (default: the recipe's; for texts 5e-5)"
    add("--learning-rate", type=float, help=rate)
    add("--balanced", action="store_true", help="weigh rare classes as much as common ones")
    add("--device", help="such as cpu or cuda (default: the best there is)")
    add("--out", default="finetuned", metavar="DIR", help="where to write (default: finetuned)")
    parser.set_defaults(run=run)


def _add_of_tables(parser: argparse.ArgumentParser) -> None:
    """Add the options of tables of texts."""
    add = parser.add_argument
    add("--text-column", metavar="NAME", help="column of the texts (default: text)")
    add("--label-column", metavar="NAME", help="column of their classes (default: label)")
    repair = "read spans that begin with I- as if with B- (default: stop there)"
    add("--repair", action="store_true", help=repair)
    leave_out = "leave out texts with two labels or in two parts (default: stop there)"
    add("--leave-out", action="store_true", help=leave_out)


def run(options: argparse.Namespace) -> int:
    """Compare the strategies, choose one on val, write study, model and report."""
    from companion import compare, load_backbone
    from companion.model_files import save_model
    from companion.report import study_table
    from companion.training.checkpoints import check_writable

    out = Path(options.out)
    seeds = range(checks.positive_int("--seeds", options.seeds))
    runtime.pick_device(options.device)
    kind = recognise(options.folder)
    recipe = _recipe(options, kind)
    check_writable(out)
    _check_options(options, kind)
    backbone = load_backbone(options.backbone or kind.backbone, image_size=options.image_size)
    archive = Path(options.folder)
    naming = naming_a_damaged_zip(archive) if kind is BOXES else contextlib.nullcontext()
    with telling_warnings(), naming:
        splits = _splits(options, kind)
    kind = kind_of(splits)
    _check_balanced(options, kind)
    _check_can_choose(splits, kind)
    with _naming_the_option(out):
        study = compare(
            backbone,
            splits,
            strategies=options.strategies,
            seeds=seeds,
            recipe=recipe,
            device=options.device,
            path=out / STUDY,
        )
    best = best_row(study)
    chosen, model = _trained_again(study, best, backbone, splits, recipe, options.device)
    save_model(model, out / MODEL, notes={"strategy": best.strategy, "seed": str(chosen.seed)})
    runtime.atomic_write(out / REPORT, report_page(study, splits, best, chosen))
    print(study_table(study, caption=_caption(study, splits)))
    print(f"\n{_choice(best, kind)}\nWritten: {out / MODEL}, {out / STUDY}, {out / REPORT}")
    return 0


def _splits(options: argparse.Namespace, kind: Kind) -> Splits:
    """Return the reader's own data as splits."""
    from companion import load_dataset
    from companion.datasets import load_table

    budget = options.labels_per_class
    if kind.modality == "vision":
        return load_dataset(kind.dataset, path=options.folder, labels_per_class=budget)
    return load_table(
        options.folder,
        text=options.text_column or "text",
        label=options.label_column or "label",
        repair=options.repair,
        leave_out=options.leave_out,
        labels_per_class=budget,
    )


def _check_options(options: argparse.Namespace, kind: Kind) -> None:
    """Refuse options and a backbone that are for another kind of data."""
    import companion.backbones  # noqa: F401  (puts their cards into the registry)
    from companion.registry import BACKBONES

    given = {
        "vision": {"--image-size": options.image_size is not None},
        "language": {
            "--text-column": options.text_column is not None,
            "--label-column": options.label_column is not None,
            "--repair": options.repair,
            "--leave-out": options.leave_out,
        },
    }
    for modality, names in given.items():
        for name, is_given in names.items():
            if is_given and modality != kind.modality:
                checks.fail(
                    name,
                    got=f"{kind.what}, {options.folder}",
                    expected="images" if modality == "vision" else "a table of texts",
                    do="leave the option out",
                )
    card = BACKBONES.get(options.backbone or kind.backbone)
    if card.modality != kind.modality:
        fitting = [other.name for other in BACKBONES if other.modality == kind.modality]
        checks.fail(
            "--backbone",
            got=f"{card.name!r}, one of {card.modality}, for {kind.what}",
            expected=f"one of {kind.modality}: {', '.join(fitting)}",
            do="name another one, or leave the option out",
        )


def _check_balanced(options: argparse.Namespace, kind: Kind) -> None:
    """Refuse to weigh classes of which an item holds several: those of boxes and of words."""
    if options.balanced and kind.budget != CLASSES.budget:
        checks.fail(
            "--balanced",
            got=f"{kind.what}, {options.folder}",
            expected=f"{CLASSES.what}, or a table of texts"
            if kind.modality == "language"
            else CLASSES.what,
            do="leave the option out",
        )


@contextlib.contextmanager
def _naming_the_option(out: Path) -> Iterator[None]:
    """Say of a folder that holds another comparison which option names another folder."""
    try:
        yield
    except CompanionError as error:
        if "another study" not in str(error):
            raise
        checks.fail(
            f"--out {out}",
            got=str(error).partition(": got ")[2].partition(";")[0],
            expected="a folder of its own for each comparison",
            do="name another one with --out, or delete this one",
        )


def _recipe(options: argparse.Namespace, kind: Kind = CLASSES) -> Recipe:
    """Return the default recipe of a kind with what was asked for."""
    from companion.training import Recipe

    asked = {
        "epochs": kind.epochs if options.epochs is None else options.epochs,
        "min_steps": options.min_steps,
        "learning_rate": kind.learning_rate
        if options.learning_rate is None
        else options.learning_rate,
        "class_weights": "balanced" if options.balanced else None,
    }
    return Recipe(**{name: value for name, value in asked.items() if value is not None})


def _check_can_choose(splits: Splits, kind: Kind) -> None:
    """Refuse a budget that leaves no val to choose a strategy by."""
    if splits.val is None:
        checks.fail(
            "--labels-per-class",
            got=splits.labels_per_class,
            expected=f"5 or more {kind.budget}: with fewer there is no val to choose a strategy by",
            do=f"label more {kind.items}, or leave the option out to use all",
        )


def best_row(study: Study) -> Row:
    """Return the strategy with the best mean on val; test is not looked at.

    Of equals the first is taken, training from scratch last of all.

    Args:
        study: with val in every run of a strategy.

    Raises:
        CompanionError: no strategy has a val.
    """
    rows = [row for row in study.rows() if row.val is not None and not math.isnan(row.val)]
    checks.non_empty("strategies with a val", rows, do="use a budget of 5 or more")
    return max(rows, key=lambda row: (row.val or 0.0, row.strategy != "scratch"))


def _trained_again(
    study: Study,
    best: Row,
    backbone: Backbone,
    splits: Splits,
    recipe: Recipe,
    device: str | None,
) -> tuple[Run, Model]:
    """Return the run of the best strategy that is best on its val, with its model.

    It is trained once more, to the same weights: keeping the models of all runs would take as many
    times the memory.
    """
    from companion import fit

    runs = [study.run(best.strategy, seed, best.labels_per_class) for seed in study.seeds]
    chosen = max(runs, key=lambda run: run.val or 0.0)
    result = fit(
        backbone,
        splits.redraw(seed=chosen.seed),
        strategy=chosen.strategy,
        seed=chosen.seed,
        recipe=recipe,
        device=device,
    )
    return chosen, result.model


def _caption(study: Study, splits: Splits) -> str:
    """Return what the table shows."""
    return f"{study.config['backbone']} on {splits.card.title}"


def _choice(best: Row, kind: Kind) -> str:
    """Return the choice and what may be expected of it, in one sentence."""
    from companion.report import format_fraction, format_interval

    num_draws = f"{len(best.values)} draw{'s' if len(best.values) > 1 else ''}"
    return (
        f"Chosen on val: {best.strategy}, {kind.metric} {format_fraction(best.val)} there. "
        f"On test, which was not used to choose, {format_fraction(best.mean)} over "
        f"{num_draws} (other test {kind.items}: {format_interval(best.items_interval)})."
    )


def report_page(study: Study, splits: Splits, best: Row, chosen: Run) -> str:
    """Return the report of a comparison as one page of Markdown.

    Args:
        study: the comparison.
        splits: what it was made on.
        best: the strategy that was chosen on val.
        chosen: the run whose model was saved.
    """
    from companion.report import effects_table, study_table

    kind = kind_of(splits)
    notes = "" if kind is CLASSES else f" {splits.card.notes}"
    sizes = {"train": splits.train, "val": splits.val, "test": splits.test}
    counted = ", ".join(f"{name} {len(part)}" for name, part in sizes.items() if part is not None)
    few = "" if len(study.seeds) >= 5 else "Fewer than five seeds: points, not claims.\n\n"
    return f"""# Fine-tuning {splits.card.title}

{kind.items.capitalize()} from `{splits.card.source}`, {len(splits.card.classes)} classes
({", ".join(splits.card.classes)}); {kind.items}: {counted}. Train and val are drawn anew for
every seed; test stays the same and was read once, after all choices.{notes}

{study_table(study, caption=_caption(study, splits))._repr_markdown_()}

{effects_table(study)._repr_markdown_()}

{few}{_choice(best, kind)}

`{MODEL}` is the run of {chosen.strategy} with seed {chosen.seed}, the best of its draws on val.
To use it:

```python
{kind.usage.format(model=MODEL)}```
"""
