"""Numbers into prose, tables that can be read aloud, figures with words."""

from __future__ import annotations

import ast
import dataclasses
import html.parser
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.isotonic import IsotonicRegression

from companion import evaluation, report, study, training
from companion.checks import CompanionError
from companion.evaluation import Interval
from companion.registry import STRATEGIES
from companion.report import recording, study_figures, style
from companion.splits import Split
from companion.study import Run, TestItems

ROOT = Path(__file__).resolve().parents[2]


def made_study(means, *, seeds=5, metric="accuracy"):
    """A study whose runs scatter a little around these means, by (strategy, budget)."""
    budgets = list(dict.fromkeys(budget for _, budget in means))
    names = list(dict.fromkeys(name for name, _ in means if name != "majority"))
    config = {
        "backbone": "glyphnet",
        "dataset": "digits",
        "strategies": dict.fromkeys(names, "plan"),
        "seeds": list(range(seeds)),
        "labels_per_class": budgets,
    }
    task = {"cer": "ctc", "map50": "detection"}.get(metric, "classification")
    items = TestItems("same", task, ("no", "yes"), (1,) * 10, None)
    runs = [
        Run(
            strategy=name,
            seed=seed,
            labels_per_class=budget,
            val=None,
            test={metric: mean + 0.01 * ((3 * seed + len(name)) % 5 - 2)},
            interval=Interval(0, 1),
            errors=(0, 1) * 5,
            predictions=None,
            seconds=2.0,
        )
        for (name, budget), mean in means.items()
        for seed in range(seeds)
    ]
    return study.Study(config, items, tuple(runs), machine="2 CPU cores")


CURVE = {
    ("majority", 1): 0.1,
    ("scratch", 1): 0.3,
    ("lp_ft", 1): 0.6,
    ("majority", 10): 0.1,
    ("scratch", 10): 0.7,
    ("lp_ft", 10): 0.9,
}


def made_scores(num_items=40, classes=("cat", "dog", "owl")):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(num_items) % len(classes)
    logits = torch.randn(num_items, len(classes), generator=generator)
    logits[torch.arange(num_items), labels] += 1.5
    ids = tuple(map(str, range(num_items)))
    split = Split("val", list(ids), labels, ids, classes)
    probabilities = logits.softmax(dim=1)
    return evaluation.score(split, probabilities.argmax(1), probabilities=probabilities)


# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.931, 3, ".931"),
        (0.9996, 3, "1.000"),
        (1.0, 2, "1.00"),
        (0.0, 3, ".000"),
        (-0.0001, 3, ".000"),
        (-0.05, 2, "-.05"),
        (1.762, 3, "1.762"),
        (10.05, 1, "10.1"),
        (math.nan, 3, "-"),
        (None, 3, "-"),
    ],
)
def test_fractions(value, digits, text):
    assert report.format_fraction(value, digits=digits) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.042, "+.042"), (-0.2, "-.200"), (0.0, "+.000"), (-0.00001, "+.000")]
)
def test_differences_have_a_sign(value, text):
    assert report.format_difference(value) == text


def test_means_carry_their_interval_if_they_have_one():
    assert report.format_mean(0.931, Interval(0.917, 0.943)) == ".931 [.92, .94]"
    assert report.format_mean(0.931, None) == ".931"
    assert report.format_interval(Interval(-0.031, 1.0)) == "[-.03, 1.00]"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0421, "42 ms"), (0.9999, "1.0 s"), (7.31, "7.3 s"), (119.9, "119.9 s"), (420, "7.0 min")],
)
def test_seconds_have_a_unit(seconds, text):
    assert report.format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (1500, "1.5 kB"), (1_480_000, "1.5 MB"), (2e9, "2.0 GB")]
)
def test_bytes_have_a_unit(size, text):
    assert report.format_bytes(size) == text


# --- recording ---------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A build's results folder, and a recorder that has not been used."""
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    monkeypatch.setattr(recording, "_results", recording._Results())
    yield tmp_path
    recording._results.path = None


def read(folder, name="vision/image-classification"):
    return json.loads((folder / f"{name}.json").read_text())


