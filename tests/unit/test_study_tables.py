"""Tables of procedures: run once per arm and seed, resumed, refused where they do not fit."""

from __future__ import annotations

import json
import types

import pytest

from companion import study
from companion.checks import CompanionError
from companion.study import tables


@pytest.fixture
def toy(monkeypatch):
    """A procedure of two arms whose runs are counted."""
    calls = []

    def run(arm, seed):
        calls.append((arm, seed))
        return {"eer": 0.1 * (arm == "low") + 0.01 * seed, "recall": 0.5}

    module = types.SimpleNamespace(ARMS=("high", "low"), RESTS_ON=("runtime",), run=run)
    monkeypatch.setattr(tables, "procedure", lambda name: module)
    monkeypatch.setattr(tables, "table_dependencies", lambda name: "hash")
    return calls


def test_every_arm_has_every_seed_and_values_are_paired(toy):
    table = study.record_table("toy", seeds=[0, 3])
    assert toy == [("high", 0), ("low", 0), ("high", 3), ("low", 3)]
    assert table.is_complete
    assert table.metrics == ("eer", "recall")
    found = table.values("eer")
    assert found["high"] == pytest.approx([0.0, 0.03])
    assert found["low"] == pytest.approx([0.1, 0.13])
    assert table.differs_by("low", 3, {"eer": 0.1, "recall": 0.5}) == pytest.approx(0.03)


def test_a_table_goes_on_from_its_file_and_reads_back_as_it_was(toy, tmp_path):
    path = tmp_path / "toy.json"
    stop = RuntimeError("stopped")

    def once(arm, seed, values):
        if (arm, seed) == ("low", 0):
            raise stop

    with pytest.raises(RuntimeError, match="stopped"):
        study.record_table("toy", seeds=[0, 3], path=path, on_run=once)
    assert not tables.load_table(path).is_complete
    with pytest.raises(CompanionError, match="got 2 runs; expected 4; record it to its end"):
        tables.load_table(path).values("eer")
    table = study.record_table("toy", seeds=[0, 3], path=path)
    assert toy == [("high", 0), ("low", 0), ("high", 3), ("low", 3)]
    again = tables.load_table(path)
    assert again.runs == table.runs
    assert (again.arms, again.seeds, again.machine) == (table.arms, table.seeds, table.machine)
    assert study.record_table("toy", seeds=[0, 3], path=path).runs == table.runs
    assert len(toy) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [0]}, "another study .other seeds."),
        ({"seeds": [0, 3], "arms": ["low"]}, "another study .other arms."),
    ],
)
def test_the_file_of_another_table_is_refused(toy, tmp_path, change, message):
    path = tmp_path / "toy.json"
    study.record_table("toy", seeds=[0, 3], path=path)
    with pytest.raises(CompanionError, match=message):
        study.record_table("toy", path=path, **change)


def test_changed_code_is_another_table(toy, tmp_path, monkeypatch):
    path = tmp_path / "toy.json"
    study.record_table("toy", seeds=[0], path=path)
    monkeypatch.setattr(tables, "table_dependencies", lambda name: "another hash")
    with pytest.raises(CompanionError, match="other dependencies"):
        study.record_table("toy", seeds=[0], path=path)


def test_bad_input(toy, tmp_path):
    with pytest.raises(CompanionError, match="arm: got 'hihg'.*'high'"):
        study.record_table("toy", seeds=[0], arms=["hihg"])
    with pytest.raises(CompanionError, match="seed: got -1"):
        study.record_table("toy", seeds=[-1])
    table = study.record_table("toy", seeds=[0])
    with pytest.raises(CompanionError, match="value of the table: got 'err'"):
        table.values("err")
    with pytest.raises(CompanionError, match=r"run 'low', seed 0: got values \['eer'\]"):
        table.differs_by("low", 0, {"eer": 0.1})
    path = tmp_path / "toy.json"
    path.write_text(json.dumps({"format": "table 0", "runs": []}))
    with pytest.raises(CompanionError, match="expected a file of the format 'table 1'"):
        tables.load_table(path)
    path.write_text("[]")
    with pytest.raises(CompanionError, match="delete it and record the study again"):
        tables.load_table(path)
    with pytest.raises(CompanionError, match="recorded study: got"):
        study.recorded_table("vision/none")


def test_unknown_procedures_are_named():
    with pytest.raises(CompanionError, match="procedure: got 'nothing'"):
        tables.procedure("nothing")


def test_hash_follows_the_code_that_a_procedure_rests_on(tmp_path, monkeypatch):
    import shutil

    from companion.study import provenance

    copy = tmp_path / "companion"
    shutil.copytree(provenance.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    module = types.SimpleNamespace(ARMS=("one",), RESTS_ON=("splits", "runtime"))
    monkeypatch.setattr(tables, "procedure", lambda name: module)
    before = tables.table_dependencies("toy")
    for name, is_seen in (
        ("runtime.py", True),
        ("splits/boxes.py", True),
        ("heads/base.py", False),
    ):
        source = (copy / name).read_text()
        (copy / name).write_text(source + "\n# a comment\n")
        assert tables.table_dependencies("toy") == before
        (copy / name).write_text(source + "\nCHANGED = 1\n")
        assert (tables.table_dependencies("toy") != before) is is_seen, name
        (copy / name).write_text(source)


def test_seeds_and_arms_are_given_once_each(toy):
    with pytest.raises(CompanionError, match=r"seeds: got \[0, 0, 1\]; expected each once"):
        study.record_table("toy", seeds=[0, 0, 1])
    with pytest.raises(CompanionError, match="arms: got .*expected each once"):
        study.record_table("toy", seeds=[0], arms=["low", "low"])
    with pytest.raises(CompanionError, match="seeds"):
        study.record_table("toy", seeds=[])
    assert toy == []
