"""Studies: what is run, what is claimed, what is saved and what makes a saved one stale."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from companion import evaluation, report, study
from companion.checks import CompanionError
from companion.evaluation import Interval
from companion.splits import TestSplit
from companion.strategies import Adaptation, Phase, plan
from companion.study import comparing, provenance, recordings, storage
from companion.study.rows import MAJORITY, Run, TestItems
from companion.training import Recipe

TINY = Recipe(epochs=1, min_steps=4)


def made_study(scores, *, labels_per_class=(5,), num_items=20, metric_task="classification"):
    """A study with these numbers of right items, by (strategy, labels_per_class), one a seed."""
    labels = tuple(i % 2 for i in range(num_items))
    items = TestItems("same", metric_task, ("no", "yes"), (1,) * num_items, labels)
    names = list(dict.fromkeys(name for name, _ in scores if name != MAJORITY))
    num_seeds = len(next(iter(scores.values())))
    config = {
        "backbone": "made",
        "dataset": "up",
        "strategies": dict.fromkeys(names, "plan"),
        "seeds": list(range(num_seeds)),
        "labels_per_class": list(labels_per_class),
        "recipes": [Recipe().as_dict()],
    }
    runs = [
        made_run(name, seed, budget, right, labels)
        for (name, budget), row in scores.items()
        for seed, right in enumerate(row)
    ]
    return study.Study(config, items, tuple(runs), "code", {"torch": "2"}, "2 CPU cores")


def made_run(name, seed, budget, num_right, labels):
    errors = tuple(int(i >= num_right) for i in range(len(labels)))
    predictions = tuple((t + e) % 2 for t, e in zip(labels, errors, strict=True))
    accuracy = num_right / len(labels)
    return Run(
        strategy=name,
        seed=seed,
        labels_per_class=budget,
        val=accuracy,
        test={"accuracy": accuracy, "auc": math.nan},
        interval=Interval(0.1, 0.9, 0.95, "made"),
        errors=errors,
        predictions=predictions,
        seconds=1.5,
    )


FOUR = {
    ("scratch", 5): [10, 11, 10, 12, 11],
    ("probe", 5): [15, 16, 14, 17, 17],
    ("full", 5): [10, 12, 10, 11, 11],
}


# --- what is run -------------------------------------------------------------------------------


_ONCE = {}


@pytest.fixture
def compared(images):
    """A small study of the image task, run once for all tests that only look at it."""
    if not _ONCE:
        _ONCE["study"] = study.compare(
            images.backbone,
            images.splits,
            strategies=["probe"],
            seeds=range(2),
            labels_per_class=[1, 5],
            recipe=TINY,
            progress=False,
        )
    return _ONCE["study"]


def test_scratch_and_majority_are_there_unasked(compared):
    assert compared.strategies == ("majority", "scratch", "probe")
    assert {run.key for run in compared.runs} == {
        (name, seed, k) for name in compared.strategies for seed in (0, 1) for k in (1, 5)
    }
    assert compared.is_complete
    assert len(compared.rows()) == 6


def test_budgets_below_five_have_no_val(compared):
    assert compared.row("probe", 1).val is None
    assert compared.row("probe", 5).val is not None
    assert compared.row("majority", 5).val is None


def test_each_seed_draws_its_own_labels_and_the_runs_of_a_seed_share_them(images, monkeypatch):
    drawn = {}

    def watched(backbone, splits, *, strategy, seed, **options):
        drawn.setdefault(seed, []).append((strategy.name, splits.train.ids))
        return real_fit(backbone, splits, strategy=strategy, seed=seed, **options)

    real_fit = comparing.fit
    monkeypatch.setattr(comparing, "fit", watched)
    study.compare(images.backbone, images.splits, strategies=["probe"], seeds=[0, 1], recipe=TINY)
    (first, second), (third, _) = drawn[0], drawn[1]
    assert first[1] == second[1]
    assert {first[0], second[0]} == {"scratch", "probe"}
    assert set(first[1]) != set(third[1])
    assert len(first[1]) == 3 * 8


def test_a_run_is_fit_and_evaluate_by_hand(compared, images):
    splits = images.splits.redraw(seed=1, labels_per_class=5)
    result = comparing.fit(images.backbone, splits, strategy="probe", seed=1, recipe=TINY)
    scores = evaluation.evaluate(result.model, splits.test, reading=compared.reading)
    run = compared.run("probe", 1, 5)
    assert run.predictions == tuple(scores.predictions.tolist())
    assert dict(run.test) == scores.values
    assert run.interval == scores.interval
    assert run.num_steps == len(result.history.losses) == 4


def test_the_same_study_again_is_the_same_and_the_backbone_stays(images):
    before = evaluation.weights_fingerprint(images.backbone)
    options = {"strategies": ["full"], "seeds": [3], "recipe": TINY}
    first = study.compare(images.backbone, images.splits, **options)
    second = study.compare(images.backbone, images.splits, **options)
    assert [run.predictions for run in first.runs] == [run.predictions for run in second.runs]
    assert images.splits.test.readings == (first.reading,)
    assert evaluation.weights_fingerprint(images.backbone) == before


def test_every_modality_is_compared_alike(case):
    found = study.compare(
        case.backbone, case.splits, strategies=["probe"], seeds=range(2), recipe=TINY
    )
    assert found.is_complete
    task = case.splits.train.task
    assert found.metric == {
        "ctc": "cer",
        "detection": "map50",
        "spans": "span_f1",
    }.get(task, "accuracy")
    if task in ("detection", "spans"):
        labels = case.splits.test.open(found.reading).labels
        begins = [rows if task == "detection" else rows[rows % 2 == 1] for rows in labels]
        assert found.items.sizes == tuple(len(rows) for rows in begins)
        assert found.row("majority").mean == 0
        runs = [run for run in found.runs if run.strategy == "probe"]
        ends = [
            sum(run.interval.low for run in runs) / 2,
            sum(run.interval.high for run in runs) / 2,
        ]
        interval = found.row("probe").items_interval
        assert [interval.low, interval.high] == pytest.approx(ends)
        return
    for run in found.runs:
        assert run.test[found.metric] == pytest.approx(
            sum(run.errors) / sum(found.items.sizes)
            if found.metric == "cer"
            else 1 - sum(run.errors) / sum(found.items.sizes)
        )


def test_of_several_recipes_each_run_takes_the_one_that_is_best_on_val(images, monkeypatch):
    recipes = [TINY, dataclasses.replace(TINY, learning_rate=0.05, min_steps=30)]
    tried = []

    def watched(*arguments, **options):
        result = real_fit(*arguments, **options)
        tried.append(result.scores.value)
        return result

    real_fit = comparing.fit
    monkeypatch.setattr(comparing, "fit", watched)
    found = study.compare(
        images.backbone, images.splits, strategies=["scratch"], seeds=[0], recipe=recipes
    )
    run = found.run("scratch", 0)
    assert len(tried) == 2
    assert run.val == max(tried)
    assert run.recipe == tried.index(max(tried))
    assert images.splits.test.num_readings == 1


def test_several_recipes_need_a_val(images):
    with pytest.raises(CompanionError, match="a val to choose on"):
        study.compare(
            images.backbone,
            images.splits,
            strategies=["scratch"],
            seeds=[0],
            labels_per_class=2,
            recipe=[TINY, TINY],
        )


@pytest.mark.parametrize("budgets", [[5, 2], [2]])
def test_several_recipes_without_val_fail_before_any_training_or_reading(
    images, monkeypatch, tmp_path, budgets
):
    trained = []
    monkeypatch.setattr(comparing, "fit", lambda *a, **o: trained.append(o))
    options = {"strategies": ["scratch"], "seeds": [0], "recipe": [TINY, TINY]}
    path = tmp_path / "study.json"
    with pytest.raises(CompanionError, match="splits without val at labels_per_class=2; expected"):
        study.compare(
            images.backbone, images.splits, labels_per_class=budgets, path=path, **options
        )
    by_hand = dataclasses.replace(images.splits, val=None, pool=None)
    with pytest.raises(CompanionError, match="splits without val; expected a val to choose on"):
        study.compare(images.backbone, by_hand, **options)
    assert not trained and not path.exists()
    assert images.splits.test.num_readings == 0


def test_numpy_integers_are_budgets_and_a_tilde_is_the_home_folder(images, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = {"strategies": ["scratch"], "seeds": np.arange(1), "recipe": TINY}
    budgets = list(np.array([2]))
    found = study.compare(
        images.backbone, images.splits, labels_per_class=budgets, path="~/study.json", **options
    )
    assert found.labels_per_class == (2,) and type(found.labels_per_class[0]) is int
    assert study.load(tmp_path / "study.json").is_complete
    again = study.compare(
        images.backbone, images.splits, labels_per_class=budgets, path="~/study.json", **options
    )
    assert [run.seconds for run in again.runs[1:]] == [round(r.seconds, 2) for r in found.runs[1:]]


def test_other_pixels_under_the_same_names_are_another_study(images, tmp_path):
    path, options = tmp_path / "study.json", {"strategies": ["scratch"], "seeds": [0]}
    study.compare(images.backbone, images.splits, path=path, recipe=TINY, **options)
    pool = dataclasses.replace(images.splits.pool, inputs=1 - images.splits.pool.inputs)
    other = dataclasses.replace(images.splits, pool=pool)
    with pytest.raises(CompanionError, match=r"another study \(other items\)"):
        study.compare(images.backbone, other, path=path, recipe=TINY, **options)


def test_models_are_kept_on_request_only(images):
    options = {"strategies": ["probe"], "seeds": [0], "recipe": TINY}
    assert not study.compare(images.backbone, images.splits, **options).models
    kept = study.compare(images.backbone, images.splits, keep_models=True, **options)
    assert set(kept.models) == {("scratch", 0, 10), ("probe", 0, 10)}
    model = kept.models["probe", 0, 10]
    again = evaluation.evaluate(model, images.splits.test, reading=kept.reading)
    assert tuple(again.predictions.tolist()) == kept.run("probe", 0).predictions


def test_a_plan_of_ones_own_is_a_strategy(images):
    groups = (*images.backbone.group_names, "head")
    own = Adaptation("last_two", (Phase("train", 1.0, {name: 1.0 for name in groups[-2:]}),))
    found = study.compare(images.backbone, images.splits, strategies=[own], seeds=[0], recipe=TINY)
    assert found.strategies == ("majority", "scratch", "last_two")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategies": []}, "strategies: got nothing"),
        ({"strategies": ["prob"]}, "did you mean 'probe'"),
        ({"strategies": ["probe", "probe"]}, "'probe' twice"),
        ({"seeds": []}, "seeds: got nothing"),
        ({"seeds": [1, 1]}, "1 twice"),
        ({"seeds": [-1]}, "seed: got -1"),
        ({"labels_per_class": [5, 5]}, "5 twice"),
        ({"labels_per_class": [0]}, "labels_per_class: got 0"),
        ({"labels_per_class": []}, "at least one"),
        ({"recipe": []}, "pass a Recipe"),
    ],
)
def test_a_study_refuses(images, options, message):
    with pytest.raises(CompanionError, match=message):
        study.compare(
            images.backbone, images.splits, **{"strategies": ["probe"], "seeds": [0], **options}
        )


def test_splits_without_a_pool_have_one_budget(images):
    by_hand = dataclasses.replace(images.splits, pool=None)
    found = study.compare(images.backbone, by_hand, strategies=["probe"], seeds=[0, 1], recipe=TINY)
    assert not found.config["is_redrawn"]
    with pytest.raises(CompanionError, match="put together by hand"):
        study.compare(
            images.backbone, by_hand, strategies=["probe"], seeds=[0], labels_per_class=[1, 5]
        )


# --- resuming ----------------------------------------------------------------------------------


class Killed(Exception):
    pass


def test_a_killed_study_goes_on_without_doing_a_finished_run_again(images, tmp_path, monkeypatch):
    path = tmp_path / "study.json"
    options = {"strategies": ["probe"], "seeds": range(2), "recipe": TINY}
    whole = study.compare(images.backbone, images.splits, **options)
    finished = []

    def kill(run):
        finished.append(run.key)
        if len(finished) == 4:
            raise Killed

    with pytest.raises(Killed):
        study.compare(images.backbone, images.splits, path=path, on_run=kill, **options)
    assert len(study.load(path).runs) == 4
    fitted = []
    real_fit = comparing.fit
    monkeypatch.setattr(
        comparing,
        "fit",
        lambda *a, **o: fitted.append((o["strategy"].name, o["seed"])) or real_fit(*a, **o),
    )
    resumed = study.compare(images.backbone, images.splits, path=path, **options)
    assert fitted == [("scratch", 1), ("probe", 1)]
    assert [run.predictions for run in resumed.runs] == [run.predictions for run in whole.runs]
    assert study.load(path).is_complete


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seeds": [0, 1]}, "seeds"),
        ({"recipe": dataclasses.replace(TINY, learning_rate=0.01)}, "recipes"),
        ({"strategies": ["full"]}, "strategies"),
    ],
)
def test_the_file_of_another_study_is_refused_and_left_alone(images, tmp_path, change, named):
    path = tmp_path / "study.json"
    options = {"strategies": ["probe"], "seeds": [0], "recipe": TINY, "path": path}
    study.compare(images.backbone, images.splits, **options)
    before = path.read_bytes()
    with pytest.raises(CompanionError, match=rf"another study \(other .*{named}"):
        study.compare(images.backbone, images.splits, **{**options, **change})
    assert path.read_bytes() == before
    assert images.splits.test.num_readings == 1


def test_runs_of_other_code_are_not_mixed_in(images, tmp_path, monkeypatch):
    path = tmp_path / "study.json"
    options = {"strategies": ["probe"], "seeds": [0], "recipe": TINY, "path": path}
    study.compare(images.backbone, images.splits, **options)
    monkeypatch.setattr(comparing, "hash_dependencies", lambda **_: "other")
    with pytest.raises(CompanionError, match="code or assets"):
        study.compare(images.backbone, images.splits, **options)


# --- what is claimed ---------------------------------------------------------------------------


def test_an_effect_is_the_paired_comparison_of_the_same_seeds():
    found = made_study(FOUR)
    effect = found.effect("probe", "scratch", 5)
    wanted = evaluation.paired_comparison(
        [x / 20 for x in FOUR["probe", 5]], [x / 20 for x in FOUR["scratch", 5]], seeds=range(5)
    )
    assert effect == wanted
    assert effect.claim
    assert found.effect("probe").mean_difference == effect.mean_difference


def test_effects_do_not_depend_on_the_order_of_the_runs():
    found = made_study(FOUR)
    turned = dataclasses.replace(found, runs=found.runs[::-1])
    assert turned.effect("probe") == found.effect("probe")
    assert turned.rows() == found.rows()


def test_all_comparisons_of_a_table_share_one_correction():
    scores = FOUR | {(name, 10): row for (name, _), row in FOUR.items()}
    found = made_study(scores, labels_per_class=(5, 10)).effects()
    assert [(e.strategy, e.labels_per_class) for e in found] == [
        ("probe", 5),
        ("full", 5),
        ("probe", 10),
        ("full", 10),
    ]
    plain = [e.paired.p_value for e in found]
    assert [e.paired.adjusted_p_value for e in found] == evaluation.holm(plain)
    assert found[0].paired.adjusted_p_value > found[0].paired.p_value


def test_the_constant_answer_and_the_baseline_are_not_compared():
    found = made_study(FOUR | {(MAJORITY, 5): [10] * 5})
    assert [e.strategy for e in found.effects("full")] == ["scratch", "probe"]
    with pytest.raises(CompanionError, match="baseline"):
        found.effects("lora")


def test_groups_of_test_items_are_resampled_together_where_there_are_ten():
    whole = made_study({("scratch", 5): [40] * 5, ("probe", 5): [60] * 5}, num_items=60)
    groups = tuple(i // 6 for i in range(60))
    grouped = dataclasses.replace(whole, items=dataclasses.replace(whole.items, groups=groups))
    right = (np.arange(60) < 40).astype(float)
    wanted = evaluation.bootstrap_interval(right, groups=groups)
    assert grouped.row("scratch").items_interval == wanted
    assert wanted != whole.row("scratch").items_interval
    assert grouped.row("probe").items_interval == evaluation.bootstrap_interval(
        np.ones(60), groups=groups
    )
    assert whole.row("probe").items_interval == evaluation.wilson_interval(60, 60)


def test_the_groups_of_a_split_are_written_and_read(images, tmp_path):
    names = tuple(f"drawer {i % 11}" for i in range(30))
    test = dataclasses.replace(images.splits.test.open("a study"), groups=names)
    splits = dataclasses.replace(images.splits, test=TestSplit(test))
    options = {"strategies": ["scratch"], "seeds": [0], "recipe": TINY}
    study.compare(images.backbone, splits, path=tmp_path / "study.json", **options)
    found = study.load(tmp_path / "study.json")
    assert found.items.groups == tuple(i % 11 for i in range(30))
    assert found.row("scratch").items_interval.method == "bootstrap over 11 groups"


def test_an_unfinished_study_leaves_out_what_has_no_baseline_yet():
    whole = made_study(FOUR)
    runs = [r for r in whole.runs if (r.strategy, r.seed) != ("scratch", 0) and r.seed < 2]
    runs = [r for r in runs if r.strategy != "full" or r.seed == 0]
    begun = dataclasses.replace(whole, runs=tuple(runs))
    assert [(e.strategy, e.paired.num_pairs) for e in begun.effects()] == [("probe", 1)]
    assert [e.strategy for e in begun.effects("full")] == ["probe"]
    table = report.study_table(begun)
    assert [row[0] for row in table.rows] == ["scratch", "probe", "full"]
    none = dataclasses.replace(whole, runs=tuple(r for r in runs if r.strategy != "scratch"))
    assert none.effects() == []
    assert len(report.study_table(none).rows) == 2


def test_three_seeds_have_points_and_no_interval():
    found = made_study({key: row[:3] for key, row in FOUR.items()})
    assert found.row("probe", 5).interval is None
    assert found.effect("probe").interval is None
    assert all(not e.paired.claim for e in found.effects())


def test_a_row_keeps_seeds_and_items_apart():
    row = made_study(FOUR).row("probe", 5)
    values = [x / 20 for x in FOUR["probe", 5]]
    assert row.mean == pytest.approx(np.mean(values))
    assert row.interval == evaluation.t_interval(values)
    right = np.array([[i < x for i in range(20)] for x in FOUR["probe", 5]]).mean(axis=0)
    wanted = evaluation.bootstrap_interval(right, np.ones(20))
    assert (row.items_interval.low, row.items_interval.high) == pytest.approx(
        (wanted.low, wanted.high)
    )
    assert row.seconds == 1.5


def test_asking_for_what_is_not_there_is_one_sentence():
    found = made_study(FOUR | {(n, 10): r for (n, _), r in FOUR.items()}, labels_per_class=(5, 10))
    with pytest.raises(CompanionError, match="expected one of 5, 10"):
        found.values("probe")
    with pytest.raises(CompanionError, match="did you mean 'probe'"):
        found.values("prob", 5)
    with pytest.raises(CompanionError, match="seed: got 9"):
        found.run("probe", 9, 5)
    unfinished = dataclasses.replace(found, runs=found.runs[:1])
    with pytest.raises(CompanionError, match="let the study finish"):
        unfinished.values("full", 5)


def test_a_study_prints_its_table():
    text = repr(made_study(FOUR))
    assert "Study of made on up: accuracy" in text
    assert "probe        0.790  [" in text
    assert "3 seeds" in repr(made_study({key: row[:3] for key, row in FOUR.items()}))


# --- live and recorded -------------------------------------------------------------------------


def test_the_same_machine_must_predict_the_same():
    first = made_study(FOUR)
    agreement = first.same_run(made_study(FOUR), strategy="probe", seed=0)
    assert agreement.agrees
    assert agreement.is_same_machine
    assert "0 test items differ" in str(agreement)
    other = made_study(FOUR | {("probe", 5): [14, 16, 14, 17, 17]})
    disagreement = first.same_run(other, strategy="probe", seed=0, tolerance=0.5)
    assert (disagreement.agrees, disagreement.num_differing) == (False, 1)
    assert "DISAGREE" in str(disagreement)


def test_the_same_machine_must_score_the_same_too():
    """Boxes may move without another number of mistakes: average precision sees it."""
    first = made_study(FOUR)
    runs = tuple(
        dataclasses.replace(run, test={**run.test, "accuracy": run.test["accuracy"] + 1e-6})
        for run in first.runs
    )
    other = dataclasses.replace(first, runs=runs)
    agreement = first.same_run(other, strategy="probe", seed=0, tolerance=0.5)
    assert (agreement.agrees, agreement.num_differing) == (False, 0)


def test_another_machine_must_score_nearly_the_same():
    first = made_study(FOUR)
    other = made_study(FOUR | {("probe", 5): [14, 16, 14, 17, 17]})
    elsewhere = dataclasses.replace(other, machine="64 CPU cores")
    near = first.same_run(elsewhere, strategy="probe", seed=0, tolerance=0.06)
    assert near.agrees
    assert "another machine" in str(near)
    assert not first.same_run(elsewhere, strategy="probe", seed=0, tolerance=0.04).agrees


def test_studies_of_two_test_sets_are_not_compared():
    first = made_study(FOUR)
    other = dataclasses.replace(first, items=dataclasses.replace(first.items, fingerprint="x"))
    with pytest.raises(CompanionError, match="two test sets"):
        first.same_run(other, strategy="probe", seed=0)


# --- the file ----------------------------------------------------------------------------------


def test_a_saved_study_comes_back_whole(compared, tmp_path):
    recorded = dataclasses.replace(compared, recorded="2026-01-31")
    path = study.save(recorded, tmp_path / "deep" / "study.json")
    found = study.load(path)
    assert found.recorded == "2026-01-31"
    assert found.config_hash == compared.config_hash
    assert found.reading == compared.reading
    for before, after in zip(compared.runs, found.runs, strict=True):
        assert dataclasses.replace(after, seconds=0) == dataclasses.replace(before, seconds=0)
    assert found.items == compared.items
    assert (found.machine, found.versions) == (compared.machine, compared.versions)
    assert found.effects() == compared.effects()


def test_a_saved_study_of_sequences_comes_back_whole(tmp_path):
    items = TestItems("f", "ctc", ("-", "a"), (3, 4), None)
    run = Run("scratch", 0, None, 0.5, {"cer": 1.4}, Interval(0, 2), (9, 1), None)
    made = study.Study(made_study(FOUR).config, items, (run,))
    assert study.load(study.save(made, tmp_path / "s.json")).runs == (run,)


def test_the_file_is_plain_json_with_the_facts_at_its_top(compared, tmp_path):
    values = json.loads(study.save(compared, tmp_path / "study.json").read_text())
    assert list(values)[:3] == ["format", "config", "config_hash"]
    assert values["seconds"] == pytest.approx(compared.seconds, abs=0.1)
    assert "CPU core" in values["machine"]
    assert values["recorded"] is None


def test_a_metric_that_is_not_defined_survives_the_file(tmp_path):
    path = study.save(made_study(FOUR), tmp_path / "study.json")
    assert "NaN" not in path.read_text()
    assert math.isnan(study.load(path).runs[0].test["auc"])


def test_of_a_large_test_set_the_mistakes_are_kept_and_the_file_stays_small(tmp_path):
    rng = np.random.default_rng(0)
    made = made_study({("scratch", 5): [1]}, num_items=10_000)
    mistakes = tuple((rng.random(10_000) < 0.3).astype(int).tolist())
    guesses = tuple((t + e) % 2 for t, e in zip(made.items.labels, mistakes, strict=True))
    run = dataclasses.replace(made.runs[0], errors=mistakes, predictions=guesses)
    made = dataclasses.replace(made, runs=(run,))
    path = study.save(made, tmp_path / "study.json")
    found = study.load(path)
    assert (found.runs[0].errors, found.runs[0].predictions) == (mistakes, None)
    assert len(path.read_text().splitlines()[-3]) < 2000
    agreement = made.same_run(found, strategy="scratch", seed=0)
    assert (agreement.agrees, agreement.num_differing) == (True, 0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[: len(text) // 2], "JSONDecodeError"),
        (lambda text: text.replace('"format": 2', '"format": 99'), "format 99"),
        (lambda text: text.replace('"dataset": "up"', '"dataset": "down"'), "changed by hand"),
        (lambda text: text.replace('"runs"', '"rums"'), "KeyError"),
        (lambda text: text.replace('"num_items": 20', '"num_items": 99'), "packed numbers"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path, spoil, message):
    path = study.save(made_study(FOUR), tmp_path / "study.json")
    path.write_text(spoil(path.read_text()))
    with pytest.raises(CompanionError, match=message):
        study.load(path)


def test_a_study_that_is_not_there_names_the_command(tmp_path):
    with pytest.raises(CompanionError, match="make studies"):
        study.load(tmp_path / "none.json")


def test_packed_numbers_come_back_and_large_ones_are_refused():
    for numbers in [(0, 1, 65535, 7, 0), (0, 1, 1), (1,) * 8, (0,) * 17, ()]:
        assert storage.unpack(storage.pack(numbers), len(numbers)) == numbers
    with pytest.raises(CompanionError, match="packed numbers: got 1; expected 9"):
        storage.unpack(storage.pack((1, 0, 1)), 9)
    with pytest.raises(CompanionError, match="0..65535"):
        storage.pack((65536,))
    mostly_right = [0] * 760 + [3] * 37
    assert len(storage.pack(mostly_right)) < 80


def test_a_recipe_comes_back_from_its_fields():
    from companion.batches import ImageAugment

    recipe = Recipe(epochs=7, augment=ImageAugment(seed=0, degrees=5.0))
    assert study.recipe_from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe
    assert study.recipe_from_dict({"epochs": 7, "augment": {"degrees": 5.0}}) == recipe
    with pytest.raises(CompanionError, match="did you mean 'epochs'"):
        study.recipe_from_dict({"epoch": 7})


# --- what makes a study stale ------------------------------------------------------------------


SOURCE = '''
"""A module."""
import math  # why

LIMIT = 3
"""What it is."""


def double(x: float) -> float:
    """Double."""
    return 2 * x  # twice


class Empty:
    """Nothing."""
'''


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("# twice", "# two times", True),
        ('"""Double."""', '"""Return twice x."""', True),
        ('"""Nothing."""', '"""Something."""', True),
        ("\n\n\nclass", "\n\nclass", True),
        ("2 * x", "(2 * x)", True),
        ("2 * x", "x * 2", False),
        ("LIMIT = 3", "LIMIT = 4", False),
        ("import math", "import cmath", False),
        ("x: float", "x: int", False),
    ],
)
def test_only_what_code_does_counts(old, new, is_same):
    assert old in SOURCE
    changed = study.normalised_source(SOURCE.replace(old, new))
    assert (changed == study.normalised_source(SOURCE)) is is_same


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """The package's files in a copy that may be changed, and its hash."""
    import shutil

    copy = tmp_path / "companion"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(provenance.PACKAGE, copy, ignore=ignored)
    monkeypatch.setattr(provenance, "PACKAGE", copy)

    def compute(strategies=("probe",), dataset="digits"):
        groups = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
        plans = {name: plan(name, groups) for name in strategies}
        return study.hash_dependencies(backbone="glyphnet", dataset=dataset, strategies=plans)

    return copy, compute


