"""companion.splits: disjoint parts, whole budgets, and a test set that counts its readings."""

import warnings
from collections import Counter

import numpy as np
import pytest
import torch

from companion import batches, splits
from companion.checks import CompanionError
from companion.registry import DatasetCard
from companion.splits import (
    Selection,
    Split,
    Splits,
    TestReadAgainWarning,
    TestSplit,
    draw,
    fresh_readings,
    hold_out,
    k_shot,
    prove_disjoint,
)

CARD = DatasetCard("toy", "Toy", "vision", "classification", ("a", "b", "c"), "MIT", "here")


def make(counts=(20, 20, 20), *, name="pool", start=0, groups=None):
    """A split whose input i is the number of item i, so that items can be told apart."""
    labels = torch.tensor([label for label, n in enumerate(counts) for _ in range(n)])
    numbers = [start + i for i in range(len(labels))]
    inputs = torch.tensor(numbers, dtype=torch.float32)[:, None, None, None] / 10_000
    ids = [f"item/{number}" for number in numbers]
    return Split(name, inputs, labels, ids, "abc"[: len(counts)], groups)


@pytest.fixture(autouse=True)
def _fresh():
    with fresh_readings():
        yield


TEST = make((5, 5, 5), name="test", start=1000)


# Split


def test_a_split_brings_its_fields_into_form():
    split = Split("train", ["x", "y"], [0, 1], ["1", "2"], ["no", "yes"])
    assert split.labels.dtype == torch.int64
    assert split.ids == ("1", "2") and split.classes == ("no", "yes")
    assert len(split) == 2


def test_class_counts_names_classes_without_items():
    assert make((3, 0, 1)).class_counts() == {"a": 3, "b": 0, "c": 1}


def test_class_counts_of_tokens_leave_out_what_carries_no_label():
    rows = [torch.tensor([0, -100, 1]), torch.tensor([1])]
    split = Split("train", ["x y z", "z"], rows, ["1", "2"], ["O", "B"], task="tokens")
    assert split.class_counts() == {"O": 1, "B": 2}


def test_a_subset_keeps_items_and_labels_together_whatever_the_order():
    split = make()
    part = split.subset([45, 3, 20], name="train")
    assert part.name == "train"
    assert part.ids == ("item/45", "item/3", "item/20")
    assert part.labels.tolist() == [2, 0, 1]
    assert torch.allclose(part.inputs.flatten() * 10_000, torch.tensor([45.0, 3.0, 20.0]))


def test_a_subset_of_a_sequence_reads_nothing():
    class Exploding(list):
        def __getitem__(self, index):
            raise AssertionError("read")

    class Lazy(Selection):
        def __init__(self, length):
            super().__init__(Exploding(), range(length))

    split = Split("pool", Lazy(4), [0, 1, 0, 1], "abcd", "xy")
    part = split.subset([3, 1]).subset([1])
    assert part.inputs.positions == (1,) and part.ids == ("b",)


def test_a_selection_reads_slices_and_selections_of_selections():
    chosen = Selection(["a", "b", "c", "d"], [3, 1, 0])
    assert list(chosen) == ["d", "b", "a"]
    assert list(chosen[1:]) == ["b", "a"]


