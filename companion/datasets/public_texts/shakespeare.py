"""Eight plays of Shakespeare as plain text, for language models."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from companion import runtime
from companion.assets import RemoteFile
from companion.datasets.public_texts.files import checksums, read_member, spoilt
from companion.registry import DatasetCard

__all__ = ["CARD", "FILES", "PLAYS", "load_shakespeare"]

PLAYS = {
    "Antony and Cleopatra": "a_and_c",
    "A Midsummer Night's Dream": "dream",
    "Hamlet": "hamlet",
    "Julius Caesar": "j_caesar",
    "Macbeth": "macbeth",
    "The Merchant of Venice": "merchant",
    "Othello": "othello",
    "Romeo and Juliet": "r_and_j",
}
"""The plays, with the names of their files."""

FILES = (
    RemoteFile(
        "text/nltk_data/corpora/shakespeare.zip",
        "https://raw.githubusercontent.com/nltk/nltk_data/"
        "5db857e6f7df11eabb5e5665836db9ec8df07e28/packages/corpora/shakespeare.zip",
        "f1251d8c254710363254ba29c9dc0888d5cb13d5ac736ebc6fb14380f447cfc3",
        475458,
        licence="public domain",
    ),
)
"""The zip as NLTK distributes it; Jon Bosak marked the plays up in XML."""

CARD = DatasetCard(
    name="shakespeare",
    title="Eight plays of Shakespeare",
    modality="language",
    task="language model",
    classes=(),
    licence="public domain",
    source="the Moby text, marked up by Jon Bosak, through github.com/nltk/nltk_data",
    size_bytes=FILES[0].size_bytes,
    sha256=checksums(*FILES),
    notes="Speeches only: speaker and lines. Stage directions, the lists of persons and the "
    "headings of acts and scenes are left out. Every public language model has read these plays.",
)


def load_shakespeare(*, with_speakers: bool = True) -> dict[str, str]:
    """Load the plays; the file is downloaded if it is not on this machine.

    Args:
        with_speakers: whether a speech begins with a line of who speaks.

    Returns:
        Text by the name of the play: a line of verse or prose each, an empty line between
        speeches, and a new line at the end. At the scale `rehearsal` a few made up lines.

    Raises:
        CompanionError: the file is broken, cannot be had, or lacks a play.
    """
    if runtime.scale() == "rehearsal":
        return dict.fromkeys(PLAYS, "SPEAKER\nA line that stands for a play.\n" * 8)
    return {name: _play(stem, with_speakers) for name, stem in PLAYS.items()}


def _play(stem: str, with_speakers: bool) -> str:
    """Return the speeches of one play."""
    member = f"shakespeare/{stem}.xml"
    try:
        tree = ElementTree.fromstring(read_member(FILES[0], member))
    except ElementTree.ParseError as error:
        spoilt(member, str(error), "well-formed XML", FILES[0])
    tags = ("SPEAKER", "LINE") if with_speakers else ("LINE",)
    speeches = ["\n".join(_lines(speech, tags)) for speech in tree.iter("SPEECH")]
    return "\n\n".join(speech for speech in speeches if speech) + "\n"


def _lines(speech: ElementTree.Element, tags: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a speech, without the stage directions inside them."""
    for element in speech:
        parts = [element.text, *(inner.tail for inner in element)]
        text = " ".join(" ".join(part or "" for part in parts).split())
        if element.tag in tags and text:
            yield text
