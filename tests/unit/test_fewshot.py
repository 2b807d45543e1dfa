"""companion.fewshot: episodes by seed and number, each method against a slow rewrite."""

from __future__ import annotations

import copy
import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from companion import fewshot
from companion.checks import CompanionError
from companion.fewshot import Episode
from companion.splits import Selection, Split, TestSplit

COUNTS = (9, 7, 12, 8, 10, 7)
SHAPE = {"n_way": 3, "n_shot": 2, "n_query": 4}


def make_split(counts=COUNTS, *, name="pool", shuffled=True):
    """Item i has the input i, so that items can be told apart; classes are mixed."""
    labels = torch.tensor([label for label, n in enumerate(counts) for _ in range(n)])
    if shuffled:
        labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))]
    inputs = torch.arange(len(labels), dtype=torch.float32)[:, None]
    ids = [f"item/{number}" for number in range(len(labels))]
    return Split(name, inputs, labels, ids, "abcdefgh"[: len(counts)])


def draw(split=None, *, num_episodes=4, seed=0, **options):
    return fewshot.draw_episodes(
        split or make_split(), **(SHAPE | {"num_episodes": num_episodes, "seed": seed} | options)
    )


def key(episode):
    return (
        episode.classes,
        tuple(episode.support_positions.tolist()),
        tuple(episode.query_positions.tolist()),
    )


