"""Public texts: what is read of small files of their form, and what is said of broken ones."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from dataclasses import replace

import pytest
import torch

from companion import assets, load_dataset
from companion.checks import CompanionError
from companion.datasets import FILES
from companion.datasets.public_texts import (
    PLAYS,
    load_shakespeare,
    load_sts2016,
    polarity,
    shakespeare,
    sts2016,
    ud_english,
    wnut17,
)
from companion.datasets.public_texts.files import numbered_sentences
from companion.registry import DATASETS

MODULES = (polarity, wnut17, ud_english, sts2016, shakespeare)
LABELLED = (polarity, wnut17, ud_english)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a function that puts contents where a module's files are looked for."""
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "_download", lambda *args: pytest.fail("asked the network"))
    (tmp_path / "data").mkdir()

    def put(module, *contents):
        files = []
        for file, content in zip(module.FILES, contents, strict=True):
            path = tmp_path / "data" / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            files.append(replace(file, sha256=sha256, size_bytes=len(content)))
        monkeypatch.setattr(module, "FILES", tuple(files))
        return [tmp_path / "data" / file.name for file in files]

    return put


def zipped(tmp_path, members):
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path.read_bytes()


# what holds for all


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.CARD.name)
def test_addresses_are_of_a_fixed_revision(module):
    for file in module.FILES:
        parts = file.url.removeprefix("https://raw.githubusercontent.com/").split("/")
        assert len(parts[2]) == 40 and set(parts[2]) <= set("0123456789abcdef")
        assert file.url.rpartition("/")[2] == file.name.rpartition("/")[2]
        assert file.licence in module.CARD.licence
        assert len(file.sha256) == 64 and file.size_bytes > 100_000
    assert module.CARD.modality == "language"
    assert module.CARD.size_bytes == sum(file.size_bytes for file in module.FILES)
    assert [sha256 for _, sha256 in module.CARD.sha256] == [file.sha256 for file in module.FILES]


def test_labelled_sets_are_registered_with_their_files():
    for module in LABELLED:
        assert DATASETS.get(module.CARD.name) is module.CARD
        assert FILES[module.CARD.name] is module.FILES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.CARD.name)