def test_subset_of_lists_and_label_rows_and_groups():
    rows = [torch.tensor([1]), torch.tensor([2, 1])]
    split = Split("p", ["x", "y"], rows, ["1", "2"], ["-", "a", "b"], ["s", "t"], "ctc")
    part = split.subset([1])
    assert part.inputs == ["y"] and part.labels[0].tolist() == [2, 1] and part.groups == ("t",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": [0, 3]}, r"labels of split 'train': got label 3; expected 0\.\.1"),
        ({"labels": [0, 2]}, r"got label 2; expected 0\.\.1 for 2 classes"),
        ({"labels": [0, -1]}, r"labels of split 'train': got label -1"),
        ({"labels": [0.0, 1.0]}, r"labels of split 'train': got torch.float32.*class ids"),
        ({"labels": [[0], [1]]}, r"labels of split 'train': got .*shape \(2, 1\)"),
        ({"labels": [0, 1, 1]}, r"2 inputs, 3 labels, 2 ids; expected as many of each"),
        ({"groups": ["s"]}, r"1 groups"),
        ({"ids": ["1", "1"]}, r"ids of split 'train': got '1' more than once"),
        ({"task": "clasification"}, r"task: got 'clasification'.*did you mean 'classification'"),
        ({"inputs": torch.full((2, 1, 2, 2), 255.0)}, r"255; expected values in \[0, 1\]"),
        ({"inputs": torch.full((2, 1, 2, 2), -0.1)}, r"got values from -0\.1 to -0\.1"),
        ({"inputs": torch.full((2, 1, 2, 2), torch.nan)}, r"images of split 'train': got values"),
    ],
)
def test_a_split_refuses(fields, message):
    good = {"inputs": ["x", "y"], "labels": [0, 1], "ids": ["1", "2"], "classes": ["n", "y"]}
    with pytest.raises(CompanionError, match=message):
        Split("train", **(good | fields))


def test_label_zero_is_the_blank_of_ctc():
    with pytest.raises(CompanionError, match=r"got label 0; expected 1\.\.2"):
        Split("train", ["x"], [torch.tensor([0, 1])], ["1"], ["-", "a", "b"], task="ctc")


def test_the_label_that_is_ignored_is_the_one_that_losses_ignore():
    assert splits.examples.IGNORED == batches.IGNORE_LABEL


@pytest.mark.parametrize("position", [-1, 60])
def test_subset_refuses_positions_outside(position):
    with pytest.raises(CompanionError, match=rf"positions: got {position}; expected 0\.\.59"):
        make().subset([0, position])


# The test set


def test_the_test_set_opens_to_an_evaluation_and_counts_readings():
    test = TestSplit(TEST)
    assert test.num_readings == 0
    opened = test.open("probe")
    assert opened.name == "test" and opened.ids == test.ids
    assert test.readings == ("probe",)


def test_the_same_reading_again_is_one_reading():
    test = TestSplit(TEST)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test.open("probe")
        test.open("probe")
    assert test.num_readings == 1


def test_another_reading_warns_and_names_both():
    test = TestSplit(TEST)
    test.open("probe")
    with pytest.warns(TestReadAgainWarning, match="before, by 'probe', and now by 'full'"):
        test.open("full")
    assert test.readings == ("probe", "full")


def test_readings_survive_loading_the_same_items_again():
    TestSplit(TEST).open("probe")
    again = TestSplit(make((5, 5, 5), name="test", start=1000))
    assert again.num_readings == 1
    with pytest.warns(TestReadAgainWarning):
        again.open("full")


def test_other_items_and_other_contents_have_readings_of_their_own():
    TestSplit(TEST).open("probe")
    assert TestSplit(make((5, 5, 5), name="test", start=2000)).num_readings == 0
    assert TestSplit(TEST, content_key="other files").num_readings == 0
    assert TestSplit(TEST.subset(range(14))).num_readings == 0


def test_fresh_readings_puts_the_old_ones_back():
    test = TestSplit(TEST)
    test.open("probe")
    with fresh_readings():
        assert test.num_readings == 0
        test.open("full")
    assert test.readings == ("probe",)


@pytest.mark.parametrize("what", ["inputs", "labels"])
def test_the_test_set_is_closed_to_training(what):
    with pytest.raises(CompanionError, match=rf"{what} of the test set: got an attempt"):
        getattr(TestSplit(TEST), what)


def test_splits_refuse_to_train_or_choose_on_a_test_set():
    test = TestSplit(TEST)
    with pytest.raises(CompanionError, match="train and val: got a test set"):
        Splits(test, None, test, CARD)
    with pytest.raises(CompanionError, match="train and val: got a test set"):
        Splits(make(), test, test, CARD)
    with pytest.raises(CompanionError, match=r"train and test: got item 'item/1000' in both"):
        Splits(test.open("sneaky"), None, test, CARD)