def clusters(num_classes=8, per_class=12, *, width=4, spread=0.4, seed=0):
    """Classes around random centres, as float64 features."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(num_classes, width, generator=generator, dtype=torch.float64)
    labels = torch.arange(num_classes).repeat_interleave(per_class)
    noise = torch.randn(len(labels), width, generator=generator, dtype=torch.float64)
    ids = [str(i) for i in range(len(labels))]
    names = "abcdefghijklmnop"[:num_classes]
    return Split("pool", centres[labels] + spread * noise, labels, ids, names)


def one_episode(**options):
    shape = {"n_way": 3, "n_shot": 2, "n_query": 5, "num_episodes": 1, "seed": 0} | options
    return fewshot.draw_episodes(clusters(), **shape)[0]


def random_matrix(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- episodes ----------------------------------------------------------------------------------


def test_an_episode_is_a_function_of_seed_and_number_alone():
    many, few = draw(num_episodes=50), draw(num_episodes=3)
    backwards = [key(many[i]) for i in (2, 1, 0)][::-1]
    assert backwards == [key(e) for e in few] == [key(e) for e in many[:3]]
    assert key(many[-1]) == key(many[49])
    assert len({key(e) for e in many}) == 50
    assert key(draw(seed=1)[0]) != key(many[0])
    assert (len(many), len(few)) == (50, 3)


def test_drawing_leaves_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    list(draw())
    assert torch.equal(before, torch.random.get_rng_state())


def test_support_and_query_hold_what_their_labels_say_and_share_nothing():
    split = make_split()
    for episode in draw(split, num_episodes=30):
        assert len(set(episode.classes)) == episode.n_way == 3
        assert not set(episode.support_positions.tolist()) & set(episode.query_positions.tolist())
        for inputs, labels, positions, number in (
            (episode.support_inputs, episode.support_labels, episode.support_positions, 2),
            (episode.query_inputs, episode.query_labels, episode.query_positions, 4),
        ):
            assert inputs.flatten().tolist() == positions.tolist()
            assert len(set(positions.tolist())) == 3 * number
            assert torch.bincount(labels).tolist() == [number] * 3
            names = [split.classes[split.labels[p]] for p in positions.tolist()]
            assert names == [episode.classes[label] for label in labels.tolist()]


def test_every_class_and_every_item_has_its_chance():
    episodes = draw(num_episodes=400)
    classes = [name for episode in episodes for name in episode.classes]
    assert {name: classes.count(name) for name in "abcdef"} == pytest.approx(
        dict.fromkeys("abcdef", 200), abs=40
    )
    first = [episode.classes[0] for episode in episodes]
    assert {name: first.count(name) for name in "abcdef"} == pytest.approx(
        dict.fromkeys("abcdef", 400 / 6), abs=30
    )
    split = make_split()
    for positions in ("support_positions", "query_positions"):
        drawn = torch.cat([getattr(episode, positions) for episode in episodes])
        assert set(drawn.tolist()) == set(range(len(split)))


def test_more_shots_add_support_and_keep_the_query():
    one, three = draw(n_shot=1), draw(n_shot=3)
    for small, large in zip(one, three, strict=True):
        assert small.classes == large.classes
        assert small.query_positions.tolist() == large.query_positions.tolist()
        nested = large.support_positions.reshape(3, 3)[:, 0]
        assert small.support_positions.tolist() == nested.tolist()


def test_more_query_items_and_more_classes_only_add():
    for small, large in zip(draw(n_query=2), draw(n_query=5), strict=True):
        assert small.support_positions.tolist() == large.support_positions.tolist()
        nested = large.query_positions.reshape(3, 5)[:, :2]
        assert small.query_positions.tolist() == nested.flatten().tolist()
    for small, large in zip(draw(n_way=2), draw(n_way=5), strict=True):
        assert small.classes == large.classes[:2]
        assert small.support_positions.tolist() == large.support_positions[:4].tolist()


def test_episodes_of_named_classes_hold_no_other():
    split = make_split((9, 7, 12, 0, 1, 7))
    episodes = draw(split, classes=["f", "a", "c", "b"], num_episodes=40)
    assert {name for episode in episodes for name in episode.classes} == set("abcf")
    again = draw(split, classes=["a", "b", "c", "f"], num_episodes=40)
    assert [key(e) for e in again] == [key(e) for e in episodes]


def test_items_that_are_read_when_asked_for_are_not_read_by_drawing():
    split = make_split()
    texts = [f"text {number}" for number in range(len(split))]
    listed = Split("pool", texts, split.labels, split.ids, split.classes)
    lazy = Split("pool", Selection(texts, range(53)), split.labels, split.ids, split.classes)
    for episode, read in zip(draw(listed), draw(lazy), strict=True):
        wanted = [f"text {p}" for p in episode.query_positions.tolist()]
        assert episode.query_inputs == wanted == list(read.query_inputs)
        assert isinstance(read.support_inputs, Selection)


def test_other_inputs_of_the_same_items():
    split = make_split()
    episode = draw(split)[0]
    features = torch.stack([torch.arange(53) * 10, -torch.arange(53)], dim=1).float()
    other = episode.with_inputs(features)
    assert other.support_inputs[:, 0].tolist() == (episode.support_positions * 10).tolist()
    assert other.query_inputs[:, 1].tolist() == (-episode.query_positions).tolist()
    assert key(other) == key(episode)
    last = int(torch.cat([episode.support_positions, episode.query_positions]).max())
    with pytest.raises(CompanionError, match=rf"{last} rows; expected .* at least {last + 1}"):
        episode.with_inputs(features[:last])
    with pytest.raises(CompanionError, match="inputs: got .* a list; expected a Tensor"):
        episode.with_inputs([1, 2])


def test_an_episode_made_by_hand_is_checked():
    episode = draw()[0]
    with pytest.raises(CompanionError, match="item 7 in support and in query"):
        Episode(
            episode.support_inputs,
            episode.support_labels,
            episode.query_inputs,
            episode.query_labels,
            episode.classes,
            torch.tensor([7, 1]),
            torch.tensor([2, 7]),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_query": 6}, r"class 'b' of split 'pool': got 7 items \(2 such classes\); expected at"),
        ({"n_shot": 4}, r"at least 8: n_shot=4 for support and n_query=4"),
        ({"n_shot": 8, "classes": "ac", "n_way": 2}, r"class 'a' .*: got 9 items; expected at lea"),
        ({"n_way": 7}, r"n_way: got 7; expected at most 6, the classes to draw from in split 'po"),
        ({"n_way": 3, "classes": ["a", "c"]}, r"n_way: got 3; expected at most 2"),
        ({"classes": ["a", "b", "z"]}, r"classes: got 'z'; expected one of 'a', 'b'"),
        ({"classes": ["a", "b", "a"]}, r"classes: got 'a' twice"),
        ({"n_way": 0}, r"n_way: got 0"),
        ({"n_shot": 0}, r"n_shot: got 0"),
        ({"n_query": 1.5}, r"n_query: got 1.5"),
        ({"num_episodes": 0}, r"num_episodes: got 0"),
        ({"seed": -1}, r"seed: got -1"),
        ({"split": TestSplit(make_split(name="test"))}, r"split: got .* expected a Split"),
        (
            {"split": Split("p", ["x"], [torch.tensor([1])], ["1"], ["-", "a"], task="ctc")},
            r"task of the split: got 'ctc'; expected 'classification'",
        ),
    ],
)
def test_drawing_refuses(options, message):
    with pytest.raises(CompanionError, match=message):
        draw(**options)


def test_enough_items_are_enough():
    assert len(draw(n_shot=3, n_query=4)[0].support_labels) == 9
    with pytest.raises(IndexError):
        draw(num_episodes=2)[2]


# --- prototypes --------------------------------------------------------------------------------


def slow_prototypes(features, labels):
    rows = []
    for label in range(max(labels) + 1):
        members = [row for row, other in zip(features, labels, strict=True) if other == label]
        rows.append([sum(column) / len(members) for column in zip(*members, strict=True)])
    return rows


def slow_logits(queries, prototypes, distance, scale):
    def gap(q, c):
        if distance == "euclidean":
            return sum((a - b) ** 2 for a, b in zip(q, c, strict=True))
        dot = sum(a * b for a, b in zip(q, c, strict=True))
        return 1 - dot / math.sqrt(sum(a * a for a in q)) / math.sqrt(sum(b * b for b in c))

    return [[-scale * gap(q, c) for c in prototypes] for q in queries]


def test_prototypes_are_class_means_in_slow_loops():
    features, labels = random_matrix(7, 3), torch.tensor([2, 0, 1, 0, 2, 2, 1])
    found = fewshot.compute_prototypes(features, labels)
    wanted = torch.tensor(slow_prototypes(features.tolist(), labels.tolist())).double()
    assert torch.allclose(found, wanted, atol=1e-6)
    order = torch.tensor([3, 6, 0, 1, 5, 2, 4])
    assert torch.allclose(fewshot.compute_prototypes(features[order], labels[order]), found)


@pytest.mark.parametrize("distance", fewshot.DISTANCES)
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_prototype_logits_are_slow_loops(distance, scale):
    queries, prototypes = random_matrix(6, 3), random_matrix(4, 3, seed=1)
    found = fewshot.prototype_logits(queries, prototypes, distance=distance, scale=scale)
    wanted = slow_logits(queries.tolist(), prototypes.tolist(), distance, scale)
    assert torch.allclose(found, torch.tensor(wanted, dtype=torch.float64))


def test_what_each_distance_does_not_see():
    queries, prototypes = random_matrix(6, 3), random_matrix(4, 3, seed=1)
    shift, stretch = random_matrix(1, 3, seed=2), torch.tensor([[3.0]])
    euclidean, cosine = (
        functools.partial(fewshot.prototype_logits, distance=name) for name in fewshot.DISTANCES
    )
    here, there = euclidean(queries, prototypes), euclidean(queries + shift, prototypes + shift)
    assert torch.allclose(here, there)
    assert torch.allclose(cosine(queries, prototypes), cosine(queries * stretch, prototypes))
    assert not torch.allclose(here, euclidean(queries * stretch, prototypes))
    assert not torch.allclose(cosine(queries, prototypes), cosine(queries + shift, prototypes))
    assert torch.equal(here, fewshot.prototype_logits(queries, prototypes))


def test_a_zero_vector_is_at_right_angles_to_everything():
    found = fewshot.prototype_logits(torch.zeros(1, 3), torch.eye(3), distance="cosine")
    assert found.tolist() == [[-1.0, -1.0, -1.0]]


@pytest.mark.parametrize("distance", fewshot.DISTANCES)
def test_episode_loss_is_the_cross_entropy_of_the_slow_logits(distance):
    episode = one_episode()
    weight = random_matrix(4, 2)
    support, query = (episode.support_inputs @ weight), (episode.query_inputs @ weight)
    prototypes = slow_prototypes(support.tolist(), episode.support_labels.tolist())
    rows = slow_logits(query.tolist(), prototypes, distance, 3.0)
    losses = [
        math.log(sum(math.exp(value) for value in row)) - row[label]
        for row, label in zip(rows, episode.query_labels.tolist(), strict=True)
    ]
    found = fewshot.episode_loss(lambda x: x @ weight, episode, distance=distance, scale=3.0)
    assert found.item() == pytest.approx(sum(losses) / len(losses))
    logits = fewshot.episode_logits(lambda x: x @ weight, episode, distance=distance, scale=3.0)
    assert torch.allclose(logits, torch.tensor(rows, dtype=torch.float64))


@pytest.mark.parametrize("distance", fewshot.DISTANCES)
def test_the_gradient_goes_through_query_and_prototypes(distance):
    episode = one_episode()
    weight = random_matrix(4, 2).requires_grad_()

    def loss(matrix):
        return fewshot.episode_loss(lambda x: x @ matrix, episode, distance=distance)

    assert torch.autograd.gradcheck(loss, (weight,))


def test_episode_loss_encodes_support_and_query_in_one_batch():
    """In train mode batch norm sees both at once; in eval mode every item stands for itself."""
    episode = one_episode()
    encoder = seeded(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    with torch.no_grad():
        both = encoder[0](torch.cat([episode.support_inputs, episode.query_inputs]))
        unit = (both - both.mean(dim=0)) / (both.var(dim=0, unbiased=False) + 1e-5).sqrt()
        wanted = fewshot.prototype_logits(
            unit[6:], fewshot.compute_prototypes(unit[:6], episode.support_labels)
        )
    assert torch.allclose(fewshot.episode_logits(encoder, episode), wanted)
    encoder.eval()
    alone = [
        fewshot.episode_logits(encoder, _with_query(episode, slice(i, i + 1))) for i in range(15)
    ]
    assert torch.allclose(torch.cat(alone), fewshot.episode_logits(encoder, episode))


def _with_query(episode, rows):
    return Episode(
        episode.support_inputs,
        episode.support_labels,
        episode.query_inputs[rows],
        episode.query_labels[rows],
        episode.classes,
        episode.support_positions,
        episode.query_positions[rows],
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fewshot.compute_prototypes(torch.zeros(3, 2), torch.tensor([0, 2, 2])),
            r"support labels: got no item of class 1; expected at least one .* of each class 0..2",
        ),
        (
            lambda: fewshot.compute_prototypes(torch.zeros(3, 2), torch.tensor([0, 1])),
            r"support labels: got torch.int64 of shape \(2,\).*shape \(3,\), one an item",
        ),
        (
            lambda: fewshot.compute_prototypes(torch.zeros(2, 2), torch.tensor([0, -1])),
            r"smallest -1; expected class ids 0, 1, 2",
        ),
        (
            lambda: fewshot.compute_prototypes(torch.zeros(2, 2), torch.tensor([0.0, 1.0])),
            r"support labels: got torch.float32",
        ),
        (
            lambda: fewshot.compute_prototypes(torch.zeros(2, 2, 2), torch.tensor([0, 1])),
            r"support features: got torch.float32 of shape \(2, 2, 2\)",
        ),
        (
            lambda: fewshot.compute_prototypes(torch.zeros(0, 2), torch.tensor([])),
            r"support features: .* at least one item",
        ),
        (
            lambda: fewshot.prototype_logits(torch.zeros(3, 2), torch.zeros(2, 4)),
            r"widths of query features and prototypes: got 2 and 4",
        ),
        (
            lambda: fewshot.prototype_logits(torch.ones(3, 2).long(), torch.zeros(2, 2)),
            r"query features: got torch.int64",
        ),
        (
            lambda: fewshot.prototype_logits(
                torch.zeros(3, 2), torch.zeros(2, 2), distance="euclid"
            ),
            r"distance: got 'euclid'.*did you mean 'euclidean'",
        ),
        (
            lambda: fewshot.prototype_logits(torch.zeros(3, 2), torch.zeros(2, 2), scale=0),
            r"scale: got 0; expected a finite number above 0",
        ),
        (
            lambda: fewshot.episode_loss(lambda x: x.sum(dim=1), one_episode()),
            r"what the encoder returned: got torch.float64 of shape \(21,\)",
        ),
    ],
)
def test_prototypes_refuse(call, message):
    with pytest.raises(CompanionError, match=message):
        call()


def test_methods_on_networks_refuse_inputs_that_are_no_tensor():
    split = make_split()
    texts = Split("p", [f"t{i}" for i in range(53)], split.labels, split.ids, split.classes)
    episode = draw(texts)[0]
    message = r"inputs of the episode: got a list and a list; .*`Episode.with_inputs`"
    with pytest.raises(CompanionError, match=message):
        fewshot.episode_loss(lambda x: x, episode)
    with pytest.raises(CompanionError, match=message):
        fewshot.maml_loss(nn.Linear(1, 3), episode, steps=1, learning_rate=0.1)


# --- the linear baseline -----------------------------------------------------------------------


def logistic_by_gradient(features, labels, penalty_inverse, num_classes):
    """Minimise the objective of the docstring with a general-purpose optimizer."""
    rows = features / features.norm(dim=1, keepdim=True)
    weight = torch.zeros(num_classes, rows.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(rows @ weight.T + bias, labels, reduction="sum")
        loss = penalty_inverse * loss + weight.square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return lambda x: (x / x.norm(dim=1, keepdim=True) @ weight.T + bias).softmax(dim=1).detach()


@pytest.mark.parametrize("inverse_penalty", [1.0, 20.0])
def test_logistic_regression_minimises_its_objective(inverse_penalty):
    episode = one_episode(n_shot=4)
    fitted = fewshot.fit_logistic(
        episode.support_inputs, episode.support_labels, inverse_penalty=inverse_penalty
    )
    oracle = logistic_by_gradient(
        episode.support_inputs, episode.support_labels, inverse_penalty, 3
    )
    found, wanted = fitted.probabilities(episode.query_inputs), oracle(episode.query_inputs)
    assert torch.allclose(found, wanted, atol=1e-3)
    assert torch.equal(fitted.predict(episode.query_inputs), found.argmax(dim=1))
    assert torch.allclose(found.sum(dim=1), torch.ones(15, dtype=torch.float64))


def test_logistic_regression_sees_directions_only_and_any_order():
    episode = one_episode()
    support, labels, query = episode.support_inputs, episode.support_labels, episode.query_inputs
    found = fewshot.fit_logistic(support, labels).probabilities(query)
    lengths = torch.arange(1.0, 7.0)[:, None]
    stretched = fewshot.fit_logistic(support * lengths, labels).probabilities(query * 5)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    permuted = fewshot.fit_logistic(support[order], labels[order]).probabilities(query)
    assert torch.allclose(found, stretched, atol=1e-6)
    assert torch.allclose(found, permuted, atol=1e-3)


def test_logistic_regression_of_two_classes_and_one_shot():
    support = torch.tensor([[2.0, 0.0], [0.0, 0.5]])
    fitted = fewshot.fit_logistic(support, torch.tensor([0, 1]))
    assert fitted.predict(torch.tensor([[1.0, 0.1], [0.1, 1.0], [0.3, 0.2]])).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fewshot.fit_logistic(torch.ones(2, 2), torch.tensor([0, 0])),
            r"support labels: got items of class 0 only; expected at least two classes",
        ),
        (
            lambda: fewshot.fit_logistic(torch.ones(2, 2), torch.tensor([0, 2])),
            r"got items of class 0, 2 only; .*without a gap",
        ),
        (
            lambda: fewshot.fit_logistic(torch.full((2, 2), math.nan), torch.tensor([0, 1])),
            r"support features: got a NaN or an infinity",
        ),
        (
            lambda: fewshot.fit_logistic(torch.eye(2), torch.tensor([0, 1]), inverse_penalty=0),
            r"inverse_penalty: got 0",
        ),
        (
            lambda: fewshot.fit_logistic(torch.eye(2), torch.tensor([0, 1])).predict(torch.eye(3)),
            r"width of query features: got 3; expected 2, as in the support",
        ),
    ],
)
def test_logistic_regression_refuses(call, message):
    with pytest.raises(CompanionError, match=message):
        call()


# --- MAML --------------------------------------------------------------------------------------


def seeded(model, *, seed=0):
    """Give a network's linear layers weights of their own, in float64."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
    return model.double()


