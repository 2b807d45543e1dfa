"""Texts that were composed for this course: reviews, marked names, graded pairs, three languages.

They ship with the package, packed; the readable tables, the guides to the labels and the script
that packs them lie in `recipes/`. Reviews, names and pairs were labelled twice, each pass without
sight of the other. Reviews and names are datasets with a name for `load_dataset`; the graded pairs
and the reviews in three languages are returned by a function each.
"""

from companion.datasets.texts.double_labels import DoubleLabels, load_double_labels
from companion.datasets.texts.entities import ENTITIES, load_entities
from companion.datasets.texts.languages import LANGUAGES, ParallelReviews, load_languages
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
from companion.datasets.texts.sentence_pairs import SENTENCE_PAIRS, load_sentence_pairs

__all__ = [
    "ENTITIES",
    "LANGUAGES",
    "REVIEWS",
    "REVIEWS_FILMS",
    "REVIEWS_PLACES",
    "REVIEWS_PRODUCTS",
    "REVIEW_STARS",
    "SENTENCE_PAIRS",
    "DoubleLabels",
    "ParallelReviews",
    "load_double_labels",
    "load_entities",
    "load_films",
    "load_languages",
    "load_places",
    "load_products",
    "load_reviews",
    "load_sentence_pairs",
    "load_stars",
]
