"""Retrieval and identification against loops, scikit-learn and pytorch-metric-learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics

from companion import evaluation
from companion.checks import CompanionError

NO_LEARNING = (
    "pytorch-metric-learning is not installed: pip install -c constraints.txt -e '.[test]'"
)


def drawn(num=40, identities=6, seed=0, dim=5):
    """Embeddings that know something of their identity, and the identities."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(identities, (num,), generator=generator)
    centres = torch.randn(6, dim, generator=torch.Generator().manual_seed(99))
    return centres[labels] + torch.randn(num, dim, generator=generator), labels


def cosines(queries, gallery):
    """All cosines, by numpy."""
    a, b = queries.double().numpy(), gallery.double().numpy()
    return (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T


def test_retrieval_is_the_loop_over_queries():
    (queries, wanted), (gallery, held) = drawn(15), drawn(60, seed=1)
    found = evaluation.retrieve(queries, wanted, gallery, held)
    similarities = cosines(queries, gallery)
    for row in range(15):
        order = np.argsort(-similarities[row])
        is_right = (held[order] == wanted[row]).numpy()
        assert found.nearest[row] == order[0]
        assert found.first_hits[row] == int(np.flatnonzero(is_right)[0]) + 1
        average = metrics.average_precision_score(held == wanted[row], similarities[row])
        assert found.average_precisions[row].item() == pytest.approx(average)
    ranks = found.first_hits.numpy()
    for k in (1, 2, 5):
        assert found.recall_at(k) == pytest.approx((ranks <= k).mean())
    assert found.mean_average_precision == pytest.approx(found.average_precisions.mean().item())
    assert found.recall_at(1) < found.recall_at(5) <= 1


def test_without_a_gallery_each_query_searches_the_others():
    embeddings, labels = drawn()
    found = evaluation.retrieve(embeddings, labels)
    similarities = cosines(embeddings, embeddings)
    for row in range(40):
        others = np.delete(np.arange(40), row)
        average = metrics.average_precision_score(
            labels[others] == labels[row], similarities[row, others]
        )
        assert found.average_precisions[row].item() == pytest.approx(average)
        assert found.nearest[row] == others[similarities[row, others].argmax()]


def test_rank_one_and_map_are_those_of_pytorch_metric_learning():
    pytest.importorskip("pytorch_metric_learning", reason=NO_LEARNING)
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    embeddings, labels = drawn()
    theirs = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision"),
        k=39,
        knn_func=CustomKNN(CosineSimilarity()),
        device=torch.device("cpu"),
    ).get_accuracy(embeddings, labels)
    found = evaluation.retrieve(embeddings, labels)
    assert found.recall_at(1) == pytest.approx(theirs["precision_at_1"])
    assert found.mean_average_precision == pytest.approx(theirs["mean_average_precision"])


def test_a_query_is_named_after_its_nearest_or_nobody():
    gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    queries = torch.tensor([[2.0, 0.1], [0.1, 5.0], [-1.0, -0.9], [1.0, 0.9]])
    names = evaluation.identify(queries, gallery, torch.tensor([7, 3]), threshold=0.9)
    assert names.tolist() == [7, 3, evaluation.NOBODY, evaluation.NOBODY]
    lenient = evaluation.identify(queries, gallery, torch.tensor([7, 3]), threshold=-1.0)
    assert lenient.tolist() == [7, 3, 3, 7]


def test_open_set_rates_are_counts():
    names = torch.tensor([7, 3, -1, 3, 7, -1, -1, 3])
    truth = torch.tensor([7, 7, 7, 3, 5, 5, 6, 3])
    found = evaluation.open_set_rates(names, truth, torch.tensor([7, 3]))
    assert found.false_positive_rate == pytest.approx(1 / 3)  # of 5, 5, 6 one is named
    assert found.miss_rate == pytest.approx(2 / 5)  # of five one is called 3, one nobody
    assert found.wrong_name_rate == pytest.approx(1 / 5)


