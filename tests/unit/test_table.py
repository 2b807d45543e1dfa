"""companion.datasets.tables: the reader's own texts from CSV, TSV, JSONL and CoNLL files."""

import csv
import hashlib
import io
import json
import warnings

import pytest

from companion import load_dataset
from companion.checks import CompanionError
from companion.datasets import load_table, tables
from companion.splits import read_spans

ROWS = [(f"a cold soup, number {n}", "bad") for n in range(15)] + [
    (f'they said "splendid" {n} times\nand meant it', "good") for n in range(10)
]


def write_csv(path, rows=ROWS, header=("text", "label"), *, separator=",", encoding="utf-8"):
    """A table as the csv module writes it."""
    letters = io.StringIO()
    csv.writer(letters, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    path.write_bytes(letters.getvalue().encode(encoding))
    return path


@pytest.fixture
def reviews(tmp_path):
    """Fifteen bad and ten good reviews; texts hold commas, quotes and ends of lines."""
    return write_csv(tmp_path / "reviews.csv")


def everything(splits):
    """All texts of splits with the names of their classes."""
    parts = [splits.train, splits.val, splits.test.open("a test")]
    return [
        (text, part.classes[label])
        for part in parts
        for text, label in zip(part.inputs, part.labels.tolist(), strict=True)
    ]


# Columns


def test_a_table_becomes_splits(reviews):
    drawn = load_dataset("table", path=str(reviews))
    assert (drawn.card.modality, drawn.card.task) == ("language", "classification")
    assert drawn.card.classes == ("bad", "good") and drawn.card.title == "reviews"
    assert drawn.card.notes == "Read as CSV." and drawn.card.source == str(reviews)
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (16, 4, 5)
    assert sorted(everything(drawn)) == sorted(ROWS)
    assert not drawn.grouped


def test_an_item_is_named_by_its_file_and_first_line(reviews):
    pool = tables.load(reviews).pool
    of_text = dict(zip(pool.inputs, pool.ids, strict=True))
    lines = {text: 2 + n for n, (text, _) in enumerate(ROWS[:15])}
    lines |= {text: 17 + 2 * n for n, (text, _) in enumerate(ROWS[15:])}  # two lines each
    assert of_text == {text: f"reviews.csv:{lines[text]}" for text in of_text}


def test_test_is_a_fifth_of_each_class_by_its_texts(reviews, tmp_path):
    first = load_dataset("table", path=reviews, seed=0)
    expected = set()
    for label, number in (("bad", 3), ("good", 2)):
        texts = [text for text, name in ROWS if name == label]
        key = {t: hashlib.sha256(json.dumps(t).encode()).hexdigest() for t in texts}
        expected |= set(sorted(texts, key=key.get)[:number])
    assert set(first.test.open("a test").inputs) == expected
    again = load_dataset("table", path=reviews, seed=7)
    assert again.test.ids == first.test.ids and again.train.ids != first.train.ids
    turned = load_dataset("table", path=write_csv(tmp_path / "turned.csv", ROWS[::-1]))
    assert set(turned.test.open("a test").inputs) == expected, "whatever the order of the rows"


def test_columns_of_other_names(tmp_path):
    rows = [(str(n % 5), f"text {n}", "x") for n in range(20)]
    path = write_csv(tmp_path / "stars.csv", rows, ("stars", "body", "note"))
    drawn = load_table(path, text="body", label="stars", labels_per_class=2, seed=3)
    assert drawn.card.classes == ("0", "1", "2", "3", "4")
    assert (drawn.labels_per_class, drawn.seed, len(drawn.train)) == (2, 3, 10)
    source = tables.load(path, columns=tables.Columns("body", "stars"))
    assert all(
        int(text.split()[1]) % 5 == int(label)
        for text, label in zip(source.pool.inputs, source.pool.labels, strict=True)
    )


@pytest.mark.parametrize("named", [True, False])
def test_pairs_of_texts(tmp_path, named):
    rows = [(f"first {n}", f"second {n}", "no" if n % 2 else "yes") for n in range(20)]
    header = ("text", "other" if named else "text_pair", "label")
    path = write_csv(tmp_path / "pairs.csv", rows, header)
    drawn = load_table(path, text_pair="other" if named else None)
    assert sorted((*pair, label) for pair, label in everything(drawn)) == sorted(rows)
    with warnings.catch_warnings():  # one text in two pairs is no copy
        warnings.simplefilter("error")
        twice = [("the same", second, label) for _, second, label in rows]
        load_table(write_csv(path, twice, header), text_pair=header[1])


def test_one_column_is_not_used_twice(tmp_path):
    rows = [(f"first {n}", f"second {n}", "no" if n % 2 else "yes") for n in range(20)]
    path = write_csv(tmp_path / "pairs.csv", rows, ("text", "text_pair", "label"))
    drawn = load_table(path, text="text_pair")
    assert sorted(everything(drawn)) == sorted((second, label) for _, second, label in rows)
    with pytest.raises(CompanionError, match=r"column of label: got 'text', which is that of text"):
        load_table(path, label="text")
    with pytest.raises(CompanionError, match=r"column of group: got 'split', which is that of the"):
        load_table(path, group="split")


# Parts and groups


def with_parts(rows, *, val="val", test="test"):
    """Rows with a third column: every fifth is test, the next val, where they are named."""
    names = (test or "train", val or "train", "train", "train", "train")
    return [(*row, names[n % 5]) for n, row in enumerate(rows)]


def test_a_column_of_parts_is_respected(tmp_path):
    rows = with_parts(ROWS, val="Validation")
    path = write_csv(tmp_path / "parts.csv", rows, ("text", "label", "split"))
    drawn = load_dataset("table", path=path)
    for part, name in ((drawn.train, "train"), (drawn.val, "Validation")):
        assert sorted(part.inputs) == sorted(text for text, _, value in rows if value == name)
    assert sorted(drawn.test.open("t").inputs) == sorted(text for text, _ in ROWS[::5])
    assert load_dataset("table", path=path, seed=4).train.ids == drawn.train.ids


def test_parts_without_a_test_get_one_from_train(tmp_path):
    rows = with_parts(ROWS, test=None)
    path = write_csv(tmp_path / "parts.csv", rows, ("text", "label", "split"))
    drawn = load_dataset("table", path=path)
    assert sorted(drawn.val.inputs) == sorted(text for text, _ in ROWS[1::5])
    assert len(drawn.test) == round(12 / 5) + round(8 / 5) and len(drawn.train) == 20 - 4


def test_parts_without_a_val_get_one_from_train(tmp_path):
    path = write_csv(tmp_path / "p.csv", with_parts(ROWS, val=None), ("text", "label", "split"))
    drawn = load_dataset("table", path=path)
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (16, 4, 5)


def test_a_folder_with_a_file_for_each_part(tmp_path):
    for n, name in enumerate(("train", "dev", "test")):
        rows = [(f"{name} {text}", label) for text, label in ROWS[: 25 - n]]
        write_csv(tmp_path / f"{name}.csv", rows)
    (tmp_path / "README.md").write_text("About these texts.")
    drawn = load_dataset("table", path=tmp_path)
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (25, 24, 23)
    assert drawn.card.title == tmp_path.name
    assert all(name.startswith("dev.csv:") for name in drawn.val.ids)
    assert all(text.startswith("test ") for text in drawn.test.open("t").inputs)


def test_groups_are_not_parted(tmp_path):
    rows = [(*row, f"author {n % 7}") for n, row in enumerate(ROWS)]
    path = write_csv(tmp_path / "g.csv", rows, ("text", "label", "group"))
    tests = set()
    for seed in range(3):
        drawn = load_dataset("table", path=path, seed=seed)
        assert drawn.grouped
        parts = [set(part.groups) for part in (drawn.train, drawn.val, drawn.test)]
        assert set.union(*parts) == {f"author {n}" for n in range(7)}
        assert sum(map(len, parts)) == 7, "each group in one part"
        assert 0.2 <= len(drawn.test) / 25 <= 0.4
        tests.add(drawn.test.ids)
    assert len(tests) == 1
    named = write_csv(tmp_path / "h.csv", rows, ("text", "label", "author"))
    assert load_table(named, group="author").grouped and not load_table(named).grouped


def test_groups_leave_each_class_in_train_and_val(tmp_path):
    names = sorted((f"g{n}" for n in range(30)), key=tables.parting.fingerprint)
    rare = {names[0], names[3]}  # by their hashes both would be test
    rows = [(f"text {n}", "rare" if n in rare else "common", n) for n in names]
    path = write_csv(tmp_path / "g.csv", rows, ("text", "label", "group"))
    source = tables.load(path)
    assert set(source.test.groups) == {n for n in names[:8] if n not in rare}
    assert source.pool.class_counts() == {"common": 22, "rare": 2}
    few = [(text, label, "g0" if n % 2 else "g1") for n, (text, label) in enumerate(ROWS)]
    with pytest.raises(CompanionError, match=r"groups in .*g.csv: got 2, too few to part each"):
        load_dataset("table", path=write_csv(path, few, ("text", "label", "group")))


# Copies


def test_copies_are_used_once_and_told(tmp_path):
    rows = [*ROWS, ROWS[3], (f"  {ROWS[4][0]} ", "bad ")]
    path = write_csv(tmp_path / "copies.csv", rows)
    with pytest.warns(
        UserWarning, match=r"2 texts are used once.*line 37 has the text of .*line 5"
    ):
        drawn = load_dataset("table", path=path)
    assert sorted(everything(drawn)) == sorted(ROWS)


def test_a_clean_table_warns_of_nothing(reviews):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_dataset("table", path=reviews)


def test_two_labels_of_a_text_are_refused(tmp_path):
    rows = [*ROWS, (ROWS[3][0], "good"), (ROWS[1][0], "good")]
    path = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(
        CompanionError,
        match=r"t\.csv, line 5 and at .*line 37: got the same text with two labels, 'bad' and "
        r"'good' \(and 1 more\)",
    ):
        load_dataset("table", path=path)


def test_texts_whose_copies_differ_are_left_out_on_request(tmp_path):
    rows = [*ROWS, (ROWS[3][0], "good"), (ROWS[3][0], "bad"), ROWS[0]]
    path = write_csv(tmp_path / "t.csv", rows)
    with pytest.warns(UserWarning) as caught:
        drawn = load_table(path, leave_out=True)
    told = [str(warning.message) for warning in caught]
    assert len(told) == 2
    assert told[0].startswith("1 texts are left out, all their copies: ") and "line 5" in told[0]
    assert told[1].startswith("1 texts are used once") and "line 2" in told[1]
    assert sorted(everything(drawn)) == sorted(row for row in ROWS if row != ROWS[3])


def test_letters_with_marks_may_be_composed_or_not(tmp_path):
    rows = [(f"texte {n}", "cafe\u0301" if n % 3 else "caf\u00e9") for n in range(9)]
    rows += [(f"th\u00e9 {n}", "autre") for n in range(9)] + [("the\u0301 4", "autre")]
    with pytest.warns(UserWarning, match=r"line 20 has the text of .*line 15"):
        drawn = load_dataset("table", path=write_csv(tmp_path / "t.csv", rows))
    assert drawn.card.classes == ("autre", "caf\u00e9") and len(everything(drawn)) == 18


def test_a_text_in_two_parts_is_refused(tmp_path):
    rows = [*with_parts(ROWS), (*ROWS[0], "train")]
    path = write_csv(tmp_path / "t.csv", rows, ("text", "label", "split"))
    with pytest.raises(CompanionError, match=r"line 2 and at .*line 37.* in test and in train"):
        load_dataset("table", path=path)
    for name in ("train", "test"):
        write_csv(tmp_path / f"{name}.csv", [*ROWS[:20], (f"{name} alone", "good")])
    with pytest.raises(CompanionError, match=r"train\.csv, line 2 and at .*test\.csv, line 2: got"):
        load_dataset("table", path=tmp_path)


def test_a_group_in_two_parts_is_refused(tmp_path):
    rows = [(*row, f"g{n}") for n, row in enumerate(with_parts(ROWS))]
    rows[1] = (*rows[1][:3], "g0")
    path = write_csv(tmp_path / "t.csv", rows, ("text", "label", "split", "group"))
    with pytest.raises(
        CompanionError, match=r"group 'g0': got .*line 2 in test and .*line 3 in val; expected each"
    ):
        load_dataset("table", path=path)


# CSV and TSV


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_read_from_the_header(tmp_path, separator):
    path = write_csv(tmp_path / "reviews.csv", separator=separator)
    assert sorted(everything(load_dataset("table", path=path))) == sorted(ROWS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_and_other_ends_of_lines(tmp_path, encoding):
    rows = [(f"soupe à l'oignon {n}", "bon" if n % 2 else "mauvais") for n in range(20)]
    path = write_csv(tmp_path / "r.csv", rows, encoding=encoding)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n \r\n")
    assert sorted(everything(load_dataset("table", path=path))) == sorted(rows)
    assert tables.load(path).pool.ids[0] in ("r.csv:2", "r.csv:3")


def test_tsv_with_and_without_quotes(tmp_path):
    letters = 'text\tlabel\n"What a film\tgood\nnever" again\tbad\n"all ""quoted"""\tgood\n'
    letters += "".join(f"plain {n}\t{'bad' if n % 2 else 'good'}\n" for n in range(20))
    path = tmp_path / "r.tsv"
    path.write_text(letters)
    found = everything(load_dataset("table", path=path))
    assert {('"What a film', "good"), ('never" again', "bad"), ('all "quoted"', "good")} < set(
        found
    )
    written = write_csv(tmp_path / "w.tsv", separator="\t")
    assert sorted(everything(load_dataset("table", path=written))) == sorted(ROWS)


HEADER = "text,label\n"
GOOD = "".join(f"fine {n},{'a' if n % 2 else 'b'}\n" for n in range(10))


@pytest.mark.parametrize(
    ("letters", "message"),
    [
        ("", r"table .*r\.csv: got an empty file"),
        (" \n\n", r"table .*r\.csv: got nothing but blanks"),
        (HEADER, r"rows of .*r\.csv: got nothing"),
        ("Text,label\nx,y\n", r"column 'text' of .*got the columns 'Text', 'label'.*mean 'Text'\?"),
        ("text,labels\nx,y\n", r"column 'label' of .*did you mean 'labels'\?.*--label-column"),
        ("text,label,text\nx,y,z\n", r"r\.csv, line 1: got the column 'text' twice"),
        (HEADER + GOOD + ",a\n  ,a\n", r"line 12: got nothing in the column 'text' \(and 1 more\)"),
        (HEADER + GOOD + "x,\n", r"r\.csv, line 12: got nothing in the column 'label'; expected a"),
        (HEADER + GOOD + "x\n", r"r\.csv, line 12: got 1 columns; expected 2, as in the header"),
        (HEADER + "x,y,z\n" + GOOD + "x\n", r"line 2: got 3 columns \(and 1 more\); expected 2"),
        (HEADER + GOOD + '"x,a\n' + GOOD, r"line 12: got broken quotes: one is opened and not"),
        (HEADER + GOOD + '"x" y,a\n', r"line 12: got broken quotes on line 12"),
        (HEADER + GOOD + '"x\ny" z,a\n', r"line 12: got broken quotes on line 13"),
        (HEADER + "x,a\ny,a\n", r"classes in .*r\.csv: got one only, 'a'; expected at least two"),
        (HEADER + GOOD + "x,c\n", r"class 'c' \(.*r\.csv, line 12\): got 1 text of it; expected"),
        (HEADER + "v,0.5\nw,0.7\nx,1.2\n", r"1 text of it \(and 2 more\).*looks like texts or sco"),
        ("text,label,split\nx,a,trian\n", r"line 2: got 'trian' in the column 'split'; expected '"),
        (
            "text,label,split\nx,a,\n",
            r"line 2: got nothing in the column 'split'; expected train o",
        ),
        ("text,label,split\nx,a,test\ny,b,test\n", r"texts in train: got nothing"),
        (
            "text,label,split\nx,a,train\ny,b,train\nz,c,test\n",
            r"line 4: got the label 'c' in test; expected one that train has, 'a', 'b'",
        ),
        (HEADER + GOOD + "x\0,a\n", r"encoding of .*r\.csv: got a zero byte on line 12"),
    ],
)
def test_a_csv_file_is_refused(tmp_path, letters, message):
    path = tmp_path / "r.csv"
    path.write_text(letters)
    with pytest.raises(CompanionError, match=message):
        load_dataset("table", path=path)


def test_a_ragged_tsv_names_the_line(tmp_path):
    path = tmp_path / "r.tsv"
    path.write_text('text\tlabel\n"x\ta\ny\tb\tc\n')
    with pytest.raises(CompanionError, match=r"r\.tsv, line 3: got 3 columns; expected 2"):
        load_dataset("table", path=path)


def test_another_encoding_names_the_byte(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes("text,label\r\nfine,a\r\nun café,b\r\n".encode("latin-1"))
    with pytest.raises(
        CompanionError,
        match=r"encoding of .*r\.csv: got byte 0xe9 on line 3 \(byte 7 of the line\); expected "
        r"UTF-8; .*iconv -f WINDOWS-1252 -t UTF-8 r\.csv > r_utf8\.csv",
    ):
        load_dataset("table", path=path)
    path.write_bytes("text,label\nfine,a\n".encode("utf-16"))
    with pytest.raises(CompanionError, match=r"those of UTF-16; .*iconv -f UTF-16 -t UTF-8"):
        load_dataset("table", path=path)


# Files


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"folder .*: got no file for train among nothing; expected train\.csv"),
        (["notes.csv", "x.txt"], r"got no file for train among notes\.csv, x\.txt"),
        (["test.csv"], r"got no file for train among test\.csv"),
        (["train.csv", "train.tsv"], r"got train\.csv and train\.tsv for one part"),
        (["train.csv", "dev.csv", "val.csv"], r"got dev\.csv and val\.csv for one part"),
        (["train.csv", "test.jsonl"], r"got files of two kinds, test\.jsonl and train\.csv"),
    ],
)
def test_a_folder_is_refused(tmp_path, names, message):
    for name in names:
        (tmp_path / name).write_text(HEADER + GOOD)
    with pytest.raises(CompanionError, match=message):
        load_dataset("table", path=tmp_path)