def append(path, text):
    path.write_text(path.read_text() + text)


THROUGH = (
    "training/loop.py",
    "batches/sources.py",
    "heads/linear.py",
    "heads/detection.py",
    "evaluation/detection/precision.py",
    "layer_groups.py",
    "adapters.py",
    "backbones/glyphnet.py",
    "backbones/base.py",
    "datasets/digits.py",
    "splits/drawing.py",
    "runtime.py",
    "evaluation/scores.py",
    "study/comparing.py",
)
ELSEWHERE = (
    "report/tables.py",
    "study/results.py",
    "datasets/folder.py",
    "strategies.py",
    "assets.py",
)


def test_a_change_of_what_training_goes_through_is_seen_and_a_comment_is_not(hashed):
    copy, compute = hashed
    before = compute()
    for name in THROUGH:
        append(copy / name, "\n# a comment\n")
    assert compute() == before
    seen = [before]
    for name in THROUGH:
        append(copy / name, "\nCHANGED = 1\n")
        seen.append(compute())
    assert len(set(seen)) == len(THROUGH) + 1


def test_a_change_elsewhere_leaves_recorded_studies_fresh(hashed):
    copy, compute = hashed
    before = compute()
    for name in ELSEWHERE:
        append(copy / name, "\nCHANGED = 1\n")
    assert compute() == before


