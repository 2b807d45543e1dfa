"""Docstrings: read from the source without importing it, kept, and made a labelled set."""

from __future__ import annotations

import gzip
import importlib.metadata
import inspect
import json
import re
import sys

import numpy.linalg
import pytest

from companion import load_dataset
from companion.checks import CompanionError
from companion.datasets import docstring_library, docstrings
from companion.datasets.docstrings import Docstring, load_docstrings

LONG = "which goes on for some time, so that the whole is long enough to be kept by the reader"

MAIN = f'''
"""A package that must not be imported.

{LONG}
"""
raise ImportError("somebody imported it")

def one(x):
    """Return one thing,
    over two lines.

    Parameters
    ----------
    x : int
        {LONG}

    """
    def inside():
        """A function inside a function, {LONG}."""

class Two:
    """Two things, {LONG}."""

    def method(self):
        """A method, {LONG}."""

    async def later(self):
        """A method that waits, {LONG}."""

    class Inner:
        def deep(self):
            """A method two classes down, {LONG}."""

try:
    import nothing
except ImportError:
    def fallback():
        """A function in a branch, {LONG}."""
else:
    def fallback():
        """The same name once more, {LONG}."""
if True:
    short = 1
    def short():
        """Too short."""
'''

OTHER = f'''
def copy():
    """A method, {LONG}."""

def raw():
    "An odd sign: \\d, {LONG}."
'''


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A package `madeup` with tests and a copied package inside, and a cache of its own."""
    files = {
        "madeup/__init__.py": MAIN,
        "madeup/b.py": OTHER,
        "madeup/a/deeper.py": f'"""Deeper than the others, {LONG}."""',
        "madeup/a/broken.py": "def (:",
        "madeup/tests/test_a.py": f'"""A test, {LONG}."""',
        "madeup/externals/lib.py": f'"""A copy of something, {LONG}."""',
        "madeup/conftest.py": f'"""Set up of tests, {LONG}."""',
        "madeup/data.txt": LONG,
        "single_made.py": f'"""One module alone, {LONG}."""',
    }
    for name, text in files.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    docstrings._cached.cache_clear()
    yield tmp_path
    docstrings._cached.cache_clear()


EXPECTED = [
    "madeup",
    "madeup.one",
    "madeup.Two",
    "madeup.Two.method",
    "madeup.Two.later",
    "madeup.Two.Inner.deep",
    "madeup.fallback",
    "madeup.a.deeper",
    "madeup.b.raw",
]


def test_names_come_in_the_order_of_modules_and_of_the_source(made):
    rows = load_docstrings(["madeup"])
    assert [row.name for row in rows] == EXPECTED
    assert {row.package for row in rows} == {"madeup"} and "madeup" not in sys.modules
    modules = {row.name: row.module for row in rows}
    assert modules["madeup.Two.Inner.deep"] == "madeup"
    assert modules["madeup.b.raw"] == "madeup.b"
    assert rows[6].summary.startswith("A function in a branch")


def test_the_summary_is_one_line_and_the_body_keeps_its_lines(made):
    row = load_docstrings("madeup")[1]
    assert row.summary == "Return one thing, over two lines."
    assert row.body == f"Parameters\n----------\nx : int\n    {LONG}"
    assert row.text == f"{row.summary}\n\n{row.body}"
    assert Docstring("p", "p.m", "p.m.f", "Alone.", "").text == "Alone."


def test_length_and_copies(made):
    names = [row.name for row in load_docstrings("madeup", min_characters=0)]
    assert sorted(set(names) - set(EXPECTED)) == ["madeup.short"]
    assert "madeup.b.copy" not in names, "the text of madeup.Two.method"
    longest = max(len(row.text) for row in load_docstrings("madeup"))
    rows = load_docstrings("madeup", min_characters=longest)
    assert [row.name for row in rows] == ["madeup.one"]
    assert load_docstrings("madeup", min_characters=longest + 1) == []


def test_a_text_of_two_packages_is_that_of_the_first(made):
    (made / "site" / "single_made.py").write_text(OTHER, encoding="utf-8")
    names = [row.name for row in load_docstrings(["single_made", "madeup"])]
    assert names[:2] == ["single_made.copy", "single_made.raw"]
    assert not {"madeup.Two.method", "madeup.b.raw"} & set(names)
    assert load_docstrings(["madeup", "madeup"]) == load_docstrings("madeup")


def test_a_single_module_is_read_too(made):
    assert [(row.name, row.module) for row in load_docstrings("single_made")] == [
        ("single_made", "single_made")
    ]


def test_what_was_read_is_kept_until_the_source_changes(made, monkeypatch):
    before = load_docstrings("madeup")
    (kept,) = (made / "cache" / "docstrings").iterdir()
    assert re.fullmatch(r"madeup-unknown-python3\.\d+-1-[0-9a-f]{16}\.json\.gz", kept.name)
    rows = json.loads(gzip.decompress(kept.read_bytes()))
    rows[1][3] = "Changed by hand."
    kept.write_bytes(gzip.compress(json.dumps(rows).encode()))
    assert load_docstrings("madeup") == before, "from memory"
    docstrings._cached.cache_clear()
    assert load_docstrings("madeup")[1].summary == "Changed by hand."
    (made / "site" / "madeup" / "b.py").write_text(OTHER + "\nx = 1\n", encoding="utf-8")
    assert load_docstrings("madeup") == before
    assert len(list((made / "cache" / "docstrings").iterdir())) == 2


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"[[1,"), gzip.compress(b"[[1, 2]]"), gzip.compress(b"3")]
)
def test_a_broken_copy_is_read_anew(made, content):
    before = load_docstrings("madeup")
    (kept,) = (made / "cache" / "docstrings").iterdir()
    kept.write_bytes(content)
    docstrings._cached.cache_clear()
    assert load_docstrings("madeup") == before
    assert len(json.loads(gzip.decompress(kept.read_bytes()))) > len(before)


def test_without_room_for_a_copy_reading_goes_on_with_a_warning(made, monkeypatch):
    (made / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="docstrings are read anew each time: writing"):
        assert [row.name for row in load_docstrings("madeup")] == EXPECTED


def test_the_kept_copy_has_the_installed_version(made):
    assert docstrings._version("sklearn") == importlib.metadata.version("scikit-learn")
    assert docstrings._version("numpy") == importlib.metadata.version("numpy")
    assert docstrings._version("madeup") == "unknown"
    assert docstrings._version("json") == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("name", ["no_such_package", "numpy.linalg", "../numpy", "", 3])
def test_an_unknown_package_is_refused(made, name):
    with pytest.raises(CompanionError, match=rf"package: got {name!r}; expected the name of an in"):
        load_docstrings([name])


def test_a_package_without_source_is_refused(made):
    with pytest.raises(CompanionError, match="package 'math': got no Python source"):
        load_docstrings("math")
    with pytest.raises(CompanionError, match="min_characters: got -1"):
        load_docstrings("madeup", min_characters=-1)


# the real NumPy, which is everywhere


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for the tests that read whole libraries, so that each is parsed once."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COMPANION_CACHE", str(tmp_path_factory.mktemp("cache")))
    docstrings._cached.cache_clear()
    yield
    patch.undo()
    docstrings._cached.cache_clear()


def test_numpys_docstrings_are_those_that_python_shows(cache):
    numpy_rows = load_docstrings(("numpy",))
    by_name = {row.name: row for row in numpy_rows}
    assert len(by_name) == len(numpy_rows) > 1000
    for function, name in (
        (numpy.linalg.norm, "numpy.linalg._linalg.norm"),
        (numpy.polynomial.Polynomial.cutdeg, "numpy.polynomial._polybase.ABCPolyBase.cutdeg"),
    ):
        shown = inspect.getdoc(function)
        row = by_name[name]
        assert shown.split() == row.text.split()
        assert shown.split("\n\n")[1].strip("\n") in row.body
    assert len({row.text for row in numpy_rows}) == len(numpy_rows)
    assert min(len(row.text) for row in numpy_rows) >= 80
    assert not [row for row in numpy_rows if ".tests." in row.name]


def test_the_registered_set_is_of_two_installed_libraries(cache):
    splits = load_dataset("docstring_library", labels_per_class=10, seed=0)
    assert splits.card is docstring_library.CARD and splits.grouped
    assert splits.train.class_counts() == {"numpy": 8, "sklearn": 8}
    assert splits.val.class_counts() == {"numpy": 2, "sklearn": 2}
    groups = [set(part.groups) for part in (splits.train, splits.val, splits.test)]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert 400 < len(splits.test) < len(splits.pool) / 2
    leak = re.compile(r"numpy|scipy|sklearn|scikit.?learn|\bnp\b", re.IGNORECASE)
    assert not [text for text in splits.pool.inputs if leak.search(text)]
    assert max(map(len, splits.pool.inputs)) <= 400 and min(map(len, splits.pool.inputs)) >= 80


# which library


def test_names_of_libraries_are_masked():
    text = "NumPy's np.linalg.norm, scikit-learn or SKLEARN.svm; scipy.special. Not snp or input."
    assert docstring_library.mask_names(text) == (
        "library's library, library or library; library. Not snp or input."
    )
    assert docstring_library.mask_names("Torch: torch.nn", also=["torch"]) == "library: library"


def write_module(root, package, module, words):
    """Write a module with two long docstrings whose bodies begin in two ways."""
    body = f"{words} of {package}.{words}, {LONG} " + "and more " * 60
    path = root / "site" / package / f"{module}.py"
    path.parent.mkdir(exist_ok=True)
    function = f'def f():\n    """Does it.\n\n    Again {body}"""\n'
    path.write_text(f'"""Module {module}.\n\n{body}\n"""\n\n\n{function}')


@pytest.fixture
def two(made):
    for number in range(20):
        write_module(made, "reds", f"m{number}", f"apple{number}")
    for number in range(10):
        write_module(made, "blues", f"m{number}", f"berry{number}")
    return docstring_library.read_libraries(["reds", "blues"])


def test_whole_modules_are_held_out_of_each_library(two):
    assert two.pool.classes == ("reds", "blues") and two.grouped
    assert two.test.class_counts() == {"reds": 8, "blues": 4}
    assert two.pool.class_counts() == {"reds": 32, "blues": 16}
    assert not set(two.pool.groups) & set(two.test.groups)
    for split in (two.pool, two.test):
        for name, group, label in zip(split.ids, split.groups, split.labels, strict=True):
            assert name.startswith(f"docstring_library/{group}")
            assert group.split(".")[0] == split.classes[label]
    assert two.card.classes == ("reds", "blues") and "BSD" not in two.card.licence


def test_texts_are_bodies_masked_and_cut_before_a_word(two):
    assert not [text for text in two.pool.inputs if re.search("reds|blues", text)]
    for name, text in zip(two.pool.ids, two.pool.inputs, strict=True):
        number = re.search(r"m(\d+)", name)[1]
        fruit = ("apple" if "/reds." in name else "berry") + number
        again = "Again " if name.endswith(".f") else ""
        assert text.startswith(f"{again}{fruit} of library, which goes on")
        assert 390 < len(text) <= 400 and text.endswith((" and more", " more and"))


def test_bodies_that_are_alike_once_masked_and_cut_are_taken_once(made):
    for number in range(3):
        write_module(made, "reds", f"m{number}", f"apple{number}")
        write_module(made, "blues", f"m{number}", f"berry{number}")
    first = made / "site" / "reds" / "m0.py"
    (made / "site" / "reds" / "z.py").write_text(first.read_text().replace(' \n"', ' end.\n"'))
    write_module(made, "blues", "z", "apple0")
    source = docstring_library.read_libraries(["reds", "blues"])
    modules = {*source.pool.groups, *source.test.groups}
    assert modules == {f"{name}.m{number}" for name in ("reds", "blues") for number in range(3)}


def test_libraries_that_cannot_be_parted_are_refused(made, tmp_path):
    with pytest.raises(CompanionError, match=r"libraries: got \['numpy'\]; expected at least two"):
        docstring_library.read_libraries("numpy")
    with pytest.raises(CompanionError, match="library 'single_made': got 0 modules with long"):
        docstring_library.read_libraries(["single_made", "madeup"])
    with pytest.raises(CompanionError, match="path of the dataset 'docstring_library'"):
        load_dataset("docstring_library", path=tmp_path)