def test_a_file_is_refused(tmp_path):
    with pytest.raises(
        CompanionError, match=r"path of the dataset 'table': got None; expected a f"
    ):
        load_dataset("table")
    with pytest.raises(
        CompanionError, match=r"table of texts: got .*no\.csv, which does not exist"
    ):
        load_table(tmp_path / "no.csv")
    (tmp_path / "x.xlsx").write_text("x")
    with pytest.raises(CompanionError, match=r"x\.xlsx: got the ending '\.xlsx'; expected .*\.csv"):
        load_table(tmp_path / "x.xlsx")
    path = write_csv(tmp_path / "train.csv", with_parts(ROWS), ("text", "label", "split"))
    with pytest.raises(
        CompanionError, match=r"line 2: got 'test' in the column.*expected 'train',"
    ):
        load_table(tmp_path)
    with pytest.raises(CompanionError, match=r"repair: got True for .*train\.csv, CSV"):
        load_table(path, repair=True)


# JSONL


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_jsonl(tmp_path):
    rows = [{"text": text, "label": label, "note": None} for text, label in ROWS]
    path = write_jsonl(tmp_path / "r.jsonl", rows)
    path.write_text(path.read_text().replace("\n", "\n\n", 1))
    drawn = load_dataset("table", path=path)
    assert sorted(everything(drawn)) == sorted(ROWS) and drawn.card.notes == "Read as JSONL."
    names = {*drawn.train.ids, *drawn.val.ids, *drawn.test.ids}
    assert names == {"r.jsonl:1", *(f"r.jsonl:{n}" for n in range(3, 27))}