def test_records_are_written_at_once_with_their_kind(results):
    report.chapter("vision/image-classification")
    report.record("accuracy", torch.tensor(0.75))
    assert read(results)["accuracy"] == {"value": 0.75, "kind": "result"}
    report.record("train_seconds", np.float32(1.5), kind="cost", text="1.5 s")
    assert read(results)["train_seconds"] == {"value": 1.5, "kind": "cost"}


def test_what_the_chapter_takes_is_measured(results):
    report.chapter("vision/image-classification")
    entries = read(results)
    assert entries["chapter_seconds"]["kind"] == "cost"
    assert 0 <= entries["chapter_seconds"]["value"] < 86400
    assert 50 < entries["chapter_peak_megabytes"]["value"] < 50_000


def test_a_new_run_of_the_chapter_starts_anew(results):
    report.chapter("vision/image-classification")
    report.record("old", 1)
    report.chapter("vision/image-classification")
    assert "old" not in read(results)


def test_the_same_value_again_is_fine_and_another_one_is_not(results):
    report.chapter("vision/image-classification")
    report.record("accuracy", 0.5)
    report.record("accuracy", 0.5)
    with pytest.raises(CompanionError, match="got 0.6 after 0.5"):
        report.record("accuracy", 0.6)
    assert read(results)["accuracy"]["value"] == 0.5
    report.record("seconds_of_a_run", 1.0, kind="cost")
    report.record("seconds_of_a_run", 2.0, kind="cost")


def test_a_record_needs_its_chapter_in_a_build(results):
    with pytest.raises(CompanionError, match="chapter.*before it"):
        report.record("accuracy", 0.5)


