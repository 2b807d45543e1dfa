"""Texts that were composed for this course: reviews, marked names, graded pairs of sentences.

They ship with the package, packed; the readable tables, the guides to the labels and the script
that packs them lie in `recipes/`. Everything was labelled twice, each pass without sight of the
other.
"""

from companion.datasets.texts.reviews import (
    REVIEW_STARS,
    REVIEWS,
    REVIEWS_FILMS,
    REVIEWS_PLACES,
    REVIEWS_PRODUCTS,
    load_films,
    load_places,
    load_products,
    load_reviews,
    load_stars,
)

__all__ = [
    "REVIEWS",
    "REVIEWS_FILMS",
    "REVIEWS_PLACES",
    "REVIEWS_PRODUCTS",
    "REVIEW_STARS",
    "load_films",
    "load_places",
    "load_products",
    "load_reviews",
    "load_stars",
]
