"""companion.checks: one message form, and values handed through."""

import numpy as np
import pytest

from companion import checks
from companion.checks import CompanionError


def test_fail_says_what_got_expected_and_what_to_do():
    with pytest.raises(CompanionError) as caught:
        checks.fail("labels", got="max 12", expected="0..9", do="remap them")
    assert str(caught.value) == "labels: got max 12; expected 0..9; remap them"
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_positive_int_returns_a_plain_int(value):
    found = checks.positive_int("count", value)
    assert type(found) is int and found == value


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None, float("nan")])
def test_positive_int_refuses(value):
    with pytest.raises(CompanionError, match=r"count: got .*; expected a positive integer"):
        checks.positive_int("count", value)


def test_non_negative_int_takes_zero_and_refuses_minus_one():
    assert checks.non_negative_int("seed", 0) == 0
    with pytest.raises(CompanionError, match=r"seed: got -1; expected an integer of at least 0"):
        checks.non_negative_int("seed", -1)


def test_finite_positive_takes_python_and_numpy_numbers():
    assert checks.finite_positive("learning_rate", 1e-3) == 1e-3
    assert checks.finite_positive("learning_rate", np.float32(0.5)) == 0.5
    assert checks.finite_positive("learning_rate", 2) == 2.0


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), "0.1", None, True])
def test_finite_positive_refuses(value):
    with pytest.raises(CompanionError, match=r"learning_rate: got .*; expected a finite number"):
        checks.finite_positive("learning_rate", value)


def test_fraction_includes_both_ends():
    assert [checks.fraction("share", value) for value in (0, 0.25, 1)] == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("value", [-0.01, 1.01, 85.7, float("nan"), None])
def test_fraction_refuses_percentages_and_nan(value):
    with pytest.raises(CompanionError, match=r"share: got .*divide a percentage by 100"):
        checks.fraction("share", value)


def test_one_of_returns_the_name_and_lists_near_matches_first():
    names = ("scratch", "probe", "lp_ft", "layer_decay")
    assert checks.one_of("strategy", "probe", names) == "probe"
    with pytest.raises(CompanionError, match=r"strategy: got 'LP-FT'.*did you mean 'lp_ft'\?"):
        checks.one_of("strategy", "LP-FT", names)
    with pytest.raises(CompanionError, match=r"'scratch', 'probe', .*choose one of these"):
        checks.one_of("strategy", "zzzz", names)
    with pytest.raises(CompanionError, match="strategy: got 3"):
        checks.one_of("strategy", 3, names)


def test_suggest_ignores_case_and_separators_and_their_order_in_the_choices():
    assert checks.suggest("Layer Decay", ["probe", "layer_decay"]) == ["layer_decay"]
    assert checks.suggest("Layer Decay", ["layer_decay", "probe"]) == ["layer_decay"]
    assert checks.suggest("qqqq", ["probe"]) == []


def test_non_empty():
    checks.non_empty("val split", (1,), do="add items")
    with pytest.raises(CompanionError, match=r"val split: got nothing; .*add items"):
        checks.non_empty("val split", (), do="add items")


def test_existing_file_and_directory(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert checks.existing_file("weights", str(file)) == file
    assert checks.existing_directory("images", str(tmp_path)) == tmp_path
    with pytest.raises(CompanionError, match="which is a folder; expected a file"):
        checks.existing_file("weights", tmp_path)
    with pytest.raises(CompanionError, match="which is a file; expected a folder"):
        checks.existing_directory("images", file)
    with pytest.raises(CompanionError, match="which does not exist"):
        checks.existing_file("weights", tmp_path / "nothing")


def test_paths_without_read_permission(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("x")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(CompanionError, match=r"cannot be read \(Permission denied\)"):
        checks.existing_file("weights", file)
    with pytest.raises(CompanionError, match=r"cannot be read \(Permission denied\)"):
        checks.existing_directory("images", tmp_path)