def small_network(*extra, num_logits=3, seed=0):
    layers = (nn.Linear(4, 5), *extra, nn.Tanh(), nn.Linear(5, num_logits))
    return seeded(nn.Sequential(*layers), seed=seed)


def by_sgd(model, episode, steps, learning_rate):
    """Adapt a copy with torch's own optimizer."""
    copied = copy.deepcopy(model)
    optimizer = torch.optim.SGD(copied.parameters(), lr=learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(copied(episode.support_inputs), episode.support_labels).backward()
        optimizer.step()
    return copied


def gradients(model, loss):
    return dict(
        zip(
            dict(model.named_parameters()),
            torch.autograd.grad(loss, list(model.parameters())),
            strict=True,
        )
    )


def central_differences(model, loss, *, width=1e-5):
    """Differentiate a loss of the model's parameters, one number at a time."""
    found = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            gradient = torch.zeros_like(parameter)
            for place in np.ndindex(*parameter.shape):
                before = parameter[place].item()
                parameter[place] = before + width
                above = float(loss())
                parameter[place] = before - width
                below = float(loss())
                parameter[place] = before
                gradient[place] = (above - below) / (2 * width)
            found[name] = gradient
    return found


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_adaptation_is_plain_gradient_descent_and_leaves_the_model(steps):
    episode, model = one_episode(), small_network()
    before = copy.deepcopy(model.state_dict())
    adapted = fewshot.adapt(
        model, episode.support_inputs, episode.support_labels, steps=steps, learning_rate=0.3
    )
    copied = by_sgd(model, episode, steps, 0.3)
    assert list(adapted) == list(before)
    assert all(torch.allclose(adapted[name], p) for name, p in copied.named_parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    logits = fewshot.maml_logits(model, episode, steps=steps, learning_rate=0.3)
    assert torch.allclose(logits, copied(episode.query_inputs))


@pytest.mark.parametrize("steps", [1, 3])
def test_the_meta_gradient_is_that_of_central_differences(steps):
    episode, model = one_episode(), small_network()
    options = {"steps": steps, "learning_rate": 0.5}
    found = gradients(model, fewshot.maml_loss(model, episode, **options))
    wanted = central_differences(model, lambda: fewshot.maml_loss(model, episode, **options))
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, atol=1e-8, rtol=1e-5), name


def test_the_first_order_gradient_is_that_at_the_adapted_weights_and_another():
    episode, model = one_episode(), small_network()
    options = {"steps": 3, "learning_rate": 0.5}
    second = fewshot.maml_loss(model, episode, **options)
    first = fewshot.maml_loss(model, episode, **options, first_order=True)
    assert first.item() == pytest.approx(second.item(), rel=1e-12)
    copied = by_sgd(model, episode, 3, 0.5)
    loss = F.cross_entropy(copied(episode.query_inputs), episode.query_labels)
    wanted, found, exact = (
        gradients(copied, loss),
        gradients(model, first),
        gradients(model, second),
    )
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient), name
        gap = (exact[name] - gradient).norm() / exact[name].norm()
        assert gap > 0.05, f"{name}: first and second order differ by {gap:.3f} only"


