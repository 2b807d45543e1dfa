"""The generated notebooks: in step with their sources, readable where MyST means nothing."""

import json
from pathlib import Path

import jupytext
import nbformat
import pytest

from booktools.bibliography import read_works
from booktools.inline import ConversionError, Inline
from booktools.labels import Labels
from booktools.layout import Page, chapters, table_of_contents
from booktools.markdown import Converter, leftovers
from booktools.notebooks import notebook_text, source_cells, stale_notebooks, write_notebooks
from booktools.public_address import Address

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = chapters(ROOT)


def test_every_chapter_has_its_notebook_and_none_is_stale():
    assert len(CHAPTERS) >= 1
    assert stale_notebooks(ROOT) == []


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_committed_notebook_is_valid_and_plain(page):
    notebook = nbformat.read(page.notebook, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].metadata.tags == ["setup"]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code[1:]] == [
        cell.source for cell in jupytext.read(page.source).cells if cell.cell_type == "code"
    ]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert len(texts) >= 5
    assert [piece for text in texts for piece in leftovers(text)] == []
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_solution_cells_are_folded_and_no_other(page):
    notebook = nbformat.read(page.notebook, as_version=4)
    folded = [cell for cell in notebook.cells[1:] if cell.metadata.get("cellView") == "form"]
    assert len(folded) >= 4
    assert all(cell.metadata.jupyter.source_hidden for cell in folded)
    marked = [cell for cell in notebook.cells[1:] if "### BEGIN SOLUTION" in cell.source]
    assert [cell for cell in marked if cell.cell_type == "code" and cell not in folded] == []


# --- the generator, on the small chapter ---


def texts(root: Path) -> list[str]:
    cells = json.loads(notebook_text(chapters(root)[0]))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def test_writing_twice_changes_nothing_and_strays_go(mini_book):
    (mini_book / "book" / "vision" / "old-chapter.ipynb").write_text("{}")
    page = chapters(mini_book)[0]
    written = [path.name for path in write_notebooks(mini_book)]
    assert written == ["image-classification.ipynb", "old-chapter.ipynb"]
    assert not (mini_book / "book" / "vision" / "old-chapter.ipynb").exists()
    before = page.notebook.read_bytes()
    assert write_notebooks(mini_book) == []
    assert page.notebook.read_bytes() == before


def test_an_edit_changes_only_the_ids_of_the_cells_it_touches(mini_book):
    page = chapters(mini_book)[0]
    before = json.loads(notebook_text(page))["cells"]
    page.source.write_text(page.text.replace("We expect squares.", "We expect cubes."))
    after = json.loads(notebook_text(chapters(mini_book)[0]))["cells"]
    changed = [old["id"] for old, new in zip(before, after, strict=True) if old["id"] != new["id"]]
    assert len(changed) == 1


def test_stale_and_missing_notebooks_are_listed(mini_book):
    page = chapters(mini_book)[0]
    assert stale_notebooks(mini_book) == [page.notebook]
    write_notebooks(mini_book)
    assert stale_notebooks(mini_book) == []
    page.source.write_text(page.text.replace("num_points = 5", "num_points = 6"))
    assert stale_notebooks(mini_book) == [page.notebook]


EXPECTED = [
    "([Kumar et al., 2022](https://arxiv.org/abs/2202.10054); "
    "[Yosinski et al., 2014](https://arxiv.org/abs/1411.1792)).",
    "[Hu et al. (2021)](https://arxiv.org/abs/2106.09685) had another one.",
    "**After this chapter you can**\n\n- Say what a glued value is",
    "- The words of the [Glossary](../appendix/glossary.md).",
    "See The formula and Figure 2.",
    "There are `num_points` (printed above) points, and later `last_square` (printed below).",
    "![Parts of the course.](../figures/course_map.svg)\n\n**Figure 1.** The *map* shows",
    "> **Note**\n>\n> A note with **bold** words and `{role}` in code.",
    "> **A title of its own**",
    "$$\n\\ell = -\\log p_y\n$$\n\n*Equation (1)*\n\nwith (1) in nats",
    "By (2) it costs $5 at most.",
    "> **Theorem 1 (Means)**",
    "**Table 1.** Symbols\n\n| Symbol | Meaning |\n| --- | --- |\n| $\\ell$ | loss, a very",
    "**Figure 2.** Squares grow faster than their roots, as $n^2$ does.",
    "Figure 2 rises. By Theorem 1 all is well.",
    "See the idea again, head, and [Papers](../appendix/papers.md).",
    "| `num_points` (printed above) | two |",
    "### Exercise 1: What comes next?\n\n**Predict** · 5 minutes · easy",
    "<details>\n<summary>Hint 1</summary>\n\nIt is a square.\n\n</details>",
    "#### Solution to exercise 1\n\n<details>\n<summary>The solution in words</summary>\n\nCount",
]


@pytest.mark.parametrize("expected", EXPECTED, ids=range(len(EXPECTED)))
def test_myst_becomes_plain_markdown(mini_book, expected):
    assert expected in "\n\n".join(texts(mini_book))


def test_comments_and_targets_are_gone(mini_book):
    text = "\n".join(texts(mini_book))
    assert "nobody sees" not in text
    assert ")=" not in text


