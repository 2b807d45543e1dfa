"""Contracts 3 to 5: one reading of test, claims are studies, numbers come from the run.

Everything here runs for real: digits, the architecture of glyphnet with random weights, `fit`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

import companion
from companion import report, splits, study
from companion.checks import CompanionError
from companion.splits import TestReadAgainWarning
from companion.study.tables import TOLERANCE, load_table, record_table
from companion.training import Recipe

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "book" / "studies"
LARGEST = 300_000
NO_NOTEBOOKS = "notebooks cannot be run here: pip install -c constraints.txt -e '.[book]'"
TINY = Recipe(epochs=1, min_steps=6)


@pytest.fixture(scope="module")
def digits():
    return companion.load_dataset("digits", labels_per_class=5, seed=0)


@pytest.fixture(scope="module")
def backbone():
    return companion.load_backbone("glyphnet", pretrained=False)


@pytest.fixture(scope="module")
def live(digits, backbone):
    with splits.fresh_readings():
        return study.compare(
            backbone, digits, strategies=["probe"], seeds=range(5), recipe=TINY, progress=False
        )


# --- contract 3: test is read once -------------------------------------------------------------


def test_a_study_is_one_reading_and_the_same_cell_again_is_the_same(digits, backbone):
    options = {"strategies": ["probe"], "seeds": [0], "recipe": TINY}
    with warnings.catch_warnings():
        warnings.simplefilter("error", TestReadAgainWarning)
        first = companion.compare(backbone, digits, **options)
        companion.compare(backbone, digits, **options)
    assert digits.test.readings == (first.reading,)


def test_a_second_study_of_the_same_test_set_warns(digits, backbone):
    companion.compare(backbone, digits, strategies=["probe"], seeds=[0], recipe=TINY)
    with pytest.warns(TestReadAgainWarning, match="choose between models on val"):
        companion.compare(backbone, digits, strategies=["probe"], seeds=[1], recipe=TINY)


def test_the_items_of_a_study_can_be_looked_at_within_its_reading(live, digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error", TestReadAgainWarning)
        opened = digits.test.open(live.reading)
        digits.test.open(live.reading)
    run = live.run("probe", 0)
    mistakes = [
        i for i, (p, t) in enumerate(zip(run.predictions, opened.labels, strict=True)) if p != t
    ]
    assert mistakes == [i for i, error in enumerate(run.errors) if error]


def test_choosing_never_looks_at_test(digits, backbone, monkeypatch):
    """Test labels that are all wrong change no choice and no weight."""
    recipes = [TINY, dataclasses.replace(TINY, learning_rate=0.03, min_steps=20)]
    options = {"strategies": ["full"], "seeds": [0], "recipe": recipes, "keep_models": True}
    honest = companion.compare(backbone, digits, **options)
    opened = digits.test.open(honest.reading)
    turned = dataclasses.replace(opened, labels=(opened.labels + 1) % 10)
    spoilt = dataclasses.replace(digits, test=splits.TestSplit(turned, content_key="turned"))
    wrong = companion.compare(backbone, spoilt, **options)
    for key, model in honest.models.items():
        for name, tensor in model.state_dict().items():
            assert tensor.equal(wrong.models[key].state_dict()[name]), (key, name)
    assert [run.recipe for run in honest.runs] == [run.recipe for run in wrong.runs]
    assert honest.run("full", 0).test != wrong.run("full", 0).test


# --- contract 4: claims are studies ------------------------------------------------------------


def test_majority_and_scratch_rows_are_always_there(live):
    assert [row.strategy for row in live.rows()] == ["majority", "scratch", "probe"]
    share = live.row("majority").mean
    assert share == pytest.approx(
        max(live.items.labels.count(c) for c in range(10)) / 797, abs=0.02
    )


def test_five_seeds_have_an_interval_and_three_do_not(live):
    five = live.effect("probe")
    assert (five.num_pairs, five.interval is not None) == (5, True)
    few = dataclasses.replace(live, runs=tuple(run for run in live.runs if run.seed < 3))
    three = few.effect("probe")
    assert (three.num_pairs, three.interval, three.p_value, three.claim) == (3, None, None, False)
    assert three.differences == five.differences[:3]


def test_both_uncertainties_are_told_apart_in_the_table(live):
    table = report.study_table(live)
    assert "over seeds" in table.note
    assert "over test items" in table.note
    assert len(table.rows) == 3


def test_a_live_run_is_the_recorded_run(live, digits, backbone, tmp_path):
    recorded = study.load(
        study.save(dataclasses.replace(live, recorded="2026-01-31"), tmp_path / "s")
    )
    with splits.fresh_readings():
        again = companion.compare(backbone, digits, strategies=["probe"], seeds=[2], recipe=TINY)
    agreement = again.same_run(recorded, strategy="probe", seed=2)
    assert agreement.agrees, str(agreement)
    assert agreement.is_same_machine
    assert agreement.num_differing == 0


# --- recorded studies --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tool():
    """The command that records studies, as a module."""
    sys.path.insert(0, str(ROOT / "tools"))
    spec = importlib.util.spec_from_file_location("studies_tool", ROOT / "tools" / "studies.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["studies_tool"] = module
    spec.loader.exec_module(module)
    return module


CONFIG = """
title = "A tiny study"
dataset = "digits"
backbone = "glyphnet"
strategies = ["probe"]
labels_per_class = [1, 5]
seeds = 2
[recipe]
epochs = 1
min_steps = 3
"""


@pytest.fixture
def folder(tool, tmp_path, monkeypatch):
    """A folder of studies of its own, and backbones without pretrained weights."""
    from companion import backbones

    real = backbones.load_backbone
    untrained = lambda name, **_: real(name, pretrained=False)  # noqa: E731
    monkeypatch.setattr(companion, "load_backbone", untrained, raising=False)
    monkeypatch.setattr(tool, "STUDIES", tmp_path / "studies")
    monkeypatch.setattr(tool, "UNFINISHED", tmp_path / "unfinished")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "COMPANION_SCALE"):
        monkeypatch.setenv(name, os.environ.get(name, "laptop" if "SCALE" in name else "1"))
    path = tmp_path / "studies" / "vision" / "chapter"
    path.mkdir(parents=True)
    (path / "tiny.toml").write_text(CONFIG)
    return path


def test_a_study_is_recorded_then_fresh_then_stale(tool, folder, capsys):
    assert tool.main(["stale"]) == 0
    assert "vision/chapter/tiny: not recorded yet" in capsys.readouterr().out
    assert tool.main(["stale", "--strict"]) == 1
    assert tool.main(["run"]) == 0
    found = study.load(folder / "tiny.json")
    assert found.is_complete
    assert found.recorded is not None
    assert found.strategies == ("majority", "scratch", "probe")
    assert tool.main(["stale", "--strict"]) == 0
    assert "recorded studies: 1, to be recorded again: 0" in capsys.readouterr().out
    before = (folder / "tiny.json").read_bytes()
    assert tool.main(["run"]) == 0
    assert (folder / "tiny.json").read_bytes() == before
    (folder / "tiny.toml").write_text(CONFIG.replace("epochs = 1", "epochs = 2"))
    tool.main(["stale"])
    assert "recipes changed" in capsys.readouterr().out


def test_changed_code_makes_a_study_stale(tool, folder, live, monkeypatch):
    config = tool.configs()[0]
    monkeypatch.setattr(tool, "asked_for", lambda config: {})
    study.save(live, config.result)
    assert tool.stale_reasons(config) == []
    study.save(dataclasses.replace(live, dependencies="of other code"), config.result)
    assert tool.stale_reasons(config) == ["code or assets changed"]
    study.save(dataclasses.replace(live, runs=live.runs[:3]), config.result)
    assert tool.stale_reasons(config) == ["runs are missing"]
    config.result.write_text("{}")
    assert "delete it and run the study again" in tool.stale_reasons(config)[0]


def test_recording_goes_on_after_an_interruption(tool, folder, monkeypatch):
    config = tool.configs()[0]
    real, fitted = study.comparing.fit, []

    def counted(*arguments, **options):
        if len(fitted) == 3:
            fitted.append("interrupted")
            raise KeyboardInterrupt
        fitted.append(options["seed"])
        return real(*arguments, **options)

    monkeypatch.setattr(study.comparing, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        tool.record(config)
    assert not config.result.exists()
    tool.record(config)
    assert len(fitted) == 3 + 1 + 5
    assert study.load(config.result).is_complete
    assert not config.unfinished.exists()


def test_data_that_are_not_here_are_skipped_with_a_sentence(tool, folder, monkeypatch, capsys):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    (folder / "tiny.toml").write_text('data = "COMPANION_DATA"\n' + CONFIG)
    assert tool.main(["run"]) == 0
    assert "skipped, it needs the folder that COMPANION_DATA names" in capsys.readouterr().out
    assert tool.main(["run", "--only", str(folder)]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "Invalid value"),
        (CONFIG.replace("seeds", "seed"), "the fields of a study are title"),
        ('data = "mine"\n' + CONFIG, "use one of bundled, COMPANION_DATA"),
    ],
)
def test_a_config_that_cannot_be_read_is_named(tool, folder, text, message):
    (folder / "tiny.toml").write_text(text)
    with pytest.raises(SystemExit, match=message):
        tool.configs()
    with pytest.raises(SystemExit, match="no study's config there"):
        tool.configs(folder / "none.toml")


def test_a_wrong_field_of_a_recipe_is_named(tool, folder):
    (folder / "tiny.toml").write_text(CONFIG.replace("epochs", "epoch"))
    with pytest.raises(CompanionError, match="did you mean 'epochs'"):
        tool.asked_for(tool.configs()[0])


FILES = sorted(STUDIES.rglob("*.json"))
TABLES = [path for path in FILES if json.loads(path.read_text())["format"] == "table 1"]
RECORDED = [path for path in FILES if path not in TABLES]


def test_every_result_has_its_config_and_every_chapter_of_them_exists(tool):
    for config in tool.configs() if STUDIES.exists() else []:
        assert (ROOT / "book" / f"{config.path.parent.relative_to(STUDIES)}.md").is_file()
    assert [path for path in FILES if not path.with_suffix(".toml").is_file()] == []


def test_every_study_that_a_chapter_marks_is_committed():
    marks = [
        line.split()[1]
        for path in sorted((ROOT / "book").rglob("*.md"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("```{recorded-study}")
    ]
    assert sorted(set(marks)) == [str(path.relative_to(ROOT / "book")) for path in FILES]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_committed_study_is_whole_small_and_says_where_it_comes_from(path):
    found = study.load(path)
    assert path.stat().st_size <= LARGEST
    assert found.is_complete
    assert found.recorded
    assert found.dependencies
    assert "CPU core" in found.machine
    assert {"python", "torch"} <= set(found.versions)
    assert {"majority", "scratch"} <= set(found.strategies)
    assert len(found.seeds) >= 5
    assert found.seconds > 0


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_committed_study_is_marked_and_run_again_in_its_chapter(path):
    chapter = ROOT / "book" / f"{path.parent.relative_to(STUDIES)}.md"
    text = chapter.read_text(encoding="utf-8")
    mark = f"{{recorded-study}} {path.relative_to(ROOT / 'book')}"
    assert mark in text
    assert "same_run(" in text


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_committed_table_is_whole_and_marked_in_its_chapter(path):
    found = load_table(path)
    assert path.stat().st_size <= LARGEST
    assert found.is_complete
    assert found.recorded
    assert "CPU core" in found.machine
    assert {"python", "torch"} <= set(found.versions)
    assert len(found.seeds) >= 5
    assert found.seconds > 0
    chapter = ROOT / "book" / f"{path.parent.relative_to(STUDIES)}.md"
    text = chapter.read_text(encoding="utf-8")
    assert f"{{recorded-study}} {path.relative_to(ROOT / 'book')}" in text


@pytest.fixture
def chapter_threads(tool):
    """The threads that chapters and recorded studies run with."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(int(tool.THREADS))
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_committed_study_comes_out_again(tool, path, chapter_threads):
    config = tool.read_config(path.with_suffix(".toml"))
    if not config.is_possible:
        pytest.skip(f"COMPANION_DATA is not set: it must name a folder with {config.dataset!r}")
    recorded = study.load(path)
    strategy = "probe" if "probe" in recorded.strategies else recorded.strategies[-1]
    seed, budget = recorded.seeds[0], recorded.labels_per_class[0]
    again = companion.compare(
        companion.load_backbone(config.backbone),
        companion.load_dataset(config.dataset),
        strategies=[strategy],
        seeds=[seed],
        labels_per_class=[budget],
        recipe=study.recipe_from_dict(config.recipe),
        device="cpu",
        progress=False,
    )
    for name in again.strategies:
        agreement = again.same_run(recorded, strategy=name, seed=seed, labels_per_class=budget)
        assert agreement.agrees, f"{name}: {agreement}"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_committed_table_comes_out_again(tool, path, chapter_threads):
    config = tool.read_config(path.with_suffix(".toml"))
    if not config.is_possible:
        pytest.skip(
            f"COMPANION_DATA is not set: it must name a folder with the data of {path.stem!r}"
        )
    recorded = load_table(path)
    arm, seed = recorded.arms[-1], recorded.seeds[0]
    again = record_table(recorded.procedure, seeds=[seed], arms=[arm])
    is_same = (again.machine, again.versions) == (recorded.machine, recorded.versions)
    difference = recorded.differs_by(arm, seed, again.runs[arm, seed])
    assert difference <= (0 if is_same else TOLERANCE)