def test_without_steps_the_meta_gradient_is_the_ordinary_one():
    episode, model = one_episode(), small_network()
    found = gradients(model, fewshot.maml_loss(model, episode, steps=0, learning_rate=0.5))
    loss = F.cross_entropy(model(episode.query_inputs), episode.query_labels)
    wanted = gradients(model, loss)
    assert all(torch.allclose(found[name], wanted[name]) for name in wanted)


def test_frozen_parameters_stay_and_unused_ones_do_no_harm():
    episode, model = one_episode(), small_network()
    model[0].requires_grad_(False)
    model.spare = nn.Linear(2, 2).double()
    model.forward = lambda x: model[2](model[1](model[0](x)))
    adapted = fewshot.adapt(
        model, episode.support_inputs, episode.support_labels, steps=2, learning_rate=0.3
    )
    assert set(adapted) == {"2.weight", "2.bias", "spare.weight", "spare.bias"}
    assert torch.equal(adapted["spare.weight"], model.spare.weight)
    assert not torch.allclose(adapted["2.weight"], model[2].weight)


def test_adaptation_works_where_gradients_are_off():
    episode, model = one_episode(), small_network()
    wanted = fewshot.maml_logits(model, episode, steps=2, learning_rate=0.3)
    with torch.no_grad():
        found = fewshot.maml_logits(model, episode, steps=2, learning_rate=0.3)
    assert torch.equal(found, wanted)