def test_without_a_build_nothing_is_written_and_values_may_change(tmp_path, monkeypatch):
    monkeypatch.delenv("COMPANION_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    report.chapter("vision/image-classification")
    report.record("accuracy", 0.5)
    report.record("accuracy", 0.6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["image-classification", "Vision/x", "../x", "a/b/..", 3, ""])
def test_a_chapter_is_part_and_file(name):
    with pytest.raises(CompanionError, match="part and file name"):
        report.chapter(name)


@pytest.mark.parametrize(
    ("name", "value", "options", "message"),
    [
        ("two words", 1, {}, "name to record"),
        ("chapter_seconds", 1, {}, "name to record"),
        ("x", math.nan, {}, "a finite number"),
        ("x", None, {}, "a finite number"),
        ("x", torch.zeros(2), {}, "a finite number"),
        ("x", [1, math.inf], {}, "a finite number"),
        ("x", {"a": 1}, {}, "a finite number"),
        ("x", 1, {"kind": "costs"}, "did you mean 'cost'"),
    ],
)
def test_what_cannot_be_recorded_is_refused(results, name, value, options, message):
    report.chapter("vision/image-classification")
    with pytest.raises(CompanionError, match=message):
        report.record(name, value, **options)


def test_lists_words_and_truths_are_recorded_as_they_are(results):
    report.chapter("vision/image-classification")
    for name, value in {"a": [1, 0.5], "b": "lp_ft", "c": True, "d": (1, 2)}.items():
        report.record(name, value)
    entries = read(results)
    assert [entries[name]["value"] for name in "abcd"] == [[1, 0.5], "lp_ft", True, [1, 2]]


# --- tables ------------------------------------------------------------------------------------


class Reader(html.parser.HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_a_table_is_text_html_and_markdown():
    shown = report.table(
        [
            {"name": "a|b", "items": 1200, "accuracy": 0.5},
            {"name": "<c>", "items": 3, "accuracy": None},
        ],
        caption="Two rows",
        note="A note",
    )
    text = repr(shown).splitlines()
    assert text[0] == "Two rows"
    assert text[3].split() == ["a|b", "1,200", ".500"]
    assert text[-1] == "A note"
    assert len({len(line) for line in text[2:4]}) == 1
    page = shown._repr_html_()
    tags = Reader(page).tags
    assert [attrs["scope"] for tag, attrs in tags if tag == "th"] == ["col"] * 3 + ["row"] * 2
    assert ("caption", {}) in tags
    assert "&lt;c&gt;" in page
    assert "a&#124;b" in shown._repr_markdown_()


def test_rows_of_a_table_have_the_same_columns():
    with pytest.raises(CompanionError, match="name the same columns"):
        report.table([{"a": 1}, {"b": 1}], caption="")
    with pytest.raises(CompanionError, match="at least one row"):
        report.table([], caption="")


def test_a_study_table_stars_what_holds_after_the_correction():
    found = made_study(CURVE)
    shown = report.study_table(found)
    cells = {row[:2]: row for row in shown.rows}
    assert cells["majority", "1"][5] == ""
    assert cells["lp_ft", "1"][5].endswith("*")
    assert cells["lp_ft", "1"][3].startswith(".600 [.5")
    assert "Holm" in shown.note
    assert "Recorded" not in shown.note
    recorded = dataclasses.replace(found, recorded="2026-01-31")
    assert "Recorded on 2026-01-31, 2 CPU cores, in 60.0 s." in report.study_table(recorded).note


def test_three_seeds_are_called_points():
    found = made_study(CURVE, seeds=3)
    rows = report.effects_table(found).rows
    assert [row[4:] for row in rows] == [("points only", "-", "no")] * 2
    assert all("*" not in row[5] for row in report.study_table(found).rows)


def test_an_effects_table_names_its_baseline():
    shown = report.effects_table(made_study(CURVE), baseline="lp_ft")
    assert shown.caption == "Test accuracy minus that of lp_ft"
    assert [row[0] for row in shown.rows] == ["scratch", "scratch"]
    assert [row[3] for row in shown.rows] == ["-.300", "-.200"]
    assert [row[6] for row in shown.rows] == ["yes", "yes"]


def test_scores_slices_and_ledgers_become_tables(images):
    scores = made_scores()
    shown = report.scores_table({"model": scores})
    assert shown.rows[0][:3] == ("model", "val", "40")
    assert shown.rows[0][3] == report.format_fraction(scores.accuracy)
    parts = evaluation.error_slices(scores, [scores.classes[i] for i in scores.labels])
    assert {row[0] for row in report.slices_table(parts).rows} == {"cat", "dog", "owl"}
    result = training.fit(
        images.backbone,
        images.splits,
        strategy="probe",
        recipe=training.Recipe(epochs=1, min_steps=2),
    )
    rows = report.ledger_table(result.ledger).rows
    assert rows[0][3:] == ("frozen", "no")
    assert rows[-1][0] == "head"
    assert rows[-1][-1] == "yes"
    with pytest.raises(CompanionError, match="at least one evaluation"):
        report.scores_table({})


# --- figures -----------------------------------------------------------------------------------


def texts(figure):
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")) if t.get_text()]


def check_figure(figure, *words):
    """Every figure has axis labels, words for those who do not see it, and is shown once."""
    import matplotlib.pyplot as plt

    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []
    alt = report.alt_text(figure)
    assert alt.endswith(".")
    for word in words:
        assert word in alt, alt
    return texts(figure)


def history():
    return training.History(
        losses=[2.0 - 0.01 * i for i in range(100)],
        learning_rates=[1e-3] * 100,
        phases=[("probe", 0), ("fine-tune", 50)],
        evaluations=[training.Evaluation(50, "probe", 1.6), training.Evaluation(100, "x", 1.1)],
    )


def test_a_history_is_drawn_with_units_and_phases():
    shown = check_figure(report.plot_history(history()), "100 steps", "from 2.00", "val 1.10 nats")
    assert {"loss (nats)", "step", "learning rate", "probe", "fine-tune", "val"} <= set(shown)
    with pytest.raises(CompanionError, match="at least one step"):
        report.plot_history(training.History())


def test_a_study_is_drawn_as_points_means_and_intervals():
    figure = report.plot_study(made_study(CURVE), labels_per_class=10)
    shown = check_figure(figure, "lp_ft .900 [.88, .92]", "scratch .700")
    assert {"scratch", "lp_ft", "majority", "10 labels a class"} <= set(shown)
    assert "test accuracy (fraction)" in shown
    points = [c.get_offsets() for c in figure.axes[0].collections if len(c.get_offsets()) == 5]
    wanted = made_study(CURVE).values("lp_ft", 10)
    assert any(sorted(p[:, 0]) == pytest.approx(sorted(wanted.values())) for p in points)


def test_all_budgets_stand_side_by_side_and_strategies_can_be_chosen():
    figure = report.plot_study(made_study(CURVE), strategies=["lp_ft"])
    assert len(figure.axes) == 2
    assert "scratch" not in texts(figure)
    with pytest.raises(CompanionError, match="did you mean 'lp_ft'"):
        report.plot_study(made_study(CURVE), strategies=["lpft"])
    with pytest.raises(CompanionError, match="rows of the study"):
        report.plot_study(made_study(CURVE), labels_per_class=7)


def test_a_recorded_study_is_marked_in_its_figures():
    recorded = dataclasses.replace(made_study(CURVE), recorded="2026-01-31")
    for figure in (report.plot_study(recorded), report.plot_label_curve(recorded)):
        assert any(text.startswith("Recorded on 2026-01-31") for text in texts(figure))
    assert not any("Recorded" in text for text in texts(report.plot_study(made_study(CURVE))))


def test_a_label_curve_needs_two_budgets():
    figure = report.plot_label_curve(made_study(CURVE))
    shown = check_figure(figure, "scratch .300 at 1, .700 at 10")
    assert {"labels a class", "1", "10"} <= set(shown)
    with pytest.raises(CompanionError, match="at least two numbers of labels"):
        report.plot_label_curve(made_study({("scratch", 5): 0.5}))


def test_a_confusion_matrix_says_what_is_confused():
    scores = made_scores()
    shown = check_figure(report.plot_confusion(scores), "3 classes on val", "is found least often")
    assert {"true class", "predicted class", "cat", "fraction of the true class"} <= set(shown)
    counts = evaluation.confusion(scores)
    assert str(int(counts[0, 0])) in shown


def test_names_with_dollars_are_no_formulas():
    names = ("$5", "$x^{$", r"\$\frac$")
    scores = made_scores(classes=names)
    images = torch.rand(3, 1, 8, 8)
    figures = [
        report.plot_confusion(scores),
        report.plot_reliability({names[1]: scores}),
        report.show_images(images, labels=[0, 1, 2], predictions=[0, 2, 1], classes=names),
        report.plot_history(dataclasses.replace(history(), phases=[(names[1], 0)])),
    ]
    for figure in figures:
        figure.canvas.draw()
        assert any("$x^{$" in text for text in texts(figure))
    assert set(names) <= set(texts(figures[0]))


def test_reliability_is_drawn_for_one_model_or_several():
    scores = made_scores()
    error = evaluation.expected_calibration_error(scores.probabilities, scores.labels)
    shown = check_figure(report.plot_reliability(scores), f"{error:.3f}".lstrip("0"))
    assert "confidence (fraction)" in shown
    check_figure(report.plot_reliability({"a": scores, "b": scores}), "a has an", "b has an")
    without = dataclasses.replace(scores, probabilities=None)
    with pytest.raises(CompanionError, match="got no probabilities"):
        report.plot_reliability(without)


def test_images_carry_their_classes_and_mistakes():
    images = torch.rand(5, 1, 8, 8)
    labels, predictions = [0, 1, 1, 0, 1], [0, 1, 0, 0, 1]
    figure = report.show_images(
        images, labels=labels, predictions=predictions, classes=("cat", "dog"), columns=3
    )
    shown = check_figure(figure, "5 images", "dog, not cat")
    assert shown.count("dog") == 2
    assert len(figure.axes) == 6
    colour = (torch.rand(2, 3, 4, 4) * 255).to(torch.uint8)
    check_figure(report.show_images(list(colour)), "2 images.")
    assert "read as 1" in texts(report.show_images(colour, predictions=[1, 0]))
    with pytest.raises(CompanionError, match="labels: got 1; expected 2"):
        report.show_images(colour, labels=[0])
    with pytest.raises(CompanionError, match="at least one image"):
        report.show_images([])


def test_colours_are_okabe_and_itos_and_a_strategy_keeps_its_own():
    assert report.palette()["vermilion"] == "#D55E00"
    assert len(set(report.palette().values())) == 8
    report.palette()["black"] = "white"
    assert report.palette()["black"] == "#000000"
    assert report.strategy_colour("mine") == report.strategy_colour("mine")
    assert report.figure_size(width=0.5, ratio=1.0) == (3.5, 3.5)


@pytest.mark.parametrize("num_more", [0, 42])
def test_no_two_strategies_look_alike(monkeypatch, num_more):
    names = (*STRATEGIES.names(), *(f"more {number}" for number in range(num_more)))
    monkeypatch.setattr(STRATEGIES, "names", lambda: names)
    styles = [style.strategy_style(name) for name in names]
    assert len(set(styles)) == len(styles) >= 8
    assert [report.strategy_colour(name) for name in names] == [colour for colour, _ in styles]


def test_more_strategies_than_styles_begin_again(monkeypatch):
    names = tuple(f"more {number}" for number in range(43))
    monkeypatch.setattr(STRATEGIES, "names", lambda: names)
    assert style.strategy_style(names[42]) == style.strategy_style(names[0])


def test_drawing_leaves_matplotlibs_settings_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    report.plot_history(history())
    assert dict(mpl.rcParams) == before


# --- how many labels from scratch equal k with transfer ----------------------------------------


def test_labels_are_interpolated_over_their_logarithm():
    found = report.labels_from_scratch_equal(
        made_study({**CURVE, ("lp_ft", 1): 0.5}), 1, strategy="lp_ft"
    )
    assert found.score == pytest.approx(0.5)
    assert found.labels == pytest.approx(math.sqrt(10))
    assert found.labels in found.interval
    assert str(found).startswith("3.2 [")
    nearer = report.labels_from_scratch_equal(made_study({**CURVE, ("lp_ft", 1): 0.4}), 1)
    assert nearer.labels == pytest.approx(10**0.25)


def test_what_lies_outside_of_what_was_measured_is_said_so():
    found = made_study(CURVE)
    beyond = report.labels_from_scratch_equal(found, 10)
    assert beyond.labels == math.inf
    assert str(beyond) == "more than 10", "said once where the interval says the same"
    below = report.labels_from_scratch_equal(made_study({**CURVE, ("lp_ft", 1): 0.1}), 1)
    assert below.labels == 0
    assert "fewer than 1" in str(below)


def test_fewer_than_five_seeds_have_no_interval_here_either():
    found = report.labels_from_scratch_equal(made_study(CURVE, seeds=4), 1)
    assert found.interval is None
    assert "[" not in str(found)


def test_error_rates_count_the_other_way_round():
    rates = {key: 1 - value for key, value in {**CURVE, ("lp_ft", 1): 0.5}.items()}
    found = report.labels_from_scratch_equal(made_study(rates, metric="cer"), 1)
    assert found.labels == pytest.approx(math.sqrt(10))
    assert found.score == pytest.approx(0.5)


def test_the_monotone_curve_is_scikit_learns_isotonic_regression():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(size=6).cumsum()
        wanted = IsotonicRegression().fit_transform(range(6), values)
        assert study_figures._monotone(values) == pytest.approx(wanted.tolist())


# --- the report only reports -------------------------------------------------------------------


def imported_at_run_time(tree):
    """Yield the modules that a module imports, those under TYPE_CHECKING left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_report_never_trains():
    files = sorted((ROOT / "companion" / "report").glob("*.py"))
    assert len(files) >= 6
    banned = ("companion.training", "companion.study", "companion.strategies")
    for path in files:
        text = path.read_text()
        for name in imported_at_run_time(ast.parse(text)):
            assert not name.startswith(banned), f"{path.name} imports {name}"
        assert ".backward(" not in text
        assert "companion.training" not in text


def test_a_chapter_asks_for_no_widgets():
    report.chapter("vision/image-classification")
    with warnings.catch_warnings(record=True) as heard:
        warnings.warn("IProgress not found. Please update jupyter and ipywidgets.", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert [str(w.message) for w in heard] == ["something else"]


def test_a_comparison_table_says_in_words_what_holds():
    base = [0.50, 0.52, 0.48, 0.51, 0.49]
    values = {
        "base": base,
        "better": [0.70, 0.71, 0.69, 0.73, 0.68],
        "worse": [0.30, 0.33, 0.28, 0.29, 0.31],
        "alike": [0.51, 0.50, 0.50, 0.49, 0.51],
        "shifted": [x + 0.01 for x in base],
    }
    shown = report.comparison_table(values, "base", caption="All", row="way", score="F1")
    assert shown.header == ("way", "mean F1", "less base")
    assert [row[:2] for row in shown.rows] == [
        ("base", ".500"), ("better", ".702"), ("worse", ".302"), ("alike", ".502"),
        ("shifted", ".510"),
    ]  # fmt: skip
    words = [row[2].partition(",")[0] for row in shown.rows]
    assert words == ["baseline", "higher", "lower", "not told apart", "no claim"]
    assert shown.rows[1][2].startswith("higher, +.202 [.")
    assert "Paired over 5 seeds" in shown.note
    with pytest.raises(CompanionError, match="baseline: got 'none'"):
        report.comparison_table(values, "none", caption="All")


def test_a_claim_is_never_a_difference_of_zero():
    paired = evaluation.Paired(-0.0001, Interval(-0.00022, -0.00005), 0.001, 5)
    assert report.format_paired(paired) == "lower, -.0001 [-.0002, -.0001]"


def test_too_few_seeds_are_no_claim():
    shown = report.comparison_table({"a": [0.1], "b": [0.2]}, "a", caption="One")
    assert shown.note == "Runs a condition: 1, too few for an interval or a claim."
    paired = evaluation.paired_comparison([0.9] * 3, [0.1, 0.2, 0.3])
    assert report.format_paired(paired) == "no claim, +.700"


# --- one line a study --------------------------------------------------------------------------

SCORES = {
    "base": [0.50, 0.52, 0.48, 0.51, 0.49],
    "best": [0.70, 0.71, 0.69, 0.73, 0.68],
    "near": [0.51, 0.50, 0.50, 0.49, 0.51],
}


def test_a_study_by_condition_is_one_line(results):
    report.chapter("foundations/why-transfer")
    report.record_study(
        "warm", SCORES, task="digits", baseline="base", labels=10, seconds={"best": 1.5}
    )
    entries = read(results, "foundations/why-transfer")
    line = entries["study_warm"]["value"]
    paired = evaluation.compare_with_baseline(SCORES, "base")["best"]
    spread = evaluation.t_interval(SCORES["best"])
    assert line["best_score"] == f".702 {report.format_interval(spread)}"
    assert line["difference"] == report.format_paired(paired)
    assert line["difference"].startswith("higher, +.202")
    assert {key: line[key] for key in ("task", "labels", "best", "baseline", "seeds", "live")} == {
        "task": "digits", "labels": 10, "best": "best", "baseline": "base", "seeds": 5,
        "live": True,
    }  # fmt: skip
    assert entries["study_warm"]["kind"] == "result"
    assert entries["study_warm_seconds"] == {"value": 1.5, "kind": "cost"}


def test_a_baseline_may_be_the_best(results):
    report.chapter("foundations/why-transfer")
    report.record_study("x", SCORES, task="digits", baseline="best", labels="none")
    line = read(results, "foundations/why-transfer")["study_x"]["value"]
    assert (line["best"], line["difference"]) == ("best", "the baseline itself is best")


def test_a_study_of_two_budgets_is_two_lines(results):
    report.chapter("vision/image-classification")
    made = made_study({("majority", 1): 0.9, ("scratch", 1): 0.3, ("probe", 1): 0.5,
                       ("majority", 5): 0.9, ("scratch", 5): 0.7, ("probe", 5): 0.6})  # fmt: skip
    report.record_study("ladder", dataclasses.replace(made, recorded="2026-01-01"), task="digits")
    entries = read(results)
    one, five = entries["study_ladder_1"]["value"], entries["study_ladder_5"]["value"]
    assert (one["best"], one["conditions"], one["live"]) == ("probe", 2, False)
    assert one["difference"] == report.format_paired(
        next(e.paired for e in made.effects() if e.labels_per_class == 1)
    )
    assert (five["best"], five["difference"]) == ("scratch", "the baseline itself is best")
    assert entries["study_ladder_1_seconds"] == {"value": 2.0, "kind": "result"}


def test_a_study_of_detectors_is_a_line_too(results):
    report.chapter("vision/image-classification")
    means = {("majority", 20): 0.0, ("scratch", 20): 0.3, ("full", 20): 0.5}
    report.record_study("found", made_study(means, metric="map50"), task="cells")
    assert read(results)["study_found_20"]["value"]["best"] == "full"


def test_studies_that_cannot_be_a_line(results):
    report.chapter("vision/image-classification")
    with pytest.raises(CompanionError, match="labels of study 'x': got None"):
        report.record_study("x", SCORES, task="digits", baseline="base")
    with pytest.raises(CompanionError, match="baseline: got 'none'"):
        report.record_study("x", SCORES, task="digits", baseline="none", labels=1)
    with pytest.raises(CompanionError, match="name to record"):
        report.record_study("two words", SCORES, task="digits", baseline="base", labels=1)
    means = {("majority", 1): 0.1, ("scratch", 1): 0.3, ("probe", 1): 0.5}
    with pytest.raises(CompanionError, match="metric of study 'x': got cer"):
        report.record_study("x", made_study(means, metric="cer"), task="speech")
    made = made_study(means)
    broken = dataclasses.replace(made, runs=made.runs[:-1])
    with pytest.raises(CompanionError, match="study 'x': got 14 finished runs.*let the study fin"):
        report.record_study("x", broken, task="digits")
    with pytest.raises(CompanionError, match="scores of study 'x': got a list"):
        report.record_study("x", [1, 2], task="digits")
    options = {"task": "digits", "baseline": "base"}
    with pytest.raises(CompanionError, match="labels of study 'x': got 1.5"):
        report.record_study("x", SCORES, labels=1.5, **options)
    with pytest.raises(CompanionError, match="seconds of 'best': got nan"):
        report.record_study("x", SCORES, labels=1, seconds={"best": math.nan}, **options)
    with pytest.raises(CompanionError, match="seconds of study 'x': got 'bset'"):
        report.record_study("x", SCORES, labels=1, seconds={"bset": 1.0}, **options)
    with pytest.raises(CompanionError, match="value of 'y': got .* plain, finite values"):
        recording.record_entry("y", {"labels": np.int64(1)})
    report.record_study("z", SCORES, labels=np.int64(1), **options)
    report.record("w", 1)
    assert read(results)["study_z"]["value"]["labels"] == 1


def test_a_live_study_with_all_labels_and_another_baseline(results):
    report.chapter("vision/image-classification")
    means = {("majority", None): 0.1, ("scratch", None): 0.3, ("probe", None): 0.5}
    made = made_study(means)
    runs = tuple(dataclasses.replace(run, seconds=float(run.seed)) for run in made.runs)
    made = dataclasses.replace(made, runs=runs)
    report.record_study("x", made, task="digits", baseline="probe")
    entries = read(results)
    line = entries["study_x_all"]["value"]
    assert (line["labels"], line["live"], line["best"]) == ("all", True, "probe")
    assert line["baseline_score"] == line["best_score"]
    assert line["baseline_score"].startswith(".5")
    assert entries["study_x_all_seconds"] == {"value": 2.0, "kind": "cost"}
    report.record_study("few", {"a": [0.1], "b": [0.2]}, task="t", baseline="a", labels=1)
    line = read(results)["study_few"]["value"]
    assert (line["best_score"], line["baseline_score"]) == (".200", ".100")
    assert line["difference"] == "no claim, +.100"


def test_budgets_name_what_they_count(case):
    recipe = training.Recipe(epochs=1, min_steps=1)
    found = study.compare(
        case.backbone, case.splits, strategies=["scratch"], seeds=[0], recipe=recipe
    )
    text = report.study_table(found)._repr_html_()
    units = ["labels a class", "labelled images", "labelled sentences", "labelled recordings"]
    unit = {"classification": 0, "detection": 1, "spans": 2, "ctc": 3}[found.items.task]
    assert [name in text for name in units] == [position == unit for position in range(4)]
