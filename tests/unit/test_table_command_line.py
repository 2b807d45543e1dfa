"""The command line on tables of texts: finetune to a classifier, to classes of words, to spans."""

import dataclasses
import json
import re
import warnings

import pytest

import companion
from companion import backbones
from companion.backbones.bert import bert_backbone, tiny_tokenizer
from companion.checks import CompanionError
from companion.command_line import build_parser, finetune, kinds, main
from companion.datasets import load_table
from companion.model_files import load_model
from companion.registry import BACKBONES, BackboneCard
from companion.splits import fresh_readings

TINY = BackboneCard("tiny_bert", "Tiny BERT", "language", 16, "MIT", "random weights")
CONFIG = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}


def load_tiny(card, *, pretrained, seed, max_length, pooling):
    """A random BERT of one layer, whether weights were asked for or not."""
    tokenizer = tiny_tokenizer()
    config = CONFIG | {"vocab_size": tokenizer.get_vocab_size()}
    length = max_length or 64
    return bert_backbone(
        card,
        config,
        tokenizer,
        weights=None,
        seed=seed,
        max_length=length,
        pooling=pooling or "mean",
    )


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """A backbone of texts that costs nothing, known by its name while these tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BACKBONES, "_cards", dict(BACKBONES._cards))
        patch.setattr(backbones, "LOADERS", dict(backbones.LOADERS))
        backbones.register_backbone(TINY, load_tiny)
        yield TINY.name


def call(path, out, *options, backbone="tiny_bert"):
    """Call `finetune` with a tiny backbone and a few steps."""
    named = ("--backbone", backbone) if backbone else ()
    steps = ("--seeds", "2", "--epochs", "1", "--min-steps", "4", "--device", "cpu")
    with fresh_readings():
        return main(["finetune", str(path), *named, *steps, "--out", str(out), *options])


def write_reviews(path, *, pairs=False):
    """Short texts of two classes, under other names of columns than the default."""
    rows = ["body;stars;text_pair" if pairs else "body;stars"]
    for n in range(20):
        rows += [f"very good {n};5" + ";indeed" * pairs, f"so bad {n};1" + ";alas" * pairs]
    path.write_text("\n".join(rows))
    return path


def write_sentences(path, *, labels=("B-PER", "O")):
    words = ["\n".join((f"Ada{n} {labels[0]}", f"slept {labels[1]}")) for n in range(30)]
    path.write_text("\n\n".join(words))
    return path


COLUMNS = ("--text-column", "body", "--label-column", "stars")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A table of texts and what `finetune` wrote for it."""
    root = tmp_path_factory.mktemp("finetune")
    path = write_reviews(root / "reviews.csv")
    assert call(path, root / "out", *COLUMNS, "--strategies", "probe", "lora") == 0
    return root


def test_finetune_makes_a_classifier_of_a_table(finished):
    out = finished / "out"
    written = sorted(path.name for path in out.iterdir())
    assert written == ["model.safetensors", "report.md", "study.json"]
    page = (out / "report.md").read_text()
    for name in ("majority", "scratch", "probe", "lora"):
        assert re.search(rf"^\| {name} \| all \| 2 \|", page, re.MULTILINE), name
    assert "Texts from `" in page and "texts: train 26, val 6, test 8" in page
    assert "Read as CSV." in page and "image" not in page.lower()
    best = finetune.best_row(companion.study.load(out / "study.json"))
    assert f"Chosen on val: {best.strategy}, accuracy" in page and "other test texts:" in page


def test_the_saved_model_is_the_one_that_was_judged(finished):
    out = finished / "out"
    study = companion.study.load(out / "study.json")
    best = finetune.best_row(study)
    seed = int(re.search(r"with seed (\d)", (out / "report.md").read_text()).group(1))
    splits = load_table(finished / "reviews.csv", text="body", label="stars")
    with fresh_readings():
        scores = companion.evaluate(load_model(out / "model.safetensors"), splits.test)
    assert scores.predictions.tolist() == list(study.run(best.strategy, seed).predictions)