def test_batch_norm_in_train_mode_takes_each_batch_and_updates_nothing():
    episode, model = one_episode(), small_network(nn.BatchNorm1d(5))
    before = copy.deepcopy(model.state_dict())
    options = {"steps": 2, "learning_rate": 0.3}
    found = fewshot.maml_logits(model, episode, **options)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    copied = by_sgd(model, episode, 2, 0.3)
    for module in copied.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    assert torch.allclose(found, copied(episode.query_inputs))
    fewer = fewshot.maml_logits(model, _with_query(episode, slice(0, 4)), **options)
    assert not torch.allclose(fewer, found[:4]), "query items share their statistics"
    exact = gradients(model, fewshot.maml_loss(model, episode, **options))
    wanted = central_differences(model, lambda: fewshot.maml_loss(model, episode, **options))
    assert all(torch.allclose(exact[k], wanted[k], atol=1e-7, rtol=1e-4) for k in wanted)


def test_batch_norm_in_eval_mode_takes_the_running_statistics():
    episode, model = one_episode(), small_network(nn.BatchNorm1d(5))
    with torch.no_grad():
        model(episode.support_inputs * 2 + 1)
    model.eval()
    before = copy.deepcopy(model.state_dict())
    found = fewshot.maml_logits(model, episode, steps=2, learning_rate=0.3)
    assert torch.allclose(found, by_sgd(model, episode, 2, 0.3)(episode.query_inputs))
    fewer = fewshot.maml_logits(
        model, _with_query(episode, slice(0, 4)), steps=2, learning_rate=0.3
    )
    assert torch.allclose(fewer, found[:4])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            small_network(num_logits=2),
            {},
            r"support labels: got class 2; expected 0..1 for a model",
        ),
        (nn.Flatten(0), {}, r"parameters that require a gradient: got nothing"),
        (lambda x: x, {}, r"model: got .* expected a Module"),
        (small_network(), {"steps": -1}, r"steps: got -1; expected an integer of at least 0"),
        (small_network(), {"learning_rate": 0}, r"learning_rate: got 0"),
        (
            seeded(nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))),
            {},
            r"what the model returned: got shape \(6,\); expected logits",
        ),
    ],
)
def test_maml_refuses(model, options, message):
    with pytest.raises(CompanionError, match=message):
        fewshot.maml_loss(model, one_episode(), **({"steps": 1, "learning_rate": 0.1} | options))