def test_labels_of_jsonl_may_be_whole_numbers(tmp_path):
    rows = [{"text": f"x{n}", "label": n % 3, "group": n} for n in range(15)]
    drawn = load_dataset("table", path=write_jsonl(tmp_path / "r.jsonl", rows))
    assert sorted(everything(drawn)) == sorted((f"x{n}", str(n % 3)) for n in range(15))
    assert drawn.grouped and set(drawn.test.groups) < {str(n) for n in range(15)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('["x", "a"]', r"r\.jsonl, line 3: got \[\"x\", \"a\"\], a list; expected one object a l"),
        ('{"text": "x",', r"r\.jsonl, line 3: got .* \(Expecting property name.*; expected one ob"),
        ('{"text": "x"}', r"r\.jsonl, line 3: got nothing in the column 'label'"),
        ('{"text": null, "label": "a"}', r"line 3: got nothing in the column 'text'"),
        ('{"text": ["x"], "label": "a"}', r"line 3: got \['x'\] as text, a list; expected a strin"),
        ('{"text": 7, "label": "a"}', r"line 3: got 7 as text, a int; expected a string; write it"),
        ('{"text": "x", "label": 0.5}', r"0\.5 as label, a float; expected a string or a whole n"),
        ('{"text": "\\ud800", "label": "a"}', r"line 3: got '\\ud800' as text, half a letter"),
        ('{"text": "x", "label": "a", "split": "c"}', r"line 1: got nothing in the column 'split'"),
    ],
)
def test_a_jsonl_file_is_refused(tmp_path, line, message):
    path = write_jsonl(tmp_path / "r.jsonl", [{"text": "w", "label": "b"}] * 2)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(CompanionError, match=message):
        load_dataset("table", path=path)
    write_jsonl(path, [{"body": "w", "label": "b"}])
    with pytest.raises(CompanionError, match=r"column 'text' of .*got the columns 'body', 'label'"):
        load_dataset("table", path=path)


