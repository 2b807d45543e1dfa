"""A book of one page that builds in seconds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MINI = Path(__file__).parent / "mini"

MINI_TOC = """\
format: jb-book
root: book/index
chapters:
  - file: book/vision/image-classification
  - file: book/appendix/chapters
  - file: book/appendix/notation
  - file: book/appendix/glossary
  - file: book/appendix/papers
"""


def make_mini_book(folder: Path) -> Path:
    """Write a whole repository with one small chapter, a stub of the package, and our tools."""
    for name in ("_config.yml", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=ignored)
    shutil.copytree(ROOT / "book" / "_ext", folder / "book" / "_ext", ignore=ignored)
    shutil.copytree(ROOT / "book" / "_static", folder / "book" / "_static")
    shutil.copytree(ROOT / "book" / "figures", folder / "book" / "figures", ignore=ignored)
    shutil.copytree(MINI / "companion", folder / "companion", ignore=ignored)
    shutil.copy(ROOT / "book" / "references.bib", folder / "book" / "references.bib")
    (folder / "_toc.yml").write_text(MINI_TOC)
    (folder / "book" / "budgets.toml").write_text('"vision/image-classification" = 30\n')
    (folder / "book" / "cited_figures.toml").write_text("")
    (folder / "book" / "vision").mkdir()
    shutil.copy(MINI / "chapter.md", folder / "book" / "vision" / "image-classification.md")
    appendix = folder / "book" / "appendix"
    appendix.mkdir()
    (folder / "book" / "index.md").write_text("# A small book\n\nIts first page.\n")
    (appendix / "chapters.md").write_text(
        "# Chapters\n\n```{generated} chapters\n```\n\n```{generated} launch\n```\n"
    )
    (appendix / "notation.md").write_text("# Notation\n\n$x$ is an input.\n")
    (appendix / "glossary.md").write_text("# Glossary\n\n```{glossary}\nhead\n    The top.\n```\n")
    (appendix / "papers.md").write_text(
        "# Papers\n\n```{generated} papers\n```\n\n```{bibliography}\n```\n"
    )
    return folder


def run_tool(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run `tools/book.py` of the repository at `root`; its kernels see its own `companion`."""
    inherited = {key: value for key, value in os.environ.items() if key != "COMPANION_RESULTS"}
    return subprocess.run(
        [sys.executable, "tools/book.py", *arguments],
        cwd=root,
        env=inherited | {"PYTHONPATH": str(root), "COMPANION_SCALE": "laptop"} | environment,
        capture_output=True,
        text=True,
    )
