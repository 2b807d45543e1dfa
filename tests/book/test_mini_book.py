"""Building: what runs again, what a page shows of a run, and what the commands say."""

import json
import re
import shutil
from pathlib import Path

import pytest
from minibook import make_mini_book, run_tool

from booktools import build
from booktools.execution import fingerprint
from booktools.layout import chapters

NAME = "vision/image-classification"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A book that was built once; tests below build it again."""
    root = make_mini_book(tmp_path_factory.mktemp("book"))
    done = run_tool(root, "build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(str(root / "_build" / "html" / "index.html"))
    return root


def page_text(root: Path) -> str:
    html = (root / "_build" / "html" / "book" / f"{NAME}.html").read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def results_of(root: Path) -> dict:
    return json.loads((root / "_build" / "results" / f"{NAME}.json").read_text())


def test_prose_shows_what_the_run_recorded(built):
    assert "There are 5 points, and later 16.0." in page_text(built)


def test_page_and_table_show_measured_time_and_memory(built):
    megabytes = results_of(built)["chapter_peak_megabytes"]["value"]
    table = (built / "_build" / "html" / "book" / "appendix" / "chapters.html").read_text()
    shown = re.search(r"seconds? and (\d+) MB at its peak", page_text(built))
    assert megabytes <= int(shown[1]) <= megabytes + 10
    assert re.search(rf">\s*(?:<p>)?{shown[1]} MB", table)
    assert "not measured" not in table


def test_page_offers_the_generated_notebook(built):
    from booktools.notebooks import notebook_text

    offered = built / "_build" / "html" / "_sources" / "book" / f"{NAME}.ipynb"
    assert offered.read_text(encoding="utf-8") == notebook_text(chapters(built)[0])


def test_unchanged_chapter_is_not_run_again_and_changed_code_runs_it(built):
    path = built / "_build" / "results" / f"{NAME}.json"
    before = path.stat().st_mtime_ns
    assert run_tool(built, "build").returncode == 0
    assert path.stat().st_mtime_ns == before

    module = built / "companion" / "report.py"
    module.write_text(module.read_text().replace("OFFSET = 0", "OFFSET = 2"))
    done = run_tool(built, "build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert results_of(built)["num_points"]["value"] == 7
    assert "There are 7 points, and later 18.0." in page_text(built)


def test_chapter_whose_results_are_missing_is_run_again(built):
    shutil.rmtree(built / "_build" / "results")
    done = run_tool(built, "build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "num_points" in results_of(built)


def test_warning_fails_the_build(built):
    source = built / "book" / "index.md"
    text = source.read_text()
    source.write_text(text + "\nSee {ref}`nowhere-at-all`.\n")
    try:
        done = run_tool(built, "build")
    finally:
        source.write_text(text)
    assert done.returncode != 0
    assert "nowhere-at-all" in done.stdout + done.stderr
    assert "The book was not built" in done.stdout


def test_two_runs_are_compared_exactly(built, tmp_path):
    results = built / "_build" / "results"
    second = tmp_path / "second"
    shutil.copytree(results, second)
    assert run_tool(built, "results-compare", str(results), str(second)).returncode == 0

    path = second / f"{NAME}.json"
    entries = json.loads(path.read_text())
    entries["chapter_seconds"]["value"] += 1
    path.write_text(json.dumps(entries))
    assert run_tool(built, "results-compare", str(results), str(second)).returncode == 0

    entries["num_points"]["value"] += 1
    path.write_text(json.dumps(entries))
    done = run_tool(built, "results-compare", str(results), str(second))
    assert done.returncode == 1
    assert f"{NAME}: num_points: " in done.stdout

    path.unlink()
    done = run_tool(built, "results-compare", str(results), str(second))
    assert done.returncode == 1
    assert "no results file" in done.stdout


def test_rehearsal_runs_the_cells_at_rehearsal_scale(mini_book):
    done = run_tool(mini_book, "rehearse")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 chapters rehearsed" in done.stdout

    source = chapters(mini_book)[0].source
    cell = 'num_points = 5\nimport os\nassert os.environ["COMPANION_SCALE"] != "rehearsal"'
    source.write_text(source.read_text().replace("num_points = 5", cell))
    done = run_tool(mini_book, "rehearse", NAME)
    assert done.returncode == 1
    assert "AssertionError" in done.stdout


def test_unknown_chapter_is_one_sentence(mini_book):
    done = run_tool(mini_book, "rehearse", "vision/none")
    assert done.returncode == 1
    assert done.stderr.strip() == f"no chapter called vision/none; _toc.yml lists: {NAME}"


def test_page_without_source_is_one_sentence(mini_book):
    (mini_book / "book" / "index.md").unlink()
    done = run_tool(mini_book, "notebooks")
    assert done.returncode == 1
    assert done.stderr.strip() == "_toc.yml lists pages that have no .md file: book/index"


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "companion" / "report.py").open("a").write("# a line\n"),
        lambda root: (root / "companion" / "assets" / "net.safetensors").write_bytes(b"1"),
        lambda root: (root / "constraints.txt").open("a").write("six==1.0\n"),
        lambda root: (root / "book" / "studies" / "grid.json").write_text("{}"),
    ],
    ids=["a line of the package", "an asset", "a version", "a recorded study"],
)
def test_fingerprint_follows(mini_book, change):
    (mini_book / "companion" / "assets").mkdir()
    (mini_book / "book" / "studies").mkdir()
    before = fingerprint(mini_book)
    assert fingerprint(mini_book) == before
    change(mini_book)
    assert fingerprint(mini_book) != before


def test_fingerprint_follows_the_scale_and_not_compiled_files(mini_book):
    before = fingerprint(mini_book, at_scale="laptop")
    assert fingerprint(mini_book, at_scale="full") != before
    (mini_book / "companion" / "__pycache__").mkdir(exist_ok=True)
    (mini_book / "companion" / "__pycache__" / "report.pyc").write_bytes(b"1")
    assert fingerprint(mini_book, at_scale="laptop") == before


def test_chapter_over_twice_its_budget_is_told(mini_book):
    page = chapters(mini_book)[0]
    path = page.results(mini_book)
    path.parent.mkdir(parents=True)
    for seconds, expected in ((59, []), (61, [f"{NAME}: took 61 s, budget 30 s"])):
        path.write_text(json.dumps({"chapter_seconds": {"value": seconds, "kind": "cost"}}))
        told = build.over_budget(mini_book, mini_book, [page])
        assert [line.partition(" (")[0] for line in told] == expected
    path.write_text("{}")
    assert "recorded no time" in build.over_budget(mini_book, mini_book, [page])[0]
