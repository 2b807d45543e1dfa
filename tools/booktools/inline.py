"""Turns MyST roles and links inside a line into plain Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from booktools.bibliography import Work
from booktools.labels import Labels, Target
from booktools.layout import Page
from booktools.public_address import Address

TOKEN = re.compile(
    r"\{(?P<role>[A-Za-z][\w:.+-]*)\}(?P<ticks>`+)(?P<content>.+?)(?P=ticks)"
    r"|(?P<code>(?P<codeticks>`+)(?!`).+?(?P=codeticks)(?!`))"
    r"|(?P<maths>\$\$.+?\$\$|\$[^$\n]+?\$)"
    r"|(?P<image>!\[(?P<alt>[^\]]*)\]\((?P<file>[^)\s]+)\))"
    r"|(?P<link>\[(?P<text>(?:[^\[\]`]|`[^`]*`|\[[^\]]*\])*)\]\((?P<target>[^)\s]*)\))"
    r"|<project:(?P<project>[^>]+)>",
    re.DOTALL,
)
ATTRIBUTES = re.compile(r"(?<=[\])`])\{[.#][^}]*\}")
TITLED = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)


class ConversionError(ValueError):
    """A source uses something that has no plain Markdown here; the message says where and what."""


@dataclass
class Inline:
    """Converts inline markup of one page.

    Args:
        page: the page that is converted.
        labels: everything that can be referred to.
        works: the bibliography.
        place: the public address; links and pictures stay relative while it is undecided.
        pointer: returns for the name of a glued value where in the notebook it is printed.
    """

    page: Page
    labels: Labels
    works: dict[str, Work]
    place: Address
    pointer: Callable[[str], str]
    roles: dict[str, Callable[[str], str]] = field(init=False)

    def __post_init__(self) -> None:
        """Fill the table of roles."""
        same = "{}".format
        code, strong = "`{}`".format, "**{}**".format
        self.roles = {
            **dict.fromkeys(("cite", "cite:p", "cite:ps"), self.cite),
            **dict.fromkeys(("cite:t", "cite:ts"), self.cite_textual),
            **dict.fromkeys(("ref", "prf:ref", "std:ref"), self.reference),
            **dict.fromkeys(("term", "glossary"), self.term),
            **dict.fromkeys(("code", "file", "program", "command", "envvar"), code),
            **dict.fromkeys(("py:func", "py:class", "py:meth", "py:mod", "func", "class"), code),
            **dict.fromkeys(("glue", "glue:text", "glue:md", "glue:math", "glue:any"), self.glue),
            **dict.fromkeys(("guilabel", "menuselection"), strong),
            "eq": self.reference,
            "numref": self.numbered,
            "doc": self.document,
            "math": "${}$".format,
            "download": self.download,
            "abbr": self.abbreviation,
            "sub": "<sub>{}</sub>".format,
            "sup": "<sup>{}</sup>".format,
            "kbd": "<kbd>{}</kbd>".format,
            "eval": same,
        }

    def convert(self, text: str) -> str:
        """Return `text` with every role, link and picture in plain Markdown.

        Raises:
            ConversionError: an unknown role, label, citation or page.
        """
        return TOKEN.sub(self._token, ATTRIBUTES.sub("", text))

    def _token(self, match: re.Match[str]) -> str:
        if match["role"]:
            if match["role"] not in self.roles:
                raise self.error(f"role {match['role']!r} has no plain Markdown")
            return self.roles[match["role"]](match["content"])
        if match["image"]:
            return f"![{match['alt']}]({self.picture(match['file'])})"
        if match["link"]:
            return self.link(match["text"], match["target"])
        if match["project"]:
            return self.link("", match["project"])
        return match[0]

    def error(self, what: str) -> ConversionError:
        """Return the error that `what` happened on this page."""
        return ConversionError(f"{self.page.docname}: {what}")

    # --- citations and values ---

    def _works(self, content: str) -> list[Work]:
        keys = [key.strip() for key in content.split(",")]
        unknown = [key for key in keys if key not in self.works]
        if unknown:
            raise self.error(f"citation of {', '.join(unknown)}: not in book/references.bib")
        return [self.works[key] for key in keys]

    def cite(self, content: str) -> str:
        """Return works in parentheses."""
        return f"({'; '.join(work.parenthetical() for work in self._works(content))})"

    def cite_textual(self, content: str) -> str:
        """Return works as part of the sentence."""
        return ", ".join(work.textual() for work in self._works(content))

    def glue(self, content: str) -> str:
        """Return where the value is printed, so that the sentence has no hole."""
        return self.pointer(content.partition(":")[0].strip())

    # --- references ---

    def _target(self, label: str) -> Target:
        target = self.labels.get(label)
        if target is None:
            raise self.error(f"nothing is labelled {label!r}")
        return target

    def _linked(self, text: str, page: Page) -> str:
        plain = self.convert(text)
        return plain if page == self.page else f"[{plain}]({self.address(page)})"

    def reference(self, content: str) -> str:
        """Return what `{ref}`, `{eq}` and `{prf:ref}` refer to."""
        match = TITLED.match(content)
        target = self._target(match["target"] if match else content.strip())
        return self._linked(match["text"] if match else target.text, target.page)

    def numbered(self, content: str) -> str:
        """Return what `{numref}` refers to, with `%s` or `{number}` filled in."""
        match = TITLED.match(content)
        target = self._target(match["target"] if match else content.strip())
        text = match["text"] if match else target.text
        for hole in ("%s", "{number}"):
            text = text.replace(hole, str(target.number))
        return self._linked(text.replace("{name}", target.title), target.page)

    def document(self, content: str) -> str:
        """Return a link to another page."""
        match = TITLED.match(content)
        page = self._page(match["target"] if match else content.strip())
        return self._linked(match["text"] if match else self.labels.titles[page.docname], page)

    def term(self, content: str) -> str:
        """Return a term of the glossary as plain words."""
        match = TITLED.match(content)
        return match["text"] if match else content

    def abbreviation(self, content: str) -> str:
        """Return `CER (character error rate)` as it stands."""
        return content

    def download(self, content: str) -> str:
        """Return a link to a file."""
        match = TITLED.match(content)
        path = match["target"] if match else content
        return f"[{match['text'] if match else path.rpartition('/')[2]}]({self.picture(path)})"

    def link(self, text: str, target: str) -> str:
        """Return a Markdown link whose target may be a label, a page or an address."""
        if re.match(r"^(https?:|mailto:)", target):
            return f"[{self.convert(text)}]({target})"
        path, _, label = target.partition("#")
        if path.endswith((".md", ".ipynb")) or (path and (self._file(path + ".md")).is_file()):
            page = self._page(path.removesuffix(".md").removesuffix(".ipynb"))
            return self._linked(text or self.labels.titles[page.docname], page)
        if not path:
            found = self._target(label)
            return self._linked(text or found.text, found.page)
        return f"[{self.convert(text)}]({self.picture(path)})"

    # --- files ---

    def _file(self, path: str) -> os.PathLike[str] | object:
        return self.page.source.parent / path

    def _docname(self, path: str) -> str:
        if path.startswith("/"):
            return path.lstrip("/")
        return os.path.normpath(f"{self.page.docname}/../{path}").replace(os.sep, "/")

    def _page(self, path: str) -> Page:
        page = self.labels.pages.get(self._docname(path))
        if page is None:
            raise self.error(f"{path!r} is no page of _toc.yml")
        return page

    def address(self, page: Page) -> str:
        """Return the address of another page for a reader of this notebook."""
        suffix = ".ipynb" if page.is_chapter else ".md"
        if self.place.is_decided:
            show = self.place.colab if page.is_chapter else self.place.page
            return show(page.docname + suffix)
        return os.path.relpath(f"/{page.docname}{suffix}", f"/{self.page.docname}/..")

    def picture(self, path: str) -> str:
        """Return the address of a file that lies beside the book's sources."""
        if re.match(r"^https?:", path):
            return path
        if self.place.is_decided:
            return self.place.raw(self._docname(path))
        return path