def run_the_code(out, monkeypatch):
    """Run the code of a report, without its folder, and return its names."""
    code = re.search(r"```python\n(.*?)```", (out / "report.md").read_text(), re.S)
    monkeypatch.chdir(out)
    found = {}
    exec(code.group(1), found)
    return found


def test_the_code_in_the_report_runs(finished, monkeypatch):
    found = run_the_code(finished / "out", monkeypatch)
    assert len(found["names"]) == 2 and set(found["names"]) <= {"1", "5"}


@pytest.mark.parametrize(
    ("kind", "name", "labels", "metric"),
    [
        ("PAIRS", "names", None, "accuracy"),
        ("TOKENS", "names", ("name", "verb"), "accuracy of words"),
        ("SPANS", "spans", ("B-PER", "O"), "F1 of spans"),
    ],
)
def test_pairs_words_and_spans(tmp_path, monkeypatch, kind, name, labels, metric):
    if labels is None:
        path, options = write_reviews(tmp_path / "pairs.csv", pairs=True), COLUMNS
    else:
        path, options = write_sentences(tmp_path / "names.conll", labels=labels), ()
    assert call(path, tmp_path / "out", *options, "--strategies", "probe", "--seeds", "1") == 0
    page = (tmp_path / "out" / "report.md").read_text()
    assert re.search(rf"Chosen on val: \w+, {metric} [01]?\.\d\d\d there", page)
    found = run_the_code(tmp_path / "out", monkeypatch)
    assert len(found[name]) == 2
    if kind == "TOKENS":
        assert [len(row) for row in found["names"]] == [3, 3]
        assert set(sum(found["names"], [])) <= {"name", "verb"}
    task = {"PAIRS": "classification"}.get(kind, kind.lower())
    assert found["model"].head.task == found["new"].task == task
    splits = load_table(path, **({"text": "body", "label": "stars"} if labels is None else {}))
    assert kinds.kind_of(splits) is getattr(kinds, kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.csv", "TEXTS"), ("a.CSV", "TEXTS"), ("a.conll", "TEXTS"), ("a.xlsx", "TEXTS")]
    + [("a.zip", "CLASSES"), ("a", "CLASSES")],
)
def test_a_table_is_told_by_its_ending(tmp_path, name, kind):
    assert kinds.recognise(str(tmp_path / name)) is getattr(kinds, kind), "not there"
    (tmp_path / name).write_text("x")
    expected = kinds.TEXTS if kind == "TEXTS" else kinds.BOXES
    assert kinds.recognise(str(tmp_path / name)) is expected


def test_a_folder_of_parts_is_told_from_one_of_images(tmp_path):
    assert kinds.recognise(str(tmp_path)) is kinds.CLASSES
    (tmp_path / "train.csv").write_text("file,class\n")
    assert kinds.recognise(str(tmp_path)) is kinds.TEXTS
    (tmp_path / "train").mkdir()
    assert kinds.recognise(str(tmp_path)) is kinds.CLASSES


def test_texts_have_a_recipe_of_their_own():
    options = build_parser().parse_args(["finetune", "x.csv"])
    recipe = finetune._recipe(options, kinds.TEXTS)
    assert (recipe.epochs, recipe.learning_rate) == (4, 5e-5)
    assert dataclasses.replace(recipe, epochs=30, learning_rate=1e-3) == companion.training.Recipe()
    options = build_parser().parse_args(
        ["finetune", "x.csv", "--epochs", "7", "--learning-rate", "1e-4"]
    )
    recipe = finetune._recipe(options, kinds.TEXTS)
    assert (recipe.epochs, recipe.learning_rate) == (7, 1e-4)
    assert kinds.TEXTS.backbone == "minilm"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "column 'text' of"),
        ((*COLUMNS[:3], "star"), "did you mean 'stars'? name the right one with label= (on the co"),
        ((*COLUMNS, "--image-size", "32"), "--image-size: got a table of texts, "),
        ((*COLUMNS, "--repair"), "repair: got True for "),
        ((*COLUMNS, "--labels-per-class", "4"), "--labels-per-class: got 4; expected 5 or more"),
        (
            (*COLUMNS, "--backbone", "glyphnet"),
            "--backbone: got 'glyphnet', one of vision, for a t",
        ),
        ((*COLUMNS, "--backbone", "minilmm"), "did you mean 'minilm'?"),
    ],
)
def test_finetune_refuses(finished, tmp_path, capsys, options, message):
    assert call(finished / "reviews.csv", tmp_path / "out", *options) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and len(error.splitlines()) == 1