# CoNLL


SENTENCE = "{0} B-PER\n{0}son I-PER\nmet O\nnobody O\n"
NAMES = ("Ada", "Bo", "Cy", "Di", "Eve", "Flo", "Gus", "Hal", "Ida", "Jo")


def write_conll(path, *, label="B-PER", rest="I-PER", blank="\n"):
    text = blank.join(SENTENCE.format(name) for name in NAMES)
    text = text.replace("B-PER", label).replace("I-PER", rest)
    path.write_text(f"-DOCSTART- -X-\n\n{text}\nKim {label}\n. O\n")
    return path


@pytest.mark.parametrize("blank", ["\n", " \t \n\n", "-DOCSTART- O\n"])
def test_bio_labels_become_spans(tmp_path, blank):
    drawn = load_dataset("table", path=write_conll(tmp_path / "names.conll", blank=blank))
    assert drawn.card.task == drawn.train.task == "spans"
    assert drawn.card.classes == ("O", "B-PER", "I-PER")
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (7, 2, 2)
    parts = (drawn.train, drawn.val, drawn.test.open("a test"))
    found = {
        words: labels.tolist()
        for part in parts
        for words, labels in zip(part.inputs, part.labels, strict=True)
    }
    expected = {(name, f"{name}son", "met", "nobody"): [1, 2, 0, 0] for name in NAMES}
    assert found == expected | {("Kim", "."): [1, 0]}
    names = [name for part in parts for name in part.ids]
    first_line = 3 + 4 * len(NAMES) + (len(NAMES) - 1) * blank.count("\n") + 1
    assert f"names.conll:{first_line}" in names, "the line of Kim"