def test_text_between_solutions_is_not_folded(mini_book):
    cell = next(text for text in texts(mini_book) if "### Exercise 2" in text)
    folded, _, rest = cell.partition("</details>")
    assert "That was all." in folded
    assert "### Exercise 2" in rest and "<details>" not in rest


# --- single pieces ---


@pytest.fixture
def converter(mini_book):
    return make_converter(mini_book)


def make_converter(root: Path, url: str = "") -> Converter:
    pages = table_of_contents(root)
    page = next(page for page in pages if page.is_chapter)
    pointer = "(see `{}`)".format
    return Converter(Inline(page, Labels(pages), read_works(root), Address(url), pointer))


@pytest.mark.parametrize(
    ("myst", "markdown"),
    [
        ("{abbr}`CER (character error rate)`", "CER (character error rate)"),
        ("{kbd}`Ctrl`+{kbd}`C`", "<kbd>Ctrl</kbd>+<kbd>C</kbd>"),
        ("H{sub}`2`O, {math}`x^2`", "H<sub>2</sub>O, $x^2$"),
        ("`{ref}` and ``{cite}`key` `` stay", "`{ref}` and ``{cite}`key` `` stay"),
        ("$a_{b}$ `code` $c$", "$a_{b}$ `code` $c$"),
        ("[](../appendix/notation.md)", "[Notation](../appendix/notation.md)"),
        ("[here](#eq-loss) and [](#eq-mean)", "here and (2)"),
        ("{doc}`words <../appendix/glossary>`", "[words](../appendix/glossary.md)"),
        ("{numref}`picture %s <fig-image-classification-map>`", "picture 1"),
        ("{glue:text}`accuracy:.3f`", "(see `accuracy`)"),
        ("a [span]{.mark} of text", "a [span] of text"),
        (
            "```{dropdown} More\ntext\n```",
            "<details>\n<summary>More</summary>\n\ntext\n\n</details>",
        ),
        (
            "```{tip}\n:class: dropdown\n\ntext\n```",
            "<details>\n<summary>Tip</summary>\n\ntext\n\n</details>",
        ),
        ("```{code-block} python\nx = 1\n```", "```python\nx = 1\n```"),
        ("```python\n{ref}`x`\n```", "```python\n{ref}`x`\n```"),
        ("- item\n\n  ```{note}\n  text\n  ```", "- item\n\n  > **Note**\n  >\n  > text"),
        ("````{note}\n```{tip}\ntext\n```\n````", "> **Note**\n>\n> > **Tip**\n> >\n> > text"),
        ("```{glue:figure} curve\n```", "(see `curve`)"),
        ("```{epigraph}\nWords.\n```", "Words."),
    ],
)
def test_piece(converter, myst, markdown):
    assert converter.convert(myst) == markdown


@pytest.mark.parametrize(
    ("myst", "message"),
    [
        ("{strange}`x`", "role 'strange' has no plain Markdown"),
        ("```{strange}\n```", "directive 'strange' has no plain Markdown"),
        ("{cite}`nobody2000nothing`", "nobody2000nothing: not in book/references.bib"),
        ("{ref}`nowhere`", "nothing is labelled 'nowhere'"),
        ("{doc}`../appendix/nowhere`", "is no page of _toc.yml"),
    ],
)
def test_what_has_no_plain_markdown_is_an_error(converter, myst, message):
    with pytest.raises(ConversionError, match=message):
        converter.convert(myst)


@pytest.mark.parametrize(
    ("markdown", "left"),
    [
        ("{ref}`x` is left", ["{ref}`"]),
        ("(label)=\n# Title", ["(label)="]),
        ("```{note}\ntext\n```", ["```{"]),
        (":::{note}\ntext\n:::", [":::{", ":::"]),
        ("`{ref}` in code, $\\frac{a}{b}$ and\n\n```text\n{ref}`x`\n```", []),
    ],
)
def test_leftovers(markdown, left):
    assert leftovers(markdown) == left


def test_with_an_address_links_and_pictures_are_absolute(mini_book):
    converter = make_converter(mini_book, "https://github.com/someone/book")
    picture = converter.convert("![map](../figures/course_map.svg)")
    assert picture == (
        "![map](https://github.com/someone/book/raw/main/book/figures/course_map.svg)"
    )
    link = converter.convert("{doc}`../appendix/notation`")
    assert link == "[Notation](https://github.com/someone/book/blob/main/book/appendix/notation.md)"


def test_links_between_chapters_lead_to_notebooks(mini_book):
    other = mini_book / "book" / "vision" / "second.md"
    other.write_text(
        Page(mini_book, "book/vision/image-classification").text.replace(
            "image-classification", "second"
        )
    )
    toc = mini_book / "_toc.yml"
    toc.write_text(toc.read_text() + "  - file: book/vision/second\n")
    link = make_converter(mini_book).convert("{doc}`second`")
    assert link == "[Does it build?](second.ipynb)"
    colab = make_converter(mini_book, "https://github.com/a/b").convert("{doc}`second`")
    base = "https://colab.research.google.com/github/a/b/blob/main"
    assert colab == f"[Does it build?]({base}/book/vision/second.ipynb)"


def test_cells_are_those_of_the_source(mini_book):
    page = chapters(mini_book)[0]
    cells = json.loads(notebook_text(page))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][1:]
    assert code == [cell.source for cell in source_cells(page) if cell.kind == "code"]
    assert len(code) == 8
