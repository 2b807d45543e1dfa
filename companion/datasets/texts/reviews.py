"""Short reviews of products, places and films: for or against, and one to five stars."""

from __future__ import annotations

from pathlib import Path

import torch

from companion.datasets.base import Source, refuse_path
from companion.datasets.texts.rows import LICENCE, SOURCE, file_name, held_out, read_rows
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = [
    "DOMAINS",
    "NAMING_A_RATING",
    "POLARITIES",
    "REVIEWS",
    "REVIEWS_FILMS",
    "REVIEWS_PLACES",
    "REVIEWS_PRODUCTS",
    "REVIEW_STARS",
    "SHA256",
    "STARS",
    "load_films",
    "load_places",
    "load_products",
    "load_reviews",
    "load_stars",
]

SHA256 = "24f22cc46d1608d2e83344dba79620c2eec4d21b8080deb2ef080d6c5e396eb0"
"""Checksum of the packed file."""

POLARITIES = ("negative", "positive")
STARS = ("1", "2", "3", "4", "5")
DOMAINS = ("products", "places", "films")

TEST_SHARE = 0.3
"""Of the topics of each domain, where the three domains are one dataset."""

DOMAIN_TEST_SHARE = 0.4
"""Of its topics, where a domain is a dataset of its own: these include the topics above."""

NAMING_A_RATING = ("f074", "f127", "f182", "l089", "l168", "p033", "p203")
"""Reviews that say a number of stars or points, which gives away part of the label."""

_COMPOSED = (
    "Composed for this course, and labelled twice by its authors, each pass without sight of the "
    "other: the figures are the agreement of two passes with one guide, not agreement between "
    "independent annotators of the public. "
)
_WEAK = (
    "Known weaknesses: mostly one dry British voice, no real buyers; polarity is near its ceiling; "
    "1 and 2 stars, and 4 and 5, shade into one another; reviews of 3 stars have a shape that "
    "gives them away (a merit, then a fault, or the other way round) and are the longest; "
    f"{len(NAMING_A_RATING)} name a rating. "
)
_TESTS = (
    "A group is a topic of a domain, such as products/kettle. Test: a fixed 30 % of the topics of "
    "each domain, whole, chosen by a hash of their names; train and val share no topic either, "
    "which allows up to {} labels a class. "
)


def _card(name: str, title: str, classes: tuple[str, ...], notes: str) -> DatasetCard:
    """Return the card of one use of the reviews."""
    return DatasetCard(
        name=name,
        title=title,
        modality="language",
        task="classification",
        classes=classes,
        licence=LICENCE,
        source=SOURCE,
        sha256=((file_name("reviews"), SHA256),),
        notes=_COMPOSED + notes + _WEAK,
    )


REVIEWS = _card(
    "reviews",
    "Short reviews, for or against",
    POLARITIES,
    "690 texts, 230 a domain, half of them for. The two passes: accuracy 0.997, Cohen's kappa "
    f"0.994. {_TESTS.format(128)}",
)

REVIEW_STARS = _card(
    "review_stars",
    "Short reviews, one to five stars",
    STARS,
    "690 texts. The two passes: the same number for 0.846 of them, within one for 0.997, "
    f"quadratically weighted kappa 0.958. {_TESTS.format(48)}The test "
    "texts are those of `reviews`. ",
)


def _domain_card(domain: str, title: str, figures: str) -> DatasetCard:
    """Return the card of one domain."""
    return _card(
        f"reviews_{domain}",
        title,
        POLARITIES,
        f"230 texts of one domain, half of them for: a source or a target beside the other two. "
        f"The two passes: {figures}. A group is a topic. Test: a fixed 40 % of the topics, whole, "
        "chosen by a hash of their names; train and val share no topic either, which allows up to "
        "48 labels a class. The texts are those of `reviews` under the same ids, and "
        "its test topics of this domain are test topics here: train on one of the two alone. ",
    )


REVIEWS_PRODUCTS = _domain_card(
    "products", "Short reviews of products", "accuracy 1.000, Cohen's kappa 1.000"
)
REVIEWS_PLACES = _domain_card(
    "places", "Short reviews of places", "accuracy 0.991, Cohen's kappa 0.983"
)
REVIEWS_FILMS = _domain_card(
    "films", "Short reviews of films", "accuracy 1.000, Cohen's kappa 1.000"
)


def load_reviews(path: Path | None = None) -> Source:
    """Load the reviews of all three domains, for or against.

    Args:
        path: not used.

    Returns:
        Pool and test, which share no topic; texts; groups are domain and topic.

    Raises:
        CompanionError: a path was given, or the bundled file is missing or broken.
    """
    return _source(REVIEWS, path, DOMAINS, TEST_SHARE)


def load_stars(path: Path | None = None) -> Source:
    """Load the reviews of all three domains with their stars.

    Args:
        path: not used.

    Returns:
        Pool and test, which share no topic; texts; groups are domain and topic.

    Raises:
        CompanionError: a path was given, or the bundled file is missing or broken.
    """
    return _source(REVIEW_STARS, path, DOMAINS, TEST_SHARE)


def load_products(path: Path | None = None) -> Source:
    """Load the reviews of products, for or against.

    Args:
        path: not used.

    Returns:
        Pool and test, which share no topic; texts; groups are domain and topic.

    Raises:
        CompanionError: a path was given, or the bundled file is missing or broken.
    """
    return _source(REVIEWS_PRODUCTS, path, ("products",), DOMAIN_TEST_SHARE)


def load_places(path: Path | None = None) -> Source:
    """Load the reviews of places, for or against.

    Args:
        path: not used.

    Returns:
        Pool and test, which share no topic; texts; groups are domain and topic.

    Raises:
        CompanionError: a path was given, or the bundled file is missing or broken.
    """
    return _source(REVIEWS_PLACES, path, ("places",), DOMAIN_TEST_SHARE)


def load_films(path: Path | None = None) -> Source:
    """Load the reviews of films, for or against.

    Args:
        path: not used.

    Returns:
        Pool and test, which share no topic; texts; groups are domain and topic.

    Raises:
        CompanionError: a path was given, or the bundled file is missing or broken.
    """
    return _source(REVIEWS_FILMS, path, ("films",), DOMAIN_TEST_SHARE)


def _source(card: DatasetCard, path: Path | None, domains: tuple[str, ...], share: float) -> Source:
    """Return the reviews of some domains, parted by topic."""
    refuse_path(card, path)
    rows = [row for row in read_rows("reviews", SHA256) if row["domain"] in domains]
    column = "stars" if card is REVIEW_STARS else "polarity"
    groups = [f"{row['domain']}/{row['topic']}" for row in rows]
    everything = Split(
        "pool",
        [row["text"] for row in rows],
        torch.tensor([card.classes.index(str(row[column])) for row in rows]),
        tuple(f"reviews/{row['id']}" for row in rows),
        card.classes,
        groups=tuple(groups),
    )
    chosen = set[str]()
    for domain in domains:
        topics = [group for group in groups if group.startswith(f"{domain}/")]
        chosen |= set(held_out(topics, share, "reviews"))
    pool = [p for p, group in enumerate(groups) if group not in chosen]
    test = [p for p, group in enumerate(groups) if group in chosen]
    return Source(everything.subset(pool), everything.subset(test, name="test"), card, grouped=True)