def test_columns_may_be_divided_by_tabs(tmp_path):
    path = tmp_path / "tags.conll"
    lines = ["New York\tNNP\tplace", "is\tVBZ\tother ", f"{0}\tCD\tother"]
    path.write_text("\n\n".join("\n".join([*lines[:2], f"{n}\tCD\tother"]) for n in range(6)))
    drawn = load_dataset("table", path=path)
    assert (drawn.card.task, drawn.card.classes) == ("tokens", ("other", "place"))
    assert drawn.train.inputs[0][:2] == ("New York", "is")
    assert drawn.train.labels[0].tolist() == [1, 0, 0]


def test_a_type_without_inside_or_beginning_is_whole(tmp_path):
    path = write_conll(tmp_path / "n.conll", rest="O")
    assert load_dataset("table", path=path).card.classes == ("O", "B-PER", "I-PER")
    for name in ("train", "test"):
        write_conll(tmp_path / f"{name}.conll", rest="O" if name == "train" else "I-PER")
        text = (tmp_path / f"{name}.conll").read_text()
        (tmp_path / f"{name}.conll").write_text(text.replace("nobody", f"one-{name}") + f"{name} O")
    text = (tmp_path / "test.conll").read_text().replace("Kim", "Kit")
    (tmp_path / "test.conll").write_text(text)
    drawn = load_dataset("table", path=tmp_path)
    assert len(drawn.test) == 11 and drawn.test.classes == ("O", "B-PER", "I-PER")
    (tmp_path / "test.conll").write_text(text.replace("Kit B-PER", "Kit B-LOC"))
    with pytest.raises(CompanionError, match=r"the label 'LOC' in test; expected one that train"):
        load_dataset("table", path=tmp_path)


