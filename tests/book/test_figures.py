"""Each drawing in book/figures is what its script draws today."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

FIGURES = Path(__file__).resolve().parents[2] / "book" / "figures"
SCRIPTS = sorted(path for path in FIGURES.glob("*.py") if path.name != "svg.py")


def test_there_are_figures_and_each_has_its_script():
    assert len(SCRIPTS) >= 3
    assert {path.stem for path in FIGURES.glob("*.svg")} == {path.stem for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_drawing_is_up_to_date(script, monkeypatch):
    monkeypatch.syspath_prepend(str(FIGURES))
    drawn = runpy.run_path(str(script))["draw"]().to_svg()
    stored = script.with_suffix(".svg").read_text(encoding="utf-8")
    assert stored == drawn, f"run python {script.name} in book/figures"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_drawing_has_a_title_a_description_and_stays_inside(script):
    root = ElementTree.parse(script.with_suffix(".svg")).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text
    assert root.find(f"{space}desc").text
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = [node for node in root.iter(f"{space}rect")]
    assert len(boxes) > 3
    for box in boxes:
        assert float(box.get("x", 0)) + float(box.get("width")) <= width
        assert float(box.get("y", 0)) + float(box.get("height")) <= height


def test_a_script_runs_by_itself(tmp_path):
    for name in ("svg.py", "transfer_workflow.py"):
        (tmp_path / name).write_text((FIGURES / name).read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run(
        [sys.executable, "transfer_workflow.py"], cwd=tmp_path, check=True, env={**os.environ}
    )
    assert (tmp_path / "transfer_workflow.svg").is_file()
