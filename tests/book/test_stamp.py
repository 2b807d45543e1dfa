"""The public address: written once, stamped everywhere; the set-up cell that follows from it."""

import importlib.util
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import stamp  # noqa: E402

UNDECIDED = "https://example.invalid/undecided"
DECIDED = "https://github.com/somebody/measured"


def test_every_stamped_place_says_what_pyproject_says():
    assert stamp.stale() == []
    assert [spot.path for spot in stamp.PLACES] == ["_config.yml", "CITATION.cff", "README.md"]


@pytest.fixture
def copy(tmp_path):
    """The stamped files and their source, to be changed."""
    for name in ["pyproject.toml", *(spot.path for spot in stamp.PLACES)]:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def decide(root: Path, url: str) -> None:
    path = root / "pyproject.toml"
    path.write_text(path.read_text().replace(stamp.repository_url(), url))


def test_a_new_address_reaches_every_place_and_can_be_taken_back(copy):
    before = {spot.path: (copy / spot.path).read_text() for spot in stamp.PLACES}
    decide(copy, DECIDED)
    everywhere = [spot.path for spot in stamp.PLACES]
    assert stamp.stale(copy) == everywhere
    assert {path: (copy / path).read_text() for path in before} == before
    assert stamp.stale(copy, write=True) == everywhere
    assert stamp.stale(copy) == []
    assert yaml.safe_load((copy / "_config.yml").read_text())["repository"]["url"] == DECIDED
    assert yaml.safe_load((copy / "CITATION.cff").read_text())["repository-code"] == DECIDED
    readme = (copy / "README.md").read_text()
    assert f"    git clone {DECIDED}\n    cd measured\n" in readme
    notebook = "somebody/measured/blob/main/book/vision/image-classification.ipynb"
    assert f"(https://colab.research.google.com/github/{notebook})" in readme
    shutil.copy(ROOT / "pyproject.toml", copy / "pyproject.toml")
    stamp.stale(copy, write=True)
    assert {path: (copy / path).read_text() for path in before} == before


def test_an_undecided_address_is_linked_from_nowhere():
    if stamp.repository_url() != UNDECIDED:
        return
    for name in ("README.md", "CITATION.cff"):
        text = (ROOT / name).read_text()
        assert "example.invalid" not in text
        assert "decided" in text


def test_lost_marks_are_an_error_that_names_the_file(copy):
    (copy / "README.md").write_text("# no marks\n")
    with pytest.raises(SystemExit, match=r"README.md: found 0 places for the address; expected"):
        stamp.stale(copy)


def test_check_exits_with_one_and_names_the_place(copy, monkeypatch, capsys):
    decide(copy, DECIDED)
    monkeypatch.setattr(stamp.stale, "__defaults__", (copy,))
    assert stamp.main(["--check"]) == 1
    assert "README.md: differs from pyproject.toml" in capsys.readouterr().out
    assert stamp.main([]) == 0
    assert stamp.main(["--check"]) == 0


# The set-up cell.


class Run:
    """Stands for subprocess.run and keeps how it was called."""

    def __init__(self):
        self.calls = []

    def __call__(self, command, **options):
        self.calls.append((command, options))


@pytest.fixture
def run(monkeypatch):
    run = Run()
    monkeypatch.setattr(subprocess, "run", run)
    return run


@pytest.fixture
def no_companion(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "companion" else find(name)
    )


@pytest.fixture
def on_colab(monkeypatch):
    google = types.ModuleType("google")
    google.colab = types.ModuleType("google.colab")
    monkeypatch.setitem(sys.modules, "google", google)
    monkeypatch.setitem(sys.modules, "google.colab", google.colab)


def execute(cell: str) -> None:
    exec(compile(cell, "set-up cell", "exec"), {})


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and ". " not in text and "\n" not in text


@pytest.mark.parametrize("url", [UNDECIDED, DECIDED])
def test_the_cell_does_nothing_where_the_companion_is(url, run, on_colab, capsys):
    execute(stamp.setup_cell(url, "main"))
    assert run.calls == []
    assert capsys.readouterr().out == ""


def test_the_cell_stops_with_one_sentence_while_there_is_no_address(run, no_companion, on_colab):
    with pytest.raises(SystemExit, match="has no public address yet") as stop:
        execute(stamp.setup_cell(UNDECIDED, "main"))
    assert is_one_sentence(str(stop.value))
    assert run.calls == []


def test_the_cell_installs_from_the_repository_on_colab(run, no_companion, on_colab):
    execute(stamp.setup_cell(DECIDED, "v1"))
    ((command, options),) = run.calls
    source = "git+https://github.com/somebody/measured@v1"
    assert command == [sys.executable, "-m", "pip", "install", "-q", source]
    assert options == {"check": True}


def test_the_cell_installs_nothing_unasked_outside_colab(run, no_companion, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)
    with pytest.raises(SystemExit, match=r"run `pip install git\+https") as stop:
        execute(stamp.setup_cell(DECIDED, "main"))
    assert is_one_sentence(str(stop.value))
    assert run.calls == []


@pytest.mark.parametrize("url", [UNDECIDED, DECIDED])
def test_the_cell_is_short_and_never_asks_an_index_for_a_name(url):
    cell = stamp.setup_cell(url, "main")
    assert len(cell.splitlines()) <= 20
    assert max(map(len, cell.splitlines())) <= 100
    assert "transfer-learning-companion" not in cell


def test_the_cell_stops_the_notebook_on_a_machine_without_the_companion(tmp_path):
    cell = tmp_path / "cell.py"
    cell.write_text(stamp.setup_cell(UNDECIDED, "main"))
    bare = [sys.executable, "-I", "-S", str(cell)]
    done = subprocess.run(bare, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("The companion has no public address yet")
    assert len(done.stderr.splitlines()) == 1


def test_every_chapters_notebook_begins_with_the_cell():
    expected = stamp.setup_cell(stamp.repository_url(), stamp.REF)
    notebooks = sorted((ROOT / "book").rglob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        assert first.source == expected, path