def test_misaligned_spans_are_refused_or_repaired(tmp_path):
    path = write_conll(tmp_path / "iob1.conll", label="I-PER")
    number = sum("I-PER" in line for line in path.read_text().splitlines())
    assert number == 21
    with pytest.raises(
        CompanionError,
        match=r"iob1\.conll, line 3: got 'I-PER' after 'O' or at the beginning \(and 10 more\); "
        r"expected 'B-PER' where a span begins; .*repair=True.*--repair",
    ):
        load_dataset("table", path=path)
    drawn = load_table(path, repair=True)
    split = drawn.test.open("a test")
    for words, labels in zip(split.inputs, split.labels, strict=True):
        assert labels.tolist() == ([1, 2, 0, 0] if len(words) == 4 else [1, 0])


def test_an_inside_of_another_type_is_misaligned(tmp_path):
    path = tmp_path / "n.conll"
    lines = "a B-PER\nb I-LOC\nc I-LOC\nd O\ne I-PER\n\n"
    path.write_text("".join(f"x{n} O\n{lines}" for n in range(5)))
    with pytest.raises(
        CompanionError, match=r"line 3: got 'I-LOC' after 'B-PER' \(and 9 more\); expected 'B-LOC'"
    ):
        load_dataset("table", path=path)
    pool = tables.load(path, repair=True).pool
    names = [pool.classes[label] for label in pool.labels[0].tolist()]
    assert names == ["O", "B-PER", "B-LOC", "I-LOC", "O", "B-PER"]
    raw = [pool.classes.index(x) for x in ("O", "B-PER", "I-LOC", "I-LOC", "O", "I-PER")]
    assert read_spans(raw, pool.classes) == read_spans(pool.labels[0].tolist(), pool.classes)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("met O", "met", r"n\.conll, line 5: got 1 column, met \(and 9 more\); expected 2, as on"),
        ("Kim B-PER", "Kim NNP B-PER", r"n\.conll, line 53: got 3 columns, Kim NNP B-PER; expect"),
        ("Kim B-PER", "Kim\t", r"n\.conll, line 53: got 1 column"),
        ("Kim B-PER", "\tB-PER", r"n\.conll, line 53: got an empty token; expected a token and"),
        ("Kim B-PER", "Kim 0", r"n\.conll, line 53: got the label '0'; expected 'O', 'B-x' or 'I"),
        ("Kim B-PER", "Kim S-PER", r"n\.conll, line 53: got the label 'S-PER'.*S-x becomes B-x"),
        ("Kim B-PER", "Kim B-", r"n\.conll, line 53: got the label 'B-'"),
    ],
)
def test_a_conll_file_is_refused(tmp_path, old, new, message):
    path = write_conll(tmp_path / "n.conll")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CompanionError, match=message):
        load_dataset("table", path=path)


def test_more_of_conll_that_is_refused(tmp_path):
    path = tmp_path / "n.txt"
    path.write_text("Hello\n\nthere\n")
    with pytest.raises(
        CompanionError, match=r"line 1: got 1 column, Hello \(and 1 more\); expecte"
    ):
        load_dataset("table", path=path)
    path.write_text("-DOCSTART- O\n\n")
    with pytest.raises(CompanionError, match=r"sentences of .*n\.txt: got nothing"):
        load_dataset("table", path=path)
    path.write_text("a X\n\nb X\n")
    with pytest.raises(CompanionError, match=r"classes in .*n\.txt: got one only, 'X'"):
        load_dataset("table", path=path)
    path.write_text("a X\nb Y\n")
    with pytest.raises(CompanionError, match=r"n\.txt, line 1: got one sentence; expected at leas"):
        load_dataset("table", path=path)
    path.write_text("a X\nb Y\n\na X\nb X\n")
    with pytest.raises(
        CompanionError, match=r"line 1 and at .*line 4: got the same text with two "
    ):
        load_dataset("table", path=path)
    with pytest.raises(CompanionError, match=r"columns of .*n\.txt: got names of columns"):
        load_table(path, text="body")