def test_a_missing_file_says_where_to_get_it_and_where_to_put_it(module, tmp_path, monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    monkeypatch.setattr(assets, "FIRST_PAUSE_SECONDS", 0.0)
    file = replace(module.FILES[0], url="http://127.0.0.1:9/here")
    monkeypatch.setattr(module, "FILES", (file, *module.FILES[1:]))
    load = {"sts2016": load_sts2016, "shakespeare": load_shakespeare}.get(
        module.CARD.name, lambda: module.load()
    )
    with pytest.raises(CompanionError) as caught:
        load()
    message = str(caught.value)
    for part in (
        f"file {file.name}: ",
        "from http://127.0.0.1:9/here",
        f"under the licence {file.licence}",
        f"SHA-256 {file.sha256}",
        f"put it at {tmp_path / file.name}",
    ):
        assert part in message


@pytest.mark.parametrize("module", LABELLED, ids=lambda module: module.CARD.name)
def test_a_path_is_refused(module, tmp_path):
    with pytest.raises(CompanionError, match=f"path of the dataset '{module.CARD.name}': got .*"):
        load_dataset(module.CARD.name, path=tmp_path)


@pytest.mark.parametrize("module", LABELLED, ids=lambda module: module.CARD.name)
def test_rehearsal_needs_no_file(module, monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    splits = load_dataset(module.CARD.name, labels_per_class=128)
    assert splits.train.task == module.CARD.task and splits.train.classes == module.CARD.classes
    assert len(splits.test) == 8 and list(tmp_path.iterdir()) == []
    again = load_dataset(module.CARD.name, labels_per_class=128)
    assert again.train.fingerprint() == splits.train.fingerprint()
    for text, labels in zip(splits.train.inputs, splits.train.labels, strict=True):
        assert len(labels) == len(text) if module is not polarity else isinstance(text, str)


def test_rehearsal_of_what_has_no_labels(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    assert len(load_sts2016()) == 8
    assert set(load_shakespeare()) == set(PLAYS)


# sentences, one word a line


def test_a_line_of_blanks_ends_a_sentence_and_numbers_count_every_line():
    content = b"\na\tx\nb\ty\n\t\n\n  \nc\tz\r\n\n"
    found = list(numbered_sentences(content, what="made"))
    assert found == [[(2, "a\tx"), (3, "b\ty")], [(7, "c\tz")]]
    assert list(numbered_sentences(b"a\tx", what="made")) == [[(1, "a\tx")]]
    assert list(numbered_sentences(b"", what="made")) == []


def test_another_encoding_is_told_with_the_line():
    with pytest.raises(CompanionError, match="made: got a byte that is no UTF-8, in line 2"):
        list(numbered_sentences("a\tO\ncafé\tO\n".encode("latin-1"), what="made"))


# sentence polarity


def polarity_zip(tmp_path, negative, positive):
    folder = "sentence_polarity/rt-polarity"
    members = {f"{folder}.neg": negative, f"{folder}.pos": positive}
    return zipped(tmp_path, {name: "".join(f"{x} \n" for x in xs) for name, xs in members.items()})


@pytest.fixture
def tiny_polarity(tmp_path, monkeypatch, place):
    """Ten lines of each class, of which three of each are test; two differ in punctuation only."""
    negative = [f"dull film number {n} ." for n in range(9)] + ["' dull film number 3 ! '"]
    place(polarity, polarity_zip(tmp_path, negative, [f"warm {n}" for n in range(10)]))
    monkeypatch.setattr(polarity, "NUM_TEST_PER_CLASS", 3)
    return negative


def test_polarity_is_parted_by_the_words_of_a_line(tiny_polarity, tmp_path, place):
    source = polarity.load()
    assert source.pool.class_counts() == {"negative": 7, "positive": 7}
    assert source.test.class_counts() == {"negative": 3, "positive": 3}
    together = dict(zip(source.pool.ids + source.test.ids, source.pool.inputs + source.test.inputs,
                        strict=True))  # fmt: skip
    assert together["sentence_polarity/negative/0010"] == tiny_polarity[9]
    assert together["sentence_polarity/positive/0001"] == "warm 0"
    held = {polarity.letters_only(text) for text in source.test.inputs}
    place(polarity, polarity_zip(tmp_path, tiny_polarity[::-1], [f"warm {n}" for n in range(10)]))
    assert {polarity.letters_only(text) for text in polarity.load().test.inputs} == held


def test_lines_that_differ_in_punctuation_have_the_same_rank(tiny_polarity):
    first, second = (1, "dull film number 3 .", 0), (10, "' dull film number 3 ! '", 0)
    assert polarity._rank(first) == polarity._rank(second)
    assert polarity._rank(first) != polarity._rank((2, "dull film number 4 .", 0))


def test_an_empty_line_of_polarity_is_told_with_its_number(tmp_path, place):
    place(polarity, polarity_zip(tmp_path, ["a", "", "c"], ["d"]))
    with pytest.raises(CompanionError, match=r"rt-polarity\.neg, line 2: got nothing; expected a"):
        polarity.load()


def test_a_zip_without_its_member_is_told(tmp_path, place):
    place(polarity, zipped(tmp_path, {"other.txt": "x"}))
    with pytest.raises(CompanionError, match="a zip that holds sentence_polarity/rt-polarity.neg"):
        polarity.load()
    place(polarity, b"no zip")
    with pytest.raises(CompanionError, match="got File is not a zip file"):
        polarity.load()


# WNUT 2017

TRAIN = "Anna\tB-person\nLee\tI-person\nis\tO\n\t\nin\tO\nRome\tB-location\n"


def test_wnut_words_and_labels_stay_together(place):
    place(wnut17, TRAIN.encode(), b"a\tO\n\nb\tO\n", "caf\u00e9\tB-group\n".encode())
    source = wnut17.load()
    assert list(source.pool.inputs) == [("Anna", "Lee", "is"), ("in", "Rome")]
    names = [[wnut17.CARD.classes[i] for i in row] for row in source.pool.labels]
    assert names == [["B-person", "I-person", "O"], ["O", "B-location"]]
    assert source.pool.ids == ("wnut17/train/0001", "wnut17/train/0002")
    assert source.val_pool.ids == ("wnut17/dev/0001", "wnut17/dev/0002")
    assert source.test.inputs == [("caf\u00e9",)] and source.test.ids == ("wnut17/test/0001",)
    assert {split.task for split in (source.pool, source.val_pool, source.test)} == {"spans"}


@pytest.mark.parametrize(
    "line",
    ["Rome", "Rome\tB-city", "\tO", "Rome O", "Rome\tO\tO", "Rome\tb-location"],
)
def test_a_line_that_is_no_word_and_label_is_told_with_its_number(place, line):
    place(wnut17, f"in\tO\n\n{line}\nis\tO\n".encode(), b"a\tO\n", b"a\tO\n")
    with pytest.raises(CompanionError, match=r"wnut17train\.conll, line 3: got '.*a label such as"):
        wnut17.load()


# Universal Dependencies


def conllu(sent_id, *rows):
    lines = [f"{number}\t{word}\t_\t{tag}" + "\t_" * 6 for number, word, tag in rows]
    return "\n".join([f"# sent_id = {sent_id}", "# text = ...", *lines]) + "\n\n"


DONT = conllu(
    "weblog-a-0001",
    ("1-2", "don't", "_"),
    (1, "do", "AUX"),
    (2, "n't", "PART"),
    (3, "go", "VERB"),
    ("3.1", "go", "VERB"),
)
LATER = "# newdoc id = late\n" + conllu("email-b-0007", (1, "Later", "ADV"), (2, "!", "PUNCT"))
OTHER = conllu("answers-c-0001", (1, "#1", "NOUN"))


def test_ranges_and_empty_nodes_are_no_words(place):
    place(ud_english, (DONT + LATER).encode(), OTHER.encode(), OTHER.encode())
    source = ud_english.load()
    assert list(source.pool.inputs) == [("do", "n't", "go"), ("Later", "!")]
    tags = [[ud_english.UPOS[i] for i in row] for row in source.pool.labels]
    assert tags == [["AUX", "PART", "VERB"], ["ADV", "PUNCT"]]
    assert source.pool.ids == ("ud_english/weblog-a-0001", "ud_english/email-b-0007")
    assert source.pool.groups == ("weblog-a", "email-b")
    assert source.val_pool.inputs == [("#1",)] and source.val_pool.task == "tokens"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DONT.replace("\tAUX", "\tNOUNS"), "line 4: got '1.tdo.*a part of speech such as NOUN"),
        (DONT.replace("\tPART", " PART"), "line 5: got .*10 columns with tabs between them"),
        (DONT.replace("3\tgo", "4\tgo", 1), "line 6: got '4.tgo.*word 3"),
        (DONT.replace("# sent_id = ", "# id = "), "sentence at line 1: got 0 lines that begin"),
        (DONT.rstrip("\n") + "\n" + LATER, "sentence at line 1: got 2 lines that begin with '# se"),
    ],
)
def test_what_is_no_conllu_is_told_with_its_line(place, text, message):
    place(ud_english, text.encode(), OTHER.encode(), OTHER.encode())
    with pytest.raises(CompanionError, match=rf"en_ewt-ud-train\.conllu, {message}"):
        ud_english.load()