# Drawing


@pytest.mark.parametrize(
    ("k", "train", "val"), [(1, 1, 0), (4, 4, 0), (5, 4, 1), (9, 8, 1), (10, 8, 2), (20, 16, 4)]
)
def test_the_budget_includes_val(k, train, val):
    drawn = draw(make(), TEST, CARD, labels_per_class=k, seed=3)
    assert set(drawn.train.class_counts().values()) == {train}
    assert drawn.val_per_class == val and drawn.labels_per_class == k
    if val:
        assert set(drawn.val.class_counts().values()) == {val}
    else:
        assert drawn.val is None
    assert drawn.train.name == "train"


def test_everything_is_a_fifth_val_of_each_class():
    drawn = draw(make((50, 10, 5)), TEST, CARD)
    assert drawn.val.class_counts() == {"a": 10, "b": 2, "c": 1}
    assert drawn.train.class_counts() == {"a": 40, "b": 8, "c": 4}
    assert drawn.val_per_class is None and drawn.val.name == "val"


def test_a_draw_is_a_function_of_its_seed():
    def ids(seed):
        return draw(make(), TEST, CARD, labels_per_class=5, seed=seed).train.ids

    assert ids(0) == ids(0)
    assert len({ids(seed) for seed in range(10)}) == 10


def test_a_smaller_budget_is_a_part_of_a_larger_one():
    def items(k):
        drawn = draw(make(), TEST, CARD, labels_per_class=k, seed=1)
        return set(drawn.train.ids) | set(drawn.val.ids if drawn.val else ())

    budgets = [items(k) for k in (1, 4, 5, 10, 20)]
    assert all(small < large for small, large in zip(budgets, budgets[1:], strict=False))


def test_each_item_of_a_class_is_drawn_about_equally_often():
    pool = make((10, 10))
    drawn = Counter()
    for seed in range(200):
        drawn.update(k_shot(pool, 2, seed=seed).ids)
    assert len(drawn) == 20 and 15 < min(drawn.values()) and max(drawn.values()) < 70


def test_a_larger_val_is_part_of_the_budget():
    drawn = draw(make(), TEST, CARD, labels_per_class=10, val_per_class=5)
    assert set(drawn.train.class_counts().values()) == {5}
    assert set(drawn.val.class_counts().values()) == {5}
    without = draw(make(), TEST, CARD, labels_per_class=10, val_per_class=0)
    assert without.val is None and len(without.train) == 30


def test_val_from_a_pool_of_its_own():
    own = make((6, 6, 6), start=500)
    drawn = draw(make(), TEST, CARD, labels_per_class=10, val_pool=own)
    assert set(drawn.val.ids) <= set(own.ids) and len(drawn.val) == 6 and len(drawn.train) == 24
    everything = draw(make(), TEST, CARD, val_pool=own).redraw(seed=4)
    assert everything.val.ids == own.ids and everything.train.ids == make().ids


def grouped_pool(num_groups=10):
    return make((20, 20, 20), groups=[f"speaker {i % num_groups}" for i in range(60)])


@pytest.mark.parametrize("k", [None, 1, 5, 10])
def test_grouped_parts_share_no_group(k):
    drawn = draw(grouped_pool(), TEST_WITH_GROUPS, CARD, labels_per_class=k, seed=2, grouped=True)
    if drawn.val is not None:
        assert not set(drawn.train.groups) & set(drawn.val.groups)
    if k is not None:
        assert len(drawn.train) + len(drawn.val or ()) == 3 * k


TEST_WITH_GROUPS = make((5, 5, 5), name="test", start=1000, groups=["a speaker apart"] * 15)


def test_grouped_draws_refuse_a_test_set_with_a_group_of_train():
    test = make((5, 5, 5), name="test", start=1000, groups=[f"speaker {i % 10}" for i in range(15)])
    with pytest.raises(CompanionError, match=r"train and test: got group 'speaker \d' in both"):
        draw(grouped_pool(), test, CARD, grouped=True)


