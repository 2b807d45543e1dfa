"""The benchmarks: all contestants train the same thing, and the arithmetic of ratios is right."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    cached_features,
    detection_scores,
    detection_training,
    growth,
    imports,
    peers,
    run,
    tasks,
    text_training,
    timing,
    training_loops,
)
from companion.backbones.bert import bert_backbone, tiny_tokenizer  # noqa: E402
from companion.heads import build_head  # noqa: E402
from companion.registry import BackboneCard  # noqa: E402

OTHERS = [peer for peer in peers.NAMES if peer != "leanest"]
LIBRARY_OF = {"with_lightning": "lightning", "with_fastai": "fastai"}


@pytest.fixture(scope="module")
def task():
    """One epoch of the small task: 25 steps."""
    return tasks.small_task(num_epochs=1)


def _trainer(peer, way):
    library = LIBRARY_OF.get(peer)
    if library and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install -c constraints.txt -e '.[bench]'")
    return peers.trainer_of(peer, way)


def _weights(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_every_file_of_a_peer_is_a_contestant():
    files = {path.stem for path in (ROOT / "benchmarks" / "peers").glob("*.py")} - {"__init__"}
    assert files == set(peers.NAMES)
    assert len(files) == 7


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", OTHERS)
def test_tuned_peers_train_the_same_thing(peer, task, capfd):
    """Tolerance 1e-6 after 25 steps, in which weights move by 1e-2; they are bit-equal on x86."""
    expected = _weights(peers.trainer_of("leanest", "tuned")(task))
    found = _weights(_trainer(peer, "tuned")(task))
    assert (expected - _weights(task.network())).abs().max() > 1e-2
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", peers.NAMES)
def test_defaults_learn(peer, task, capfd):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _trainer(peer, "default")(task).eval()
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(network(task.inputs), task.labels).item()
        start = torch.nn.functional.cross_entropy(task.network()(task.inputs), task.labels).item()
    assert loss < start - 0.01


def test_tasks_have_the_stated_sizes(task):
    small = tasks.small_task()
    assert (small.num_steps, small.steps_per_epoch) == (1500, 25)
    assert sum(p.numel() for p in small.network().parameters()) == 13_146
    assert small.shortened(2).num_steps == 50
    assert torch.equal(_weights(task.network()), _weights(task.network()))


def test_the_cosine_falls_from_one_to_zero():
    assert [tasks.cosine(step, 4) for step in range(5)] == pytest.approx([1, 0.854, 0.5, 0.146, 0],
                                                                         abs=1e-3)  # fmt: skip


def test_probes_reach_the_same_head():
    task = tasks.small_task(num_epochs=2)
    heads = {way: _weights(probe(task)) for way, probe in cached_features.WAYS.items()}
    first, second = heads.values()
    assert (first - _weights(task.network()[1])).abs().max() > 1e-2
    assert torch.allclose(first, second, rtol=0, atol=1e-5)


def test_scores_of_detections_are_the_same_in_each_way():
    if importlib.util.find_spec("torchmetrics") is None:
        pytest.skip("torchmetrics is not installed: pip install -c constraints.txt -e '.[bench]'")
    boxes = detection_scores.made_up(30)
    reference, *others = (way(*boxes) for way in detection_scores.WAYS.values())
    assert 0.1 < reference["map50"] < 0.9
    for found in others:
        assert {name: found[name] for name in reference} == pytest.approx(reference, abs=1e-6)


def test_both_ways_train_the_same_detector(monkeypatch):
    monkeypatch.setattr(detection_training, "NUM_EPOCHS", 1)
    splits = detection_training.scenes()
    assert (len(splits.train), splits.val) == (48, None)
    first, second = (
        _weights(train(detection_training.start(), splits))
        for train in detection_training.WAYS.values()
    )
    head = build_head(detection_training.start(), splits.train, seed=tasks.SEED)
    begun = _weights(nn.ModuleList([detection_training.start().encoder, head.detector.head]))
    assert (first - begun).abs().max() > 1e-3
    assert torch.allclose(first, second, rtol=0, atol=1e-4)


def _tiny_encoder():
    """A small encoder of texts without dropout, whose draws each trainer makes for itself."""
    config = {
        "vocab_size": tiny_tokenizer().get_vocab_size(),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    card = BackboneCard("tiny", "tiny", "language", 16, "MIT", "tests")
    return bert_backbone(
        card, config, tiny_tokenizer(), weights=None, seed=0, max_length=64, pooling="mean"
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("strategy", text_training.STRATEGIES)
def test_trainer_and_fit_train_the_same_encoder_of_texts(strategy, monkeypatch, capfd):
    monkeypatch.setattr(text_training, "NUM_TEXTS", 64)
    monkeypatch.setattr(text_training, "LEARNING_RATE", 1e-3)
    splits = text_training.short_texts()
    assert (len(splits.train), splits.val) == (64, None)
    found = [
        _weights(train(_tiny_encoder(), splits, strategy)) for train in text_training.WAYS.values()
    ]
    for first, second in (found[:2], found[2:]):
        assert torch.allclose(first, second, rtol=0, atol=1e-5)
    assert (found[0] - found[2]).abs().max() > 1e-4  # other items met in a batch
    begun = _weights(_tiny_encoder().encoder)
    assert strategy == "lora" or (found[0][: len(begun)] - begun).abs().max() > 1e-3


@pytest.mark.filterwarnings("ignore")
def test_both_ways_tell_the_libraries_apart_by_a_frozen_encoder(monkeypatch):
    monkeypatch.setattr(text_training, "NUM_TEXTS", 32)
    splits = text_training.short_texts()
    regression, model = (train(_tiny_encoder(), splits) for train in text_training.PROBES.values())
    assert regression.coef_.shape == (1, 16)
    assert model.head.linear.weight.shape == (2, 16)


def test_the_texts_are_real_short_and_all_different():
    splits = text_training.short_texts()
    texts = list(splits.train.inputs)
    assert len(set(texts)) == len(texts) == 256
    assert splits.train.class_counts() == {"numpy": 128, "torch": 128}
    assert all(len(text.split()) in text_training.NUM_WORDS for text in texts)


def test_the_verdict_on_texts_is_the_worse_of_two_pairs():
    trainer, fit, grouped_trainer, grouped_fit = text_training.WAYS
    found = {trainer: _seconds(2.0), fit: _seconds(1.8)}
    found |= {grouped_trainer: _seconds(1.0), grouped_fit: _seconds(0.99)}
    assert "met: 0.900, by length 0.990." in text_training._verdict(found)
    found[grouped_fit] = _seconds(1.1)
    assert "MISSED: 0.900, by length 1.100." in text_training._verdict(found)


def test_ten_times_the_data_are_ten_times_the_steps():
    test = tasks.digit_splits(32, 0).test
    steps = [
        len(growth.divide_and_fit(growth.many_digits(num), test).history.losses)
        for num in (200, 2000)
    ]
    assert steps[0] == 25
    assert steps[1] / steps[0] == pytest.approx(10, rel=0.03)


def test_many_digits_repeat_the_digits_with_other_noise():
    many, few = growth.many_digits(1000), growth.many_digits(100)
    digits = tasks.digit_splits(800, 0).train
    assert torch.equal(many.labels[800:], digits.labels[:200])
    assert (many.inputs[800:] - many.inputs[:200]).abs().max() > 0.01
    assert (few.inputs - digits.inputs[:100]).abs().max() <= 0.1
    assert len(set(many.ids)) == 1000


def _seconds(*walls):
    return [timing.Seconds(wall, 2 * wall) for wall in walls]


def test_a_ratio_is_the_median_over_rounds_not_the_ratio_of_medians():
    found = {"a": _seconds(1.0, 10.0, 100.0), "b": _seconds(4.0, 20.0, 100.0)}
    ratio = timing.ratios(found, reference="a")["b"]
    assert ratio == timing.Ratio(wall=2.0, low=1.0, high=4.0, cpu=2.0)
    assert timing.ratios(found, reference="b")["b"].wall == 1.0
    shuffled = {name: [times[i] for i in (2, 0, 1)] for name, times in found.items()}
    assert timing.ratios(shuffled, reference="a") == timing.ratios(found, reference="a")


def test_rounds_of_different_numbers_are_refused():
    with pytest.raises(ValueError, match="zip"):
        timing.ratios({"a": _seconds(1.0), "b": _seconds(1.0, 2.0)}, reference="a")


def test_contestants_run_in_turn_in_processes_of_their_own():
    contestants = {
        "short": timing.Contestant(functools.partial, (time.sleep, 0.02)),
        "long": timing.Contestant(functools.partial, (time.sleep, 0.1)),
    }
    found = timing.measure(contestants, rounds=2, warm_ups=0)
    assert [len(times) for times in found.values()] == [2, 2]
    assert all(0.02 <= s.wall < 0.1 for s in found["short"])
    assert all(s.wall >= 0.1 > s.cpu for s in found["long"])


def test_a_contestant_that_fails_is_heard():
    contestants = {"broken": timing.Contestant(functools.partial, (int, "x"))}
    with pytest.raises(RuntimeError, match="invalid literal for int.*'x'"):
        timing.measure(contestants, rounds=1)


def test_a_fresh_process_gives_its_value_back():
    assert timing.in_fresh_process(divmod, 7, 2) == (3, 1)


def test_turns_shift():
    assert [timing._rotated(["a", "b", "c"], turn) for turn in range(4)] == [
        ["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"],
    ]  # fmt: skip


def test_a_table_lines_up():
    lines = timing.table(["", "time"], [["fit", "1.07"], ["the loop", "1.00"]]).splitlines()
    assert lines == [
        "|          | time |", "| -------- | ---: |",
        "| fit      | 1.07 |", "| the loop | 1.00 |",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "way", "rival", "fit", "verdict"),
    [
        ("small", "tuned", "with_accelerate", 1.31, "met: 1.00"),
        ("small", "tuned", "with_accelerate", 1.50, "MISSED: 1.15"),
        ("small", "default", "leanest", 0.95, "met: 0.95"),
        ("resnet18", "tuned", "with_lightning", 0.90, "met: 1.00"),
        ("resnet18", "default", "with_lightning", 0.99, "MISSED: 1.10"),
    ],
)
def test_verdicts(task, way, rival, fit, verdict):
    found = {peer: _seconds(2.0) for peer in peers.NAMES}
    found["leanest"], found["with_companion"] = _seconds(1.0), _seconds(fit)
    found["with_accelerate"], found["with_lightning"] = _seconds(1.31), _seconds(0.9)
    text = training_loops._verdict(found, task, way)
    assert verdict in text and peers.NAMES[rival] in text


def test_starting_python_takes_time():
    assert 0 < imports.seconds_of("pass").wall < 30


def test_each_question_takes_the_rounds():
    assert len(run.QUESTIONS) == 8
    for ask in run.QUESTIONS.values():
        inspect.signature(ask).bind(5)


def test_an_unknown_question_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run.py", "colour"])
    with pytest.raises(SystemExit, match="2"):
        run.main()
    assert "questions are small, resnet18, cached_features, imports, growth" in (
        capsys.readouterr().err
    )