def test_adapt_refuses_labels_of_other_items():
    episode = one_episode()
    with pytest.raises(CompanionError, match=r"support labels: got .*shape \(6,\), one an item"):
        fewshot.adapt(
            small_network(),
            episode.support_inputs,
            episode.query_labels,
            steps=1,
            learning_rate=0.1,
        )


# --- training on episodes ----------------------------------------------------------------------


def test_training_is_adam_on_the_mean_loss_of_a_few_episodes():
    episodes = fewshot.draw_episodes(
        clusters(), n_way=3, n_shot=1, n_query=4, num_episodes=5, seed=0
    )
    model = seeded(nn.Linear(4, 2))
    copied = copy.deepcopy(model)
    losses = fewshot.train_on_episodes_(
        model, episodes, fewshot.episode_loss, learning_rate=0.05, episodes_per_step=2
    )
    optimizer, wanted = torch.optim.Adam(copied.parameters(), lr=0.05), []
    for group in ((0, 1), (2, 3), (4,)):
        values = [fewshot.episode_loss(copied, episodes[i]) for i in group]
        optimizer.zero_grad()
        (sum(values) / len(values)).backward()
        optimizer.step()
        wanted += [value.item() for value in values]
    assert losses == pytest.approx(wanted)
    assert torch.allclose(model.weight, copied.weight)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((nn.Linear(4, 2), []), {}, "episodes: got nothing"),
        ((nn.Linear(4, 2), [one_episode()]), {"episodes_per_step": 0}, "episodes_per_step: got 0"),
        ((nn.Linear(4, 2), [one_episode()]), {"learning_rate": -1}, "learning_rate: got -1"),
        ((lambda x: x, [one_episode()]), {}, "model: got .* expected a Module"),
    ],
)
def test_training_refuses(arguments, options, message):
    with pytest.raises(CompanionError, match=message):
        fewshot.train_on_episodes_(*arguments, fewshot.episode_loss, **options)


def noisy_clusters():
    """Twelve classes that differ in two of ten directions; the others are loud and say nothing."""
    split = clusters(12, 15, width=10, spread=0.0)
    signal = split.inputs * torch.tensor([1.0] * 2 + [0.0] * 8)
    noise = random_matrix(len(split), 10, seed=5) * torch.tensor([0.2] * 2 + [2.0] * 8)
    return Split("pool", signal + noise, split.labels, split.ids, split.classes)


def accuracy_on_new_classes(predict, split):
    episodes = fewshot.draw_episodes(
        split, n_way=4, n_shot=3, n_query=8, num_episodes=40, seed=9, classes="ijkl"
    )
    return fewshot.episode_accuracies(predict, episodes).mean


def test_a_prototypical_network_learns_what_to_ignore_for_classes_it_never_saw():
    split = noisy_clusters()
    episodes = fewshot.draw_episodes(
        split, n_way=4, n_shot=3, n_query=8, num_episodes=150, seed=0, classes="abcdefgh"
    )
    model = seeded(nn.Linear(10, 4))
    predict = functools.partial(fewshot.episode_logits, model)
    before = accuracy_on_new_classes(predict, split)
    fewshot.train_on_episodes_(model, episodes, fewshot.episode_loss, learning_rate=0.03)
    assert accuracy_on_new_classes(predict, split) > before + 0.15


