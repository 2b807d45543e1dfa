"""The bibliography as a notebook shows it: authors and year, with a link."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pybtex.database import Entry, parse_file

BIBLIOGRAPHY = Path("book") / "references.bib"


@dataclass(frozen=True)
class Work:
    """One cited work.

    Args:
        authors: family names as one writes them in a sentence.
        year: year of publication.
        url: where it can be read; empty when the entry gives neither DOI nor address.
        title: title without braces.
    """

    authors: str
    year: str
    url: str
    title: str

    def textual(self) -> str:
        """Return "Authors (year)", linked."""
        return self._link(f"{self.authors} ({self.year})")

    def parenthetical(self) -> str:
        """Return "Authors, year", linked; the caller sets the parentheses."""
        return self._link(f"{self.authors}, {self.year}")

    def _link(self, text: str) -> str:
        return f"[{text}]({self.url})" if self.url else text


def read_works(root: Path) -> dict[str, Work]:
    """Return the works of `book/references.bib` by key."""
    entries = parse_file(str(root / BIBLIOGRAPHY), bib_format="bibtex").entries
    return {key: _work(entry) for key, entry in entries.items()}


def _work(entry: Entry) -> Work:
    title = entry.fields.get("title", "").replace("{", "").replace("}", "")
    return Work(_authors(entry), entry.fields.get("year", "n.d."), _url(entry), title)


def _authors(entry: Entry) -> str:
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [
        " ".join([*person.prelast_names, *person.last_names]).replace("{", "").replace("}", "")
        for person in people
    ]
    if len(names) > 2 or "others" in names:
        return f"{names[0]} et al."
    return " and ".join(names) or "Anonymous"


def _url(entry: Entry) -> str:
    fields = entry.fields
    if "url" in fields:
        return str(fields["url"])
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return ""