def test_grouped_draws_are_a_function_of_the_seed():
    def held(seed):
        return draw(grouped_pool(), TEST_WITH_GROUPS, CARD, seed=seed, grouped=True).val.groups

    assert held(0) == held(0)
    assert len({frozenset(held(seed)) for seed in range(10)}) > 3


def test_redraw_keeps_the_test_set_and_what_is_not_named():
    first = draw(make(), TEST, CARD, labels_per_class=10, seed=0)
    again = first.redraw(seed=1)
    assert again.test is first.test
    assert again.labels_per_class == 10 and again.seed == 1
    assert again.train.ids != first.train.ids
    assert first.redraw(labels_per_class=5).seed == 0
    assert first.redraw(labels_per_class=None).labels_per_class is None
    assert again.redraw(seed=0).train.ids == first.train.ids
    assert first.redraw(val_per_class=5).redraw(seed=1).val_per_class == 5
    assert first.redraw(val_per_class=5).redraw(labels_per_class=20).val_per_class == 4


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ((20, 20, 4), {"labels_per_class": 5}, r"class 'c' of split 'pool': got 4 items; .* 5"),
        ((20, 20, 20), {"labels_per_class": 0}, r"labels_per_class: got 0"),
        ((20, 20, 20), {"labels_per_class": 2.5}, r"labels_per_class: got 2\.5"),
        ((20, 20, 20), {"seed": -1}, r"seed: got -1"),
        (
            (20, 20, 20),
            {"labels_per_class": 5, "val_per_class": 5},
            r"val_per_class: got 5; expected fewer than labels_per_class=5",
        ),
        ((20, 20, 20), {"val_per_class": 5}, r"val_per_class: got 5; .*labels_per_class=None"),
        ((20, 20, 1), {}, r"class 'c' of split 'pool': got 1 items; expected at least 2"),
        ((20, 20, 0), {}, r"class 'c' of split 'pool': got 0 items"),
        ((20,), {}, r"classes in train: got one class only"),
        ((20, 20, 20), {"grouped": True}, r"groups of split 'pool': got none"),
    ],
)
def test_draw_refuses(counts, options, message):
    with pytest.raises(CompanionError, match=message):
        draw(make(counts), TEST, CARD, **options)


def test_val_must_not_be_empty():
    empty = make().subset([], name="val")
    with pytest.raises(CompanionError, match=r"val split: got nothing; .*put items into val"):
        Splits(make(), empty, TEST, CARD)


def test_train_must_hold_every_class():
    one_sided = make().subset(range(40), name="train")
    with pytest.raises(CompanionError, match=r"classes in train: got no item of 'c'"):
        Splits(one_sided, None, TEST, CARD)


def test_one_group_cannot_be_parted():
    pool = make(groups=["same"] * 60)
    with pytest.raises(CompanionError, match=r"groups of split 'pool': got 1 different"):
        hold_out(pool, grouped=True)


def test_splits_put_together_by_hand_cannot_be_redrawn():
    with pytest.raises(CompanionError, match="redraw: got splits that were put together by hand"):
        Splits(make(), None, TEST, CARD).redraw(seed=1)


def test_a_budget_without_classes_counts_items():
    rows = [torch.tensor([1])] * 3
    pool = Split("pool", ["x"] * 3, rows, ["1", "2", "3"], ["-", "a"], task="ctc")
    two, one = k_shot(pool, 2, seed=4), k_shot(pool, 1, seed=4)
    assert len(two) == 2 and two.ids[0] == one.ids[0]
    assert {*k_shot(pool, 1, seed=4, skip=2).ids, *two.ids} == set(pool.ids)
    with pytest.raises(CompanionError, match="at least 4 for 4 labelled recordings"):
        k_shot(pool, 4)
    rest, held = hold_out(pool)
    assert len(rest) == 2 and len(held) == 1


