"""Retrieval and identification: who is nearest, and is anybody near enough?

Queries are compared with a gallery by the cosine of their embeddings. In retrieval the gallery is
sorted for each query. In open-set identification (1:N) a query gets the identity of its nearest
gallery item, or none if even that is below a threshold.

Reference: musgrave2020metric, sec. 3; grother2019face
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.evaluation.decisions import as_threshold
from companion.objectives.inputs import feature_pair
from companion.objectives.metric import identity_labels

__all__ = ["NOBODY", "OpenSetRates", "Retrieval", "identify", "open_set_rates", "retrieve"]

NOBODY = -1
"""What `identify` answers where nobody in the gallery is near enough."""


@dataclass(frozen=True, eq=False)
class Retrieval:
    """How well the gallery was sorted for each query.

    Attributes:
        nearest: position of the nearest gallery item, (queries,), int64.
        first_hits: rank of the first item of the right identity, from 1, (queries,), int64.
        average_precisions: mean over the right items of the precision at their rank, (queries,),
            float64.
    """

    nearest: Tensor
    first_hits: Tensor
    average_precisions: Tensor

    def recall_at(self, k: int) -> float:
        """Return the share of queries with a right item among the k nearest; k = 1 is rank-1.

        Args:
            k: how many items are looked at.

        Raises:
            CompanionError: k is not positive.
        """
        return float((self.first_hits <= checks.positive_int("k", k)).double().mean())

    @property
    def mean_average_precision(self) -> float:
        """Return the mean of the average precisions (mAP), as a fraction."""
        return float(self.average_precisions.mean())


def retrieve(
    queries: Tensor,
    query_labels: Tensor,
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> Retrieval:
    """Sort the gallery for each query and look where the right identity stands.

    Args:
        queries: embeddings, (queries, embedding_dim).
        query_labels: identities, (queries,), int64.
        gallery: embeddings, (gallery, embedding_dim); `None` takes the queries themselves, each
            query without itself.
        gallery_labels: identities, (gallery,), int64; `None` with the gallery.

    Returns:
        One row a query. Equally near items keep the order of the gallery.

    Raises:
        CompanionError: embeddings and labels that do not fit together, or a query whose identity
            is not in the gallery.
    """
    is_itself = gallery is None
    if is_itself is not (gallery_labels is None):
        checks.fail(
            "gallery and gallery_labels",
            got="one of the two",
            expected="both, or neither",
            do="pass the identities of the gallery with it",
        )
    if gallery is None or gallery_labels is None:
        gallery, gallery_labels = queries, query_labels
    similarities = _similarities(queries, query_labels, gallery, gallery_labels)
    is_right = query_labels[:, None] == gallery_labels[None, :]
    if is_itself:
        similarities.fill_diagonal_(-torch.inf)
        is_right.fill_diagonal_(False)
    _check_enrolled(is_right, query_labels)
    order = similarities.argsort(dim=1, descending=True, stable=True)
    hits = is_right.gather(1, order).double()
    ranks = torch.arange(1, hits.shape[1] + 1, dtype=torch.float64)
    precisions = (hits.cumsum(dim=1) / ranks * hits).sum(dim=1) / hits.sum(dim=1)
    return Retrieval(order[:, 0], hits.argmax(dim=1) + 1, precisions)


def _similarities(
    queries: Tensor, query_labels: Tensor, gallery: Tensor, gallery_labels: Tensor
) -> Tensor:
    """Return the cosines of all queries with all of the gallery, (queries, gallery)."""
    queries, gallery = feature_pair(queries, gallery, names=("query", "gallery"))
    for what, rows in (("queries", queries), ("gallery", gallery)):
        if not bool(torch.isfinite(rows).all()):
            checks.fail(
                what,
                got="a value that is not finite",
                expected="finite embeddings",
                do="look at the losses of the training",
            )
    for what, rows, labels in (
        ("query_labels", queries, query_labels),
        ("gallery_labels", gallery, gallery_labels),
    ):
        identity_labels(what, labels, num_items=len(rows))
    return F.normalize(queries.double(), dim=1) @ F.normalize(gallery.double(), dim=1).T


def _check_enrolled(is_right: Tensor, query_labels: Tensor) -> None:
    """Refuse a query without any right item in the gallery."""
    lost = (~is_right.any(dim=1)).nonzero().flatten()
    if len(lost):
        checks.fail(
            f"query {int(lost[0])}",
            got=f"identity {int(query_labels[lost[0]])}, which the gallery does not hold",
            expected="at least one right item for each query",
            do="enrol it, or ask `open_set_rates`",
        )


def identify(
    queries: Tensor, gallery: Tensor, gallery_labels: Tensor, *, threshold: float
) -> Tensor:
    """Name each query after its nearest gallery item, or nobody (1:N with a reject option).

    Args:
        queries: embeddings, (queries, embedding_dim).
        gallery: embeddings of those enrolled, (gallery, embedding_dim).
        gallery_labels: their identities, at least 0, (gallery,), int64.
        threshold: cosine from which on a query is named.

    Returns:
        Identities, or `NOBODY`, (queries,), int64.

    Raises:
        CompanionError: embeddings and labels that do not fit together, or a threshold that is no
            number.
    """
    threshold = as_threshold(threshold)
    anything = torch.zeros(len(queries), dtype=torch.long)
    best, position = _similarities(queries, anything, gallery, gallery_labels).max(dim=1)
    return torch.where(best >= threshold, gallery_labels[position], NOBODY)


@dataclass(frozen=True)
class OpenSetRates:
    """How often identification errs, with people who are enrolled and with others.

    Attributes:
        false_positive_rate: share of the queries of nobody enrolled that are named all the same
            (FPIR), as a fraction.
        miss_rate: share of the queries of somebody enrolled that are rejected or named wrongly
            (FNIR), as a fraction.
        wrong_name_rate: the part of the misses that are named wrongly, as a share of the queries
            of somebody enrolled.
    """

    false_positive_rate: float
    miss_rate: float
    wrong_name_rate: float


def open_set_rates(names: Tensor, query_labels: Tensor, enrolled: Tensor) -> OpenSetRates:
    """Return the error rates of names that `identify` gave.

    Args:
        names: identities or `NOBODY`, (queries,), int64.
        query_labels: the true identities, `NOBODY` for a stranger without one, (queries,), int64.
        enrolled: identities in the gallery, (gallery,), int64.

    Raises:
        CompanionError: names and labels that do not fit together, no query of somebody enrolled,
            or none of somebody else.
    """
    for what, rows in (("names", names), ("query_labels", query_labels)):
        identity_labels(what, rows, smallest=NOBODY)
    identity_labels("enrolled", enrolled)
    if names.shape != query_labels.shape:
        checks.fail(
            "names and query_labels",
            got=f"shapes {tuple(names.shape)} and {tuple(query_labels.shape)}",
            expected="one of each a query",
            do="pass the labels of the queries that were named",
        )
    is_known = torch.isin(query_labels, enrolled)
    num_known, num_others = int(is_known.sum()), int((~is_known).sum())
    if num_known == 0 or num_others == 0:
        checks.fail(
            "queries",
            got=f"{num_known} of somebody enrolled and {num_others} of others",
            expected="some of both",
            do="leave a few identities out of the gallery",
        )
    is_named, is_right = names != NOBODY, names == query_labels
    return OpenSetRates(
        false_positive_rate=_share(is_named[~is_known]),
        miss_rate=_share(~is_right[is_known]),
        wrong_name_rate=_share((is_named & ~is_right)[is_known]),
    )


def _share(is_so: Tensor) -> float:
    """Return the share of items of which something is true."""
    return float(is_so.double().mean())