def test_a_packed_copy_is_taken_if_its_content_is_the_public_one(place):
    paths = place(ud_english, (DONT + LATER).encode(), OTHER.encode(), OTHER.encode())
    packed = [path.with_name(f"{path.name}.gz") for path in paths]
    for path, target in zip(paths, packed, strict=True):
        target.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert ud_english.load().pool.inputs[0] == ("do", "n't", "go")
    packed[0].write_bytes(gzip.compress(DONT.encode()))
    with pytest.raises(CompanionError, match=rf"{packed[0]}: got another content; expected SHA-25"):
        ud_english.load()
    packed[0].write_bytes(b"no gzip")
    with pytest.raises(CompanionError, match=r"gz: got Not a gzipped file.*delete it and get http"):
        ud_english.load()


# STS 2016

GRADED = '\tnot graded\tat all\n5\tIt rains. \tRain falls.\n2.5\ta "b\tc\n0\td\te\n'


def test_graded_pairs_are_those_with_a_grade(place):
    place(sts2016, GRADED.encode())
    pairs = load_sts2016()
    assert pairs.first == ("It rains.", 'a "b', "d")
    assert pairs.second == ("Rain falls.", "c", "e")
    assert torch.equal(pairs.scores, torch.tensor([1.0, 0.5, 0.0])) and pairs.kinds is None
    assert pairs.ids == tuple(f"sts2016/postediting/{n:04d}" for n in (2, 3, 4))


@pytest.mark.parametrize(
    "line", ["3\tone", "six\ta\tb", "5.5\ta\tb", "-1\ta\tb", "3\ta\t ", "nan\ta\tb"]
)
def test_a_line_that_is_no_pair_is_told_with_its_number(place, line):
    place(sts2016, f"{GRADED}{line}\n".encode())
    with pytest.raises(CompanionError, match=r"test\.tsv, line 5: got '.*a grade from 0 to 5"):
        load_sts2016()


# Shakespeare

PLAY = """<PLAY><TITLE>T</TITLE><ACT><TITLE>ACT I</TITLE><STAGEDIR>Enter A</STAGEDIR>
<SPEECH><SPEAKER>ANNA</SPEAKER><SPEAKER>BEN</SPEAKER>
<LINE>Who's <STAGEDIR>Aside</STAGEDIR> there?</LINE><STAGEDIR>Exit</STAGEDIR>
<LINE>
  Speak &amp; stay.</LINE></SPEECH>
<SPEECH><SPEAKER>CLEO</SPEAKER><LINE>No.</LINE></SPEECH></ACT></PLAY>"""


def plays_zip(tmp_path, text):
    return zipped(tmp_path, {f"shakespeare/{stem}.xml": text for stem in PLAYS.values()})


def test_plays_are_speeches_without_stage_directions(tmp_path, place):
    place(shakespeare, plays_zip(tmp_path, PLAY))
    plays = load_shakespeare()
    assert list(plays) == list(PLAYS) and len(plays) == 8
    assert plays["Hamlet"] == "ANNA\nBEN\nWho's there?\nSpeak & stay.\n\nCLEO\nNo.\n"
    spoken = load_shakespeare(with_speakers=False)["Hamlet"]
    assert spoken == "Who's there?\nSpeak & stay.\n\nNo.\n"


def test_a_broken_play_is_told(tmp_path, place):
    place(shakespeare, plays_zip(tmp_path, "<PLAY><ACT></PLAY>"))
    with pytest.raises(CompanionError, match=r"shakespeare/a_and_c\.xml: got mismatched tag"):
        load_shakespeare()
