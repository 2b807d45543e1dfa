"""The house rules of the package: layers, sizes, quiet imports, errors that are told."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import companion
from companion import _MODULES

PACKAGE = Path(companion.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py"))
ORDER = (*_MODULES, "__main__")
HEAVY = ("torch", "numpy", "transformers", "torchvision", "matplotlib", "sklearn", "accelerate")


def _layer(path: Path) -> str:
    """Return the module of the list that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(path: Path) -> set[str]:
    """Return the modules of the list that a file imports, type checking left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("companion"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names]
            found |= {parts[1] for parts in names if parts[0] == "companion" and len(parts) > 1}
    return found & set(ORDER)


def test_the_list_of_modules_is_the_package():
    found = {_layer(path) for path in FILES} - {"__init__"}
    assert found == set(ORDER)
    assert len(FILES) >= 40


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_up_the_list(path):
    layer = _layer(path)
    if layer == "__init__":
        return
    below = {name for name in _imports(path) if ORDER.index(name) > ORDER.index(layer)}
    assert not below, f"{path.name} imports {below}, which stand below {layer}"


def test_the_core_names_no_modality():
    """Images, tokens and waveforms stop at the heads: no name in the core speaks of them."""
    core = ("layer_groups", "adapters", "strategies", "training", "study")
    files = [path for path in FILES if _layer(path) in core]
    assert len(files) >= 10
    for path in files:
        names = {
            getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        }
        # A recipe that is read back names the one augmentation there is.
        spoken = " ".join(str(name).lower() for name in names - {"ImageAugment"})
        for word in ("image", "pixel", "token_ids", "waveform", "vision", "speech", "sample_rate"):
            assert word not in spoken, f"{path.name} names {word!r}"


def _functions() -> list[tuple[str, int]]:
    """Return every function with its length in lines, docstring left out."""
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                if ast.get_docstring(node, clean=False):
                    head = node.body[0]
                    length -= (head.end_lineno or 0) - head.lineno + 1
                found.append((f"{path.relative_to(PACKAGE)}:{node.name}", length))
    return found


def test_functions_fit_on_a_screen():
    functions = _functions()
    assert len(functions) > 300
    assert not [row for row in functions if row[1] > 40]
    assert statistics.median(length for _, length in functions) <= 12


def test_modules_become_packages_at_350_lines():
    long = {p.name: n for p in FILES if (n := len(p.read_text("utf-8").splitlines())) > 350}
    assert not long


def test_importing_is_quiet_and_light():
    """No heavy library, no output, no global seed, no thread setting."""
    code = (
        "import sys, random; random.seed(1); state = random.getstate(); import companion; "
        "assert random.getstate() == state; print([m for m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert done.stderr == ""
    assert "companion" in loaded
    assert not set(HEAVY) & set(loaded)


def test_a_core_module_sets_nothing():
    code = (
        "import torch; torch.manual_seed(3); before = torch.random.get_rng_state(); "
        "threads = torch.get_num_threads(); import companion; companion.fit; companion.compare; "
        "companion.report; companion.exercises; companion.evaluate; companion.load_dataset; "
        "assert torch.equal(before, torch.random.get_rng_state()); "
        "assert threads == torch.get_num_threads()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_assert_is_for_programmers_only():
    """A user's mistake is a CompanionError; `assert` and bare ValueError are not for it."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func)
                assert name not in ("Exception", "NotImplemented"), f"{path}:{node.lineno}"