# --- contract 5: numbers come from the run -----------------------------------------------------


def read(folder, name="vision/image-classification"):
    return json.loads((folder / f"{name}.json").read_text())


def in_notebook(cells, folder=None):
    """Run cells in a fresh notebook kernel and return their outputs."""
    nbformat = pytest.importorskip("nbformat", reason=NO_NOTEBOOKS)
    nbclient = pytest.importorskip("nbclient", reason=NO_NOTEBOOKS)
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells]
    )
    environment = {k: v for k, v in os.environ.items() if k != "COMPANION_RESULTS"}
    if folder is not None:
        environment["COMPANION_RESULTS"] = str(folder)
    client = nbclient.NotebookClient(book, timeout=120, kernel_name="python3")
    client.execute(env=environment)
    return [cell.outputs for cell in book.cells]


CELLS = [
    "import companion\ncompanion.report.chapter('vision/image-classification')",
    "companion.report.record('accuracy', 0.9312, text='.931')",
]


def test_in_a_build_a_notebook_glues_and_shows_nothing(tmp_path):
    outputs = in_notebook(CELLS, tmp_path)[1]
    assert [output.output_type for output in outputs] == ["display_data"]
    assert outputs[0].metadata["scrapbook"]["name"] == "accuracy"
    assert list(outputs[0].data) == ["application/papermill.record/text/plain"]
    entries = read(tmp_path)
    assert entries["accuracy"] == {"value": 0.9312, "kind": "result"}
    assert entries["chapter_seconds"]["value"] > 0.5


def test_in_a_notebook_elsewhere_a_record_is_shown(tmp_path):
    outputs = in_notebook(CELLS)[1]
    assert [output.output_type for output in outputs] == ["stream"]
    assert outputs[0].text == "accuracy = .931\n"


def test_a_script_writes_what_it_took_at_its_end(tmp_path):
    script = "import time\n" + "\n".join(CELLS) + "\ntime.sleep(0.3)"
    environment = {**os.environ, "COMPANION_RESULTS": str(tmp_path)}
    before = "import companion.report, time; "
    subprocess.run([sys.executable, "-c", before + "\n" + script], env=environment, check=True)
    assert read(tmp_path)["chapter_seconds"]["value"] > 0.3