def test_a_stricter_threshold_trades_one_error_for_the_other():
    (gallery, held), (queries, truth) = drawn(30, identities=4), drawn(200, seed=2)
    found = [
        evaluation.open_set_rates(
            evaluation.identify(queries, gallery, held, threshold=t), truth, held
        )
        for t in (-1.0, 0.5, 0.8, 0.95, 1.1)
    ]
    rejected = [rates.miss_rate for rates in found]
    fooled = [rates.false_positive_rate for rates in found]
    assert rejected == sorted(rejected)
    assert fooled == sorted(fooled, reverse=True)
    assert (fooled[0], fooled[-1]) == (1, 0)
    assert rejected[-1] == 1


def test_what_does_not_fit_is_refused():
    (queries, wanted), (gallery, held) = drawn(15), drawn(60, seed=1)
    with pytest.raises(CompanionError, match=r"gallery_labels: got shape \(59,\)"):
        evaluation.retrieve(queries, wanted, gallery, held[1:])
    with pytest.raises(CompanionError, match=r"query 0: got identity 11, which the gallery does"):
        evaluation.retrieve(queries, torch.full_like(wanted, 11), gallery, held)
    with pytest.raises(CompanionError, match="feature_dim of query and gallery: got 5 and 4"):
        evaluation.identify(queries, gallery[:, :4], held, threshold=0.5)
    with pytest.raises(CompanionError, match="k: got 0; expected a positive integer"):
        evaluation.retrieve(gallery, held).recall_at(0)
    with pytest.raises(CompanionError, match="queries: got 15 of somebody enrolled and 0 of oth"):
        evaluation.open_set_rates(wanted, wanted, wanted)
    with pytest.raises(CompanionError, match="names and query_labels: got shapes"):
        evaluation.open_set_rates(wanted[1:], wanted, wanted)


def test_a_gallery_without_its_identities_is_refused():
    embeddings, labels = torch.eye(3), torch.tensor([0, 1, 2])
    gallery = torch.roll(embeddings, 1, 0)
    with pytest.raises(CompanionError, match="gallery and gallery_labels: got one of the two"):
        evaluation.retrieve(embeddings, labels, gallery)
    with pytest.raises(CompanionError, match="expected both, or neither"):
        evaluation.retrieve(embeddings, labels, gallery_labels=labels)
    assert evaluation.retrieve(embeddings, labels, gallery, labels).recall_at(1) == 0


def test_embeddings_that_are_not_finite_are_refused():
    lost = torch.full((4, 3), torch.nan)
    with pytest.raises(CompanionError, match="queries: got a value that is not finite"):
        evaluation.retrieve(lost, torch.tensor([0, 0, 1, 1]))


@pytest.mark.parametrize("threshold", [None, float("nan"), "0.5", True])
def test_a_threshold_is_a_number(threshold):
    rows = torch.eye(3)
    with pytest.raises(CompanionError, match=r"threshold: got .*; expected a number"):
        evaluation.identify(rows, rows, torch.arange(3), threshold=threshold)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], r"got \[0, 1, 2\], a list; expected a Tensor"),
        (torch.tensor([0, 1, -1]), "got identity -1; expected identities from 0 on"),
        (torch.tensor([0.0, 1.0, 2.0]), r"got shape \(3,\) of torch.float32"),
    ],
)
def test_identities_are_whole_numbers_from_0(labels, message):
    rows, right = torch.eye(3), torch.arange(3)
    with pytest.raises(CompanionError, match=f"gallery_labels: {message}"):
        evaluation.identify(rows, rows, labels, threshold=0.5)
    with pytest.raises(CompanionError, match=f"query_labels: {message}"):
        evaluation.retrieve(rows, labels, rows, right)
    with pytest.raises(CompanionError, match=f"enrolled: {message}"):
        evaluation.open_set_rates(right, right, labels)


def test_strangers_may_be_labelled_as_nobody():
    names = torch.tensor([0, 1, evaluation.NOBODY, 2])
    truth = torch.tensor([0, 2, evaluation.NOBODY, evaluation.NOBODY])
    rates = evaluation.open_set_rates(names, truth, torch.tensor([0, 1, 2]))
    assert (rates.false_positive_rate, rates.miss_rate) == (0.5, 0.5)
    with pytest.raises(CompanionError, match="names: got identity -2"):
        evaluation.open_set_rates(names - 1, truth, torch.tensor([0, 1, 2]))