def test_maml_learns_weights_that_adapt_to_classes_it_never_saw():
    split = noisy_clusters()
    episodes = fewshot.draw_episodes(
        split, n_way=4, n_shot=3, n_query=8, num_episodes=200, seed=0, classes="abcdefgh"
    )
    model = seeded(nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 4)))
    steps = {"steps": 3, "learning_rate": 0.3}
    predict = functools.partial(fewshot.maml_logits, model, **steps)
    before = accuracy_on_new_classes(predict, split)
    loss = functools.partial(fewshot.maml_loss, **steps)
    fewshot.train_on_episodes_(model, episodes, loss, learning_rate=0.02, episodes_per_step=4)
    assert accuracy_on_new_classes(predict, split) > before + 0.1


# --- scoring -----------------------------------------------------------------------------------


def test_accuracies_and_their_t_interval():
    episodes = draw(num_episodes=3)
    answers = {key(e): e.query_labels.clone() for e in episodes}
    for number, row in enumerate(answers.values()):
        row[: 3 * number] = (row[: 3 * number] + 1) % 3
    scores = fewshot.episode_accuracies(lambda e: answers[key(e)], episodes, level=0.9)
    assert scores.accuracies == pytest.approx((1.0, 0.75, 0.5))
    assert scores.mean == pytest.approx(0.75)
    wanted = stats.t.interval(0.9, 2, loc=0.75, scale=stats.sem(scores.accuracies))
    assert (scores.interval.low, scores.interval.high) == pytest.approx(wanted)
    assert scores.interval.level == 0.9
    assert scores.interval.method == "t over 3 episodes of one pool"


def test_logits_count_as_their_largest_and_the_answers_are_hidden():
    seen = []

    def predict(episode):
        seen.append(episode.query_labels)
        return F.one_hot(torch.full((12,), 2), 3) * 0.1

    scores = fewshot.episode_accuracies(predict, draw(num_episodes=2))
    assert scores.accuracies == pytest.approx((1 / 3, 1 / 3))
    assert [row.tolist() for row in seen] == [[-1] * 12] * 2


@pytest.mark.parametrize(
    ("predict", "options", "message"),
    [
        (lambda e: torch.zeros(12), {}, "predictions: got torch.float32"),
        (lambda e: torch.zeros(5).long(), {}, r"predictions: got .*\(5,\).*\(12,\), one an item"),
        (lambda e: [0] * 12, {}, "predictions: got .* a list; expected a Tensor"),
        (lambda e: torch.zeros(12).long(), {"level": 1.0}, "level: got 1.0"),
    ],
)
def test_scoring_refuses(predict, options, message):
    with pytest.raises(CompanionError, match=message):
        fewshot.episode_accuracies(predict, draw(), **options)


def test_one_episode_has_no_interval():
    with pytest.raises(CompanionError, match="episodes: got 1; expected at least two"):
        fewshot.episode_accuracies(lambda e: torch.zeros(12).long(), draw(num_episodes=1))


def test_all_methods_score_far_above_chance_on_the_same_episodes():
    episodes = fewshot.draw_episodes(
        clusters(spread=0.3), n_way=5, n_shot=3, n_query=5, num_episodes=20, seed=0
    )

    def logistic(episode):
        fitted = fewshot.fit_logistic(episode.support_inputs, episode.support_labels)
        return fitted.predict(episode.query_inputs)

    def prototypes(episode):
        return fewshot.episode_logits(lambda x: x, episode)

    for predict in (logistic, prototypes):
        assert fewshot.episode_accuracies(predict, episodes).mean > 0.8


# --- zero-shot ---------------------------------------------------------------------------------


def seen_classes():
    """Items, labels and descriptions, with two more descriptions than attributes."""
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 2, 4, 3, 3])
    return random_matrix(12, 6), labels, random_matrix(5, 3, seed=1)


@pytest.mark.parametrize(("gamma", "penalty"), [(1.0, 1.0), (0.3, 4.0), (5.0, 0.01)])
def test_the_closed_form_solves_the_linear_system_written_out(gamma, penalty):
    """Set the derivative of the objective to zero, entry by entry of V."""
    features, labels, vectors = seen_classes()
    found = fewshot.fit_zero_shot(
        features, labels, vectors, feature_penalty=gamma, class_penalty=penalty
    )
    x, s = features.numpy().T, vectors.numpy().T
    y = np.where(labels.numpy()[:, None] == np.arange(5), 1.0, -1.0)
    system = np.kron(x @ x.T + gamma * np.eye(6), s @ s.T + penalty * np.eye(3))
    wanted = np.linalg.solve(system, (x @ y @ s.T).reshape(-1)).reshape(6, 3)
    assert found.numpy() == pytest.approx(wanted, abs=1e-9)


