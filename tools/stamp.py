"""Write the public address from pyproject.toml into the places that repeat it.

    python tools/stamp.py            write
    python tools/stamp.py --check    exit 1 and name the places that differ

The address stands in `[project.urls]` of pyproject.toml and nowhere else by hand. Until it is
decided nothing here points at a place that does not exist. The set-up cells are stamped by
`tools/book.py notebooks`, which calls `setup_cell`.
"""

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from booktools.public_address import BRANCH, Address, address

ROOT = Path(__file__).resolve().parents[1]
FIRST_CHAPTER = "book/vision/image-classification.ipynb"
REGION = r"(?<=BEGIN address, written by make notebooks{close}\n).*?(?={open}END address)"


@dataclass(frozen=True)
class Place:
    """A stretch of a file that follows from the address.

    Attributes:
        path: The file, relative to the repository.
        pattern: Matches the stretch, exactly once in the file; `.` matches line ends too.
        render: Gives the text of the stretch.
    """

    path: str
    pattern: str
    render: Callable[[Address], str]

    def stamped(self, text: str, place: Address) -> str:
        """Return the file's text with the stretch rewritten.

        Raises:
            SystemExit: The stretch is not there exactly once.
        """
        found = re.findall(self.pattern, text, flags=re.DOTALL)
        if len(found) != 1:
            raise SystemExit(
                f"{self.path}: found {len(found)} places for the address; expected one that "
                f"matches {self.pattern!r}; put its marks back as git shows them"
            )
        return re.sub(self.pattern, lambda _: self.render(place), text, flags=re.DOTALL)


def config_value(place: Address) -> str:
    """Return the address as `_config.yml` holds it, decided or not."""
    return place.url


def citation_lines(place: Address) -> str:
    """Return the line of CITATION.cff, or a remark while there is no address."""
    if place.is_decided:
        return f'repository-code: "{place.url}"\n'
    return "# repository-code follows once the address is decided\n"


def readme_lines(place: Address) -> str:
    """Return the README's badge and how to get the files."""
    if not place.is_decided:
        return (
            "The public address of this repository is not decided yet, so there are no launch "
            "buttons: take\na copy of the folder and start in it.\n"
        )
    badge = "https://colab.research.google.com/assets/colab-badge.svg"
    return (
        f"[![Open the first chapter in Colab]({badge})]({place.colab(FIRST_CHAPTER)})\n\n"
        f"    git clone {place.url}\n"
        f"    cd {place.repository.rpartition('/')[2]}\n"
    )


HTML_REGION = REGION.format(close=" -->", open="<!-- ")
YAML_REGION = REGION.format(close="", open="# ")
PLACES = (
    Place("_config.yml", r'(?<=\nrepository:\n  url: ")[^"\n]*(?=")', config_value),
    Place("CITATION.cff", YAML_REGION, citation_lines),
    Place("README.md", HTML_REGION, readme_lines),
)

CELL_UNDECIDED = """\
# Set-up, written by `make notebooks`: does nothing where the companion is installed.
import importlib.util

if importlib.util.find_spec("companion") is None:
    raise SystemExit(
        "The companion has no public address yet and cannot be installed from here: "
        "open this notebook in a copy of its repository, after `make book`."
    )"""

CELL_DECIDED = """\
# Set-up, written by `make notebooks`: does nothing where the companion is installed.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("companion") is None:
    source = "git+{url}@{ref}"
    try:
        import google.colab  # noqa: F401
    except ImportError:
        raise SystemExit(f"The companion is missing: run `pip install {{source}}` first.") from None
    print("Installing the companion, about a minute ...")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source], check=True)"""


def setup_cell(repository_url: str, ref: str) -> str:
    """Return the code of the set-up cell that `make notebooks` puts first into a notebook.

    Where the companion can be imported the cell does nothing. On Colab it installs it from the
    repository; elsewhere, or while the address is undecided, it stops with one sentence. It never
    asks an index for a name.

    Args:
        repository_url: Address of the repository, as in pyproject.toml.
        ref: Branch, tag or commit to install.
    """
    place = Address(repository_url)
    if not place.is_decided:
        return CELL_UNDECIDED
    return CELL_DECIDED.format(url=place.url, ref=ref)


def repository_url() -> str:
    """Return the address that pyproject.toml gives."""
    return address(ROOT).url


REF = BRANCH


def stale(root: Path = ROOT, *, write: bool = False) -> list[str]:
    """Return the files whose stamp differs from pyproject.toml; `write` mends them.

    Args:
        root: The repository.
        write: Whether to write the files that differ.
    """
    place = address(root)
    found = []
    for spot in PLACES:
        path = root / spot.path
        text = path.read_text(encoding="utf-8")
        stamped = spot.stamped(text, place)
        if stamped != text:
            found.append(spot.path)
            if write:
                path.write_text(stamped, encoding="utf-8")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if stale")
    options = parser.parse_args(arguments)
    found = stale(write=not options.check)
    for path in found:
        print(f"{path}: {'differs from pyproject.toml' if options.check else 'stamped'}")
    return int(options.check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