def test_a_table_that_is_not_there_or_of_another_kind(tmp_path, capsys):
    assert call(tmp_path / "no.csv", tmp_path / "out") == 1
    assert "table of texts: got" in capsys.readouterr().err
    (tmp_path / "t.xlsx").write_text("x")
    assert call(tmp_path / "t.xlsx", tmp_path / "out") == 1
    assert "got the ending '.xlsx'" in capsys.readouterr().err


@pytest.mark.parametrize("option", [COLUMNS[:2], COLUMNS[2:], ("--repair",), ("--leave-out",)])
def test_options_of_tables_are_refused_for_images(tmp_path, capsys, option):
    (tmp_path / "flowers").mkdir()
    assert call(tmp_path / "flowers", tmp_path / "out", *option, backbone=None) == 1
    expected = f"error: {option[0]}: got a folder of images a class, "
    assert capsys.readouterr().err.startswith(expected)
    assert call(tmp_path / "flowers", tmp_path / "out") == 1
    assert "--backbone: got 'tiny_bert', one of language, for a folder" in capsys.readouterr().err


def test_words_cannot_be_balanced_and_spans_are_repaired(tmp_path, capsys):
    path = write_sentences(tmp_path / "names.conll", labels=("I-PER", "O"))
    assert call(path, tmp_path / "out") == 1
    assert re.search(r"line 1: got 'I-PER'.*\(and 29 more\).*--repair", capsys.readouterr().err)
    assert call(path, tmp_path / "out", "--repair", "--balanced") == 1
    assert "--balanced: got sentences with spans, " in capsys.readouterr().err
    assert call(path, tmp_path / "out", "--repair", "--labels-per-class", "4") == 1
    assert "got 4; expected 5 or more labelled sentences: with fewer" in capsys.readouterr().err


def test_copies_are_told_as_a_note(finished, tmp_path, capsys):
    path = tmp_path / "twice.csv"
    path.write_text((finished / "reviews.csv").read_text() + "\nvery good 3;5\n")
    assert call(path, tmp_path / "out", *COLUMNS, "--labels-per-class", "4") == 1
    error = capsys.readouterr().err
    assert re.search(r"^note: 1 texts are used once .*twice.csv, line 42 has", error)
    path.write_text(path.read_text().replace("so bad 3;1", "very good 3;1"))
    few = (*COLUMNS, "--labels-per-class", "4")
    assert call(path, tmp_path / "out", *few) == 1
    assert re.search(r"^error: texts at .*with two labels.*--leave-out", capsys.readouterr().err)
    assert call(path, tmp_path / "out", *few, "--leave-out") == 1
    assert re.search(r"^note: 1 texts are left out.*\nerror: --labels", capsys.readouterr().err)


def test_data_fetch_of_a_table_of_ones_own_is_refused(capsys):
    assert main(["data", "fetch", "table"]) == 1
    assert 'load your own texts with load_dataset("table", path=...)' in capsys.readouterr().err


def test_minilm_is_taken_where_no_backbone_is_named(tmp_path):
    path = tmp_path / "r.csv"
    rows = [f"what a lovely film {n},good\na waste of an evening {n},bad" for n in range(6)]
    path.write_text("text,label\n" + "\n".join(rows))
    try:
        companion.load_backbone("minilm")
    except CompanionError as error:
        pytest.skip(str(error))
    options = ("--strategies", "probe", "--labels-per-class", "5", "--seeds", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert call(path, tmp_path / "out", *options, "--min-steps", "1", backbone=None) == 0
    config = json.loads((tmp_path / "out" / "study.json").read_text())["config"]
    assert config["backbone"] == "minilm"