# Parting


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_hold_out_takes_the_share_of_each_class(share):
    rest, held = hold_out(make((100, 50, 10)), share=share, names=("a part", "another"))
    assert held.class_counts() == {"a": 100 * share, "b": 50 * share, "c": 10 * share}
    assert (rest.name, held.name) == ("a part", "another")
    assert len(rest) + len(held) == 160
    prove_disjoint(rest, held)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_hold_out_refuses_to_leave_a_part_empty(share):
    with pytest.raises(CompanionError, match=r"share: got .*above 0 and below 1"):
        hold_out(make(), share=share)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_class_of_two_is_on_both_sides(share):
    rest, held = hold_out(make((90, 2)), share=share)
    assert rest.class_counts()["b"] == 1 and held.class_counts()["b"] == 1


def test_k_shot_with_skip_draws_disjoint_parts():
    pool = make()
    first, second = k_shot(pool, 3, seed=5), k_shot(pool, 4, seed=5, skip=3)
    prove_disjoint(first, second)
    assert set(first.ids) | set(second.ids) == set(k_shot(pool, 7, seed=5).ids)


def test_prove_disjoint_names_what_is_shared():
    pool = make()
    with pytest.raises(CompanionError, match=r"pool and val: got item 'item/7' in both"):
        prove_disjoint(pool, pool.subset([7], name="val"))
    grouped = grouped_pool()
    train, val = grouped.subset(range(10), name="train"), grouped.subset([13], name="val")
    prove_disjoint(train, val)
    with pytest.raises(CompanionError, match="train and val: got group 'speaker 3' in both"):
        prove_disjoint(train, val, grouped=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": ["n", "y"]}, r"got \['n', 'y'\], list; expected class ids"),
        ({"ids": [1, 2]}, "ids: got 1, a int; expected strings"),
        ({"classes": [0, 1]}, "classes: got 0, a int; expected strings"),
        ({"classes": ["n", "n"]}, "classes: got 'n' twice; expected each class once"),
        ({"inputs": torch.zeros(2, 1, 2, 2, dtype=torch.int64)}, "got torch.int64; expected uint8"),
    ],
)
def test_a_split_refuses_odd_types(fields, message):
    good = {"inputs": ["x", "y"], "labels": [0, 1], "ids": ["1", "2"], "classes": ["n", "y"]}
    with pytest.raises(CompanionError, match=message):
        Split("train", **(good | fields))


def test_fingerprint_tells_contents_apart():
    def fingerprint(**fields) -> str:
        images = torch.zeros(2, 1, 2, 2)
        good = {"inputs": images, "labels": [0, 1], "ids": ["1", "2"], "classes": ["n", "y"]}
        return Split("train", **(good | fields)).fingerprint()

    assert fingerprint() == fingerprint(inputs=torch.zeros(2, 1, 2, 2).numpy())
    others = [
        fingerprint(labels=[1, 0]),
        fingerprint(ids=["1", "3"]),
        fingerprint(classes=["n", "z"]),
        fingerprint(inputs=torch.ones(2, 1, 2, 2)),
        fingerprint(inputs=["a", "b"]),
        fingerprint(groups=["s", "t"]),
        fingerprint(groups=["s", "s"]),
    ]
    assert len({fingerprint(), *others}) == 8


def test_a_test_set_with_other_inputs_under_the_same_names_is_another_one():
    def test_set(value, key=""):
        images = torch.full((2, 1, 2, 2), value)
        return TestSplit(Split("test", images, [0, 1], ["1", "2"], ["n", "y"]), content_key=key)

    assert test_set(0.5).fingerprint == test_set(0.5).fingerprint
    assert len({test_set(0.5).fingerprint, test_set(0.6).fingerprint}) == 2
    assert test_set(0.5).fingerprint != test_set(0.5, "files").fingerprint


def test_numpy_integers_are_budgets():
    drawn = draw(make(), make(name="test", start=100), CARD, labels_per_class=np.int64(5), seed=0)
    assert drawn.labels_per_class == 5 and type(drawn.labels_per_class) is int