def test_the_closed_form_is_the_minimum_of_its_objective():
    features, labels, vectors = seen_classes()
    gamma, penalty = 0.7, 2.5
    found = fewshot.fit_zero_shot(
        features, labels, vectors, feature_penalty=gamma, class_penalty=penalty
    )
    x, s = features.T, vectors.T
    y = torch.full((12, 5), -1.0, dtype=torch.float64)
    for item, label in enumerate(labels.tolist()):
        y[item, label] = 1.0
    v = torch.zeros_like(found, requires_grad=True)
    optimizer = torch.optim.LBFGS([v], max_iter=500, tolerance_grad=1e-12, tolerance_change=0)

    def objective():
        optimizer.zero_grad()
        loss = (x.T @ v @ s - y).square().sum() + gamma * (v @ s).square().sum()
        loss = loss + penalty * (x.T @ v).square().sum() + gamma * penalty * v.square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    assert torch.allclose(found, v.detach(), atol=1e-6)


def test_zero_shot_logits_are_slow_loops():
    features, vectors = random_matrix(4, 6), random_matrix(3, 2, seed=1)
    mapping = random_matrix(6, 2, seed=2)
    found = fewshot.zero_shot_logits(features, vectors, mapping)
    for item in range(4):
        for c in range(3):
            total = sum(
                features[item, i] * mapping[i, j] * vectors[c, j]
                for i in range(6)
                for j in range(2)
            )
            assert found[item, c].item() == pytest.approx(total.item())


def described(labels, vectors, *, seed):
    """Features that are a fixed linear picture of their class's attributes, and noise."""
    picture = random_matrix(vectors.shape[1], 8, seed=11)
    return vectors[labels] @ picture + 0.1 * random_matrix(len(labels), 8, seed=seed)


def test_classes_that_were_never_seen_are_told_apart_by_their_attributes():
    vectors = torch.tensor(
        [[a, b, c, d] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1) for d in (-1, 1)]
    )
    vectors = vectors.double()
    unseen = torch.tensor([0, 5, 10, 15])
    seen = torch.tensor([c for c in range(16) if c not in unseen])
    train_labels = torch.arange(12).repeat_interleave(10)
    mapping = fewshot.fit_zero_shot(
        described(train_labels, vectors[seen], seed=1), train_labels, vectors[seen]
    )
    labels = torch.arange(4).repeat_interleave(10)
    features = described(labels, vectors[unseen], seed=2)
    found = fewshot.zero_shot_logits(features, vectors[unseen], mapping).argmax(dim=1)
    assert (found == labels).double().mean() == 1.0
    wrong = fewshot.zero_shot_logits(features, -vectors[unseen], mapping).argmax(dim=1)
    assert (wrong == labels).double().mean() < 0.5


def test_the_mapping_does_not_depend_on_the_order_of_items_or_classes_and_keeps_its_type():
    features, labels, vectors = seen_classes()
    found = fewshot.fit_zero_shot(features, labels, vectors)
    items, classes = torch.arange(12).roll(5).flip(0), torch.tensor([3, 0, 4, 1, 2])
    renamed = torch.argsort(classes)[labels]
    again = fewshot.fit_zero_shot(features[items], renamed[items], vectors[classes])
    assert torch.allclose(found, again)
    single = fewshot.fit_zero_shot(features.float(), labels, vectors.float())
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), found, atol=1e-5)


def test_penalties_keep_singular_systems_solvable():
    """Fewer items than features, fewer classes than attributes, a column of zeros."""
    features = torch.cat([random_matrix(3, 9), torch.zeros(3, 1, dtype=torch.float64)], dim=1)
    mapping = fewshot.fit_zero_shot(features, torch.tensor([0, 1, 1]), random_matrix(2, 7, seed=1))
    assert torch.isfinite(mapping).all()
    assert mapping[9].abs().max() < 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": torch.arange(12) % 6}, r"labels: got largest 5 beside 5 class vectors; expect"),
        ({"labels": torch.arange(12) % 4}, r"beside 5 class vectors, no item of class 4"),
        ({"labels": torch.arange(11) % 5}, r"labels: got .*\(11,\).*\(12,\), one an item"),
        ({"features": torch.full((12, 6), math.inf)}, r"features: got a NaN or an infinity"),
        ({"features": torch.zeros(12, 2, 3)}, r"features: got .*\(12, 2, 3\)"),
        ({"class_vectors": torch.ones(5, 3).long()}, r"class vectors: got torch.int64"),
        ({"class_vectors": torch.full((5, 3), math.nan)}, r"class vectors: got a NaN"),
        ({"feature_penalty": 0.0}, r"feature_penalty: got 0.0"),
        ({"class_penalty": -1.0}, r"class_penalty: got -1.0"),
    ],
)
def test_fitting_zero_shot_refuses(changes, message):
    features, labels, vectors = seen_classes()
    good = {"features": features, "labels": labels, "class_vectors": vectors}
    with pytest.raises(CompanionError, match=message):
        fewshot.fit_zero_shot(**(good | changes))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((4, 5), (3, 2), (6, 2)), r"features and of what the mapping takes: got 5 and 6"),
        (((4, 6), (3, 3), (6, 2)), r"class vectors and of what the mapping makes: got 3 and 2"),
        (((4, 6), (3, 2), (6,)), r"mapping: got .*shape \(6,\)"),
    ],
)
def test_zero_shot_logits_refuse(shapes, message):
    with pytest.raises(CompanionError, match=message):
        fewshot.zero_shot_logits(*(torch.ones(shape) for shape in shapes))