def test_weights_plans_and_data_are_part_of_the_hash(hashed):
    copy, compute = hashed
    before = compute()
    assert compute(("probe", "full")) != before
    assert compute(dataset="folder") != before
    folder = copy / "assets" / "glyphnet"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.md").write_text("new words")
    assert compute() == before
    (folder / "more.safetensors").write_bytes(b"new weights")
    assert compute() != before


def test_values_hash_alike_whatever_their_order():
    first = study.hash_values({"a": 1, "b": [1, 2]})
    assert first == study.hash_values({"b": [1, 2], "a": 1})
    assert first != study.hash_values({"a": 1, "b": [2, 1]})
    with pytest.raises(ValueError, match="Out of range float"):
        study.hash_values({"a": math.nan})


def test_the_machine_is_described_and_not_named():
    import platform

    words = study.describe_machine()
    assert "CPU core" in words
    assert f"{torch.get_num_threads()} thread" in words
    assert platform.node() not in words


# --- recorded ----------------------------------------------------------------------------------


def test_a_recorded_study_is_found_by_name_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = study.recorded("vision/image-classification/ladder")
    assert found.config["dataset"] == "digits" and found.recorded
    with pytest.raises(CompanionError, match="did you mean 'vision/image-classification/ladder'"):
        study.recorded("vision/image-clasification/lader")


def test_an_installed_package_brings_its_recorded_studies(tmp_path, monkeypatch):
    made = made_study(FOUR)
    study.save(made, tmp_path / "recorded" / "part" / "chapter" / "name.json")
    monkeypatch.setattr(recordings, "PLACES", (tmp_path / "none", tmp_path / "recorded"))
    assert study.recorded_names() == ("part/chapter/name",)
    assert study.recorded("part/chapter/name").config_hash == made.config_hash
    monkeypatch.setattr(recordings, "PLACES", (tmp_path / "none", tmp_path / "none either"))
    with pytest.raises(CompanionError, match="recorded studies: got none in this installation"):
        study.recorded("part/chapter/name")
