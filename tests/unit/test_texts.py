"""companion.datasets.texts: what ships is what the tables hold, parted whole, labelled twice."""

import gzip
import hashlib
import importlib.util
import json
import re
import zlib
from collections import Counter
from pathlib import Path

import pytest
import torch

from companion import assets, load_dataset
from companion.checks import CompanionError
from companion.datasets import LOADERS
from companion.datasets.texts import (
    LANGUAGES,
    SENTENCE_PAIRS,
    entities,
    languages,
    load_double_labels,
    load_languages,
    load_sentence_pairs,
    marks,
    reviews,
    rows,
    sentence_pairs,
)
from companion.registry import DATASETS
from companion.splits import prove_disjoint

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "recipes" / "texts"
FOLDER = assets.BUNDLED / "texts"
LARGEST_IN_ALL = 400_000
SHA256 = {
    module.__name__.rpartition(".")[2]: module.SHA256
    for module in (entities, languages, reviews, sentence_pairs)
}
REVIEWS = ("reviews", "review_stars", "reviews_products", "reviews_places", "reviews_films")


@pytest.fixture(scope="module")
def recipe():
    """The script that packs the texts."""
    spec = importlib.util.spec_from_file_location("recipe", ROOT / "recipes" / "texts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def log(recipe):
    """What the script wrote down."""
    return json.loads(recipe.LOG.read_text(encoding="utf-8"))


def table(name):
    """A table as it lies in the repository, by columns."""
    lines = (TABLES / f"{name}.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    cells = [line.split("\t") for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def both_parts(name):
    """Pool and test of a dataset, open."""
    source = LOADERS[name](None)
    return source.pool, source.test


# the packed files


def test_what_ships_is_what_the_tables_hold(recipe, log):
    names = sorted(path.stem for path in TABLES.glob("*.tsv"))
    assert names == sorted(recipe.COLUMNS) == sorted(SHA256) and len(names) == 4
    for name in names:
        packed = (FOLDER / f"{name}.jsonl.gz").read_bytes()
        lines = gzip.decompress(packed).decode("utf-8").splitlines()
        found = [{k: str(v) for k, v in json.loads(line).items()} for line in lines]
        assert found == table(name)
        about = {"size_bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
        assert log["files"][f"{name}.jsonl.gz"] == about
        assert SHA256[name] == about["sha256"]


def test_packing_again_gives_the_same_bytes(recipe, log, tmp_path):
    again = recipe.make(tmp_path)
    for name in recipe.COLUMNS:
        shipped = (FOLDER / f"{name}.jsonl.gz").read_bytes()
        packed = (tmp_path / f"{name}.jsonl.gz").read_bytes()
        assert gzip.decompress(packed) == gzip.decompress(shipped)
        assert packed[3:8] == bytes(5), "neither a name nor a time in the header"
        if zlib.ZLIB_RUNTIME_VERSION == log["versions"]["zlib"]:
            assert packed == shipped
    assert again["counts"] == log["counts"]
    assert again["agreement"] == log["agreement"]


def test_the_files_are_small(log):
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert len(sizes) == len(log["files"]) + 1
    assert sum(sizes) < LARGEST_IN_ALL


def test_the_data_card_is_what_the_recipe_writes_from_its_log(recipe, log):
    written = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert written == recipe.card(log)
    assert not re.search(r"<[a-z]\w*:", written), "a figure was not filled in"


@pytest.mark.parametrize("name", ["reviews", "entities", "sentence_pairs", "languages"])
def test_a_guide_to_the_labels_lies_beside_each_table(name):
    text = (TABLES / f"{name}_guide.md").read_text(encoding="utf-8")
    assert text.startswith("# Guide to the") and "\n1. " in text


def test_a_missing_or_changed_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "BUNDLED", tmp_path)
    rows.read_rows.cache_clear()
    with pytest.raises(CompanionError, match=r"bundled texts 'reviews': .*install the package"):
        load_dataset("reviews")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "reviews.jsonl.gz").write_bytes(b"another")
    with pytest.raises(CompanionError, match=rf"got SHA-256 .*expected SHA-256 {reviews.SHA256}"):
        load_dataset("reviews")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("\tstars\t", "\tpoints\t", 1), "line 1: got .*expected columns id, "),
        (lambda t: t.rstrip("\n"), "line 1: .*a last newline"),
        (lambda t: t.replace("\tnegative\t2\t", "\tbad\t2\t", 1), "got 'bad'; expected polarity"),
        (lambda t: t.replace("p002\t", "p001\t", 1), "line 3: .*an id and texts that no other"),
        (lambda t: t + t.split("\n")[3].replace("p003", "p999") + "\n", "line 692: .*no other row"),
        (lambda t: t.replace("\tchair\t", "\t\t", 1), "line 2: .*8 cells, none empty"),
        (lambda t: t.replace("\tchair\t", "\tchair\t\t", 1), "line 2: .*8 cells"),
    ],
)
def test_a_broken_table_is_refused_by_its_line(recipe, tmp_path, change, message):
    text = (TABLES / "reviews.tsv").read_text(encoding="utf-8")
    (tmp_path / "reviews.tsv").write_text(change(text), encoding="utf-8")
    with pytest.raises(CompanionError, match=rf"reviews.tsv, .*{message}"):
        recipe.read_table("reviews", tmp_path)


def test_marks_of_both_passes_must_stand_on_one_text(recipe, tmp_path):
    text = (TABLES / "entities.tsv").read_text(encoding="utf-8")
    for old, new, message in [
        ("{Parisa|PER}", "{Paris|PER}", "line 3: .*the text of the first pass"),
        ("{Parisa|PER}", "{Parisa|WHO}", "marked text: got .*a type of PER, LOC, ORG, DATE"),
    ]:
        (tmp_path / "entities.tsv").write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(CompanionError, match=message):
            recipe.read_table("entities", tmp_path)


# parting


def ranked(names, purpose):
    """Names by their hash: the rule of parting, written again."""
    return sorted(
        names, key=lambda n: hashlib.sha256(f"0\x1ftexts\x1f{purpose}\x1f{n}".encode()).hexdigest()
    )


def test_names_are_held_out_by_a_hash_alone():
    names = [f"topic {number}" for number in range(20)]
    few, more = (rows.held_out(names, share, "toy") for share in (0.3, 0.4))
    assert (len(few), len(more)) == (6, 8) and more[:6] == few
    assert rows.held_out(names[::-1] * 2, 0.3, "toy") == few
    assert rows.held_out(names, 0.3, "another toy") != few
    assert rows.held_out(names, 0, "toy") == ()

    assert list(more) == ranked(names, "toy")[:8]


# reviews


@pytest.mark.parametrize(
    ("name", "num_test_topics", "num_test"),
    [
        ("reviews", 22, 210),
        ("review_stars", 22, 210),
        ("reviews_products", 10, 91),
        ("reviews_places", 11, 93),
        ("reviews_films", 8, 93),
    ],
)
def test_reviews_are_parted_by_whole_topics(name, num_test_topics, num_test):
    pool, test = both_parts(name)
    domains = reviews.DOMAINS if "_" not in name or "stars" in name else (name.split("_")[1],)
    wanted = [row for row in table("reviews") if row["domain"] in domains]
    prove_disjoint(pool, test, grouped=True)
    assert (len(test), len(set(test.groups))) == (num_test, num_test_topics)
    assert not set(pool.inputs) & set(test.inputs)
    column = "stars" if name == "review_stars" else "polarity"
    labels = torch.cat([pool.labels, test.labels]).tolist()
    found = zip(
        [*pool.ids, *test.ids],
        [*pool.inputs, *test.inputs],
        [*pool.groups, *test.groups],
        [pool.classes[label] for label in labels],
        strict=True,
    )
    assert sorted(found) == sorted(
        (f"reviews/{r['id']}", r["text"], f"{r['domain']}/{r['topic']}", r[column]) for r in wanted
    )
    assert load_dataset(name).grouped


def test_the_test_topics_are_these_for_ever():
    _, test = both_parts("reviews")
    text = " ".join(sorted(set(test.groups)))
    assert text == (
        "films/fantasy films/heist films/horror films/scifi films/sequel films/western "
        "places/bakery places/carpark places/dentist places/ferryport places/garage "
        "places/museum places/pub places/station products/blender products/knife products/lamp "
        "products/mower products/notebook products/paint products/pillow products/toaster"
    )
    assert both_parts("review_stars")[1].ids == test.ids


def test_the_test_topics_of_a_domain_include_those_of_all_reviews():
    _, everything = both_parts("reviews")
    for domain in reviews.DOMAINS:
        _, test = both_parts(f"reviews_{domain}")
        inside = {group for group in everything.groups if group.startswith(domain)}
        assert inside < set(test.groups)


def test_reviews_are_balanced():
    for domain in reviews.DOMAINS:
        parts = both_parts(f"reviews_{domain}")
        total = sum((Counter(part.class_counts()) for part in parts), Counter())
        assert total == {"negative": 115, "positive": 115}
        for part in parts:
            assert 0.45 < part.class_counts()["positive"] / len(part) < 0.55
    found = table("reviews")
    assert {(row["polarity"], row["stars"]) for row in found} == {
        *(("negative", stars) for stars in "123"),
        *(("positive", stars) for stars in "345"),
    }
    assert Counter(row["stars"] for row in found)["3"] == 95


@pytest.mark.parametrize(
    ("name", "budget"),
    [
        ("reviews", 128),
        ("review_stars", 48),
        ("reviews_products", 48),
        ("reviews_places", 48),
        ("reviews_films", 48),
    ],
)
def test_the_budgets_that_the_cards_name_can_be_drawn(name, budget):
    for seed in range(5):
        drawn = load_dataset(name, labels_per_class=budget, seed=seed)
        assert len(drawn.train) + len(drawn.val) == budget * len(drawn.card.classes)
        assert not set(drawn.train.groups) & set(drawn.val.groups)
    assert f"up to {budget} labels a class" in DATASETS.get(name).notes


NUMBER_WORD = r"(one|two|three|four|five|six|seven|eight|nine|ten|\d+)"
RATING = re.compile(
    rf"\b(a|an|{NUMBER_WORD}) stars?\b|{NUMBER_WORD} out of {NUMBER_WORD}"
    rf"|\b(give|giving|gave) (it|this) {NUMBER_WORD}[,.]|\bhence {NUMBER_WORD}\b",
    re.IGNORECASE,
)


def test_the_reviews_that_name_a_rating_are_named():
    found = [row["id"] for row in table("reviews") if RATING.search(row["text"])]
    assert sorted(found) == list(reviews.NAMING_A_RATING)
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in found)


@pytest.mark.parametrize("name", REVIEWS)
def test_a_card_says_what_the_log_says(name, log):
    notes, figures = DATASETS.get(name).notes, log["agreement"]["reviews"]
    if name == "review_stars":
        stars = figures["stars"]
        wanted = (
            f"the same number for {stars['exact']:.3f} of them, within one for "
            f"{stars['within_one']:.3f}, quadratically weighted kappa "
            f"{stars['kappa_quadratic']:.3f}"
        )
    else:
        part = figures if name == "reviews" else figures["by_domain"][name.split("_")[1]]
        polarity = part["polarity"]
        wanted = f"accuracy {polarity['accuracy']:.3f}, Cohen's kappa {polarity['kappa']:.3f}"
    assert wanted in notes
    assert "not agreement between independent annotators" in notes
    assert DATASETS.get(name).licence == "CC BY 4.0"


def slow_kappa(first, second, *, weight):
    """Cohen's weighted kappa by counting every pair of texts."""
    pairs = list(zip(first, second, strict=True))
    seen = sum(weight(a, b) for a, b in pairs) / len(pairs)
    chance = sum(weight(a, b) for a in first for b in second) / len(pairs) ** 2
    return 1 - seen / chance


def test_the_agreement_of_the_reviews_is_counted_right(log):
    found, figures = table("reviews"), log["agreement"]["reviews"]
    first, second = ([int(row[p + "stars"]) for row in found] for p in ("", "second_"))
    apart = [abs(a - b) for a, b in zip(first, second, strict=True)]
    assert figures["stars"]["exact"] == round(apart.count(0) / 690, 4)
    assert figures["stars"]["within_one"] == round(1 - sum(x > 1 for x in apart) / 690, 4)
    weighted = slow_kappa(first, second, weight=lambda a, b: (a - b) ** 2)
    assert figures["stars"]["kappa_quadratic"] == pytest.approx(weighted, abs=5e-5)
    assert sum(map(sum, figures["stars_table"])) == 690
    assert figures["stars_table"][1][4] == 1 and figures["stars_table"][3][0] == 1
    assert figures["stars_apart"] == {
        "texts": sum(x > 0 for x in apart),
        "between_1_and_2": sum({a, b} == {1, 2} for a, b in zip(first, second, strict=True)),
        "between_4_and_5": sum({a, b} == {4, 5} for a, b in zip(first, second, strict=True)),
        "at_3": sum(a != b and 3 in (a, b) for a, b in zip(first, second, strict=True)),
        "threes": first.count(3),
        "threes_again": sum(a == b == 3 for a, b in zip(first, second, strict=True)),
    }
    words = ([row[p + "polarity"] for row in found] for p in ("", "second_"))
    plain = slow_kappa(*words, weight=lambda a, b: float(a != b))
    assert figures["polarity"]["kappa"] == pytest.approx(plain, abs=5e-5)


@pytest.mark.parametrize("name", REVIEWS)
def test_reviews_know_their_place(name, tmp_path):
    with pytest.raises(CompanionError, match=f"path of the dataset '{name}'"):
        load_dataset(name, path=tmp_path)


# entities


def slow_marks(marked):
    """Words and classes by walking from sign to sign."""
    words, classes, kinds, starts, position = [], [], [], [], 0
    plain, kind, name = "", None, ""
    while position < len(marked):
        sign = marked[position]
        if sign == "{":
            kind = marked[marked.index("|", position) + 1 : marked.index("}", position)]
            starts.append(len(plain))
        elif sign == "|":
            position = marked.index("}", position)
            kind = None
        else:
            plain += sign
            kinds.append(kind)
        position += 1
    for place, sign in enumerate(plain):
        is_letter = sign.isalnum() or sign == "_"
        if sign.isspace():
            continue
        goes_on = is_letter and place and (plain[place - 1].isalnum() or plain[place - 1] == "_")
        if goes_on:
            words[-1] += sign
            continue
        words.append(sign)
        name = {"PER": "person", "LOC": "location", "ORG": "organisation", "DATE": "date"}.get(
            kinds[place], "O"
        )
        opens = place in starts
        classes.append(name if name == "O" else f"{'B' if opens else 'I'}-{name}")
    return tuple(words), classes


def test_marks_are_read_as_by_walking_from_sign_to_sign():
    found = table("entities")
    for row in found:
        for column in ("text", "second_text"):
            words, labels = marks.read_marks(row[column])
            assert (words, [marks.CLASSES[label] for label in labels]) == slow_marks(row[column])
    assert len(found) == 420


def test_neighbours_stay_two_names():
    words, labels = marks.read_marks("{Jo|PER} {Ann Lee|PER}'s {U.S.|LOC}")
    assert words == ("Jo", "Ann", "Lee", "'", "s", "U", ".", "S", ".")
    names = "B-person B-person I-person O O B-location I-location I-location I-location"
    assert [marks.CLASSES[label] for label in labels] == names.split()
    assert marks.plain_text("{Jo|PER} and {Ann Lee|PER}") == "Jo and Ann Lee"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{Vienna|LOC", "got '{Vienna|LOC'; expected marks"),
        ("Vienna}", "marks such as {Vienna|LOC}"),
        ("{Vienna|CITY}", "with a type of PER, LOC, ORG, DATE"),
        ("{a {b|PER} c|ORG}", "put none inside another"),
        ("{Vien|LOC}na", "got '{Vien|LOC}', which begins or ends within a word"),
        ("{Vienna |LOC}calls", "begins or ends within a word or at a space"),
        ("an{ |LOC}end", "begins or ends within a word or at a space"),
    ],
)
def test_marks_that_are_none_are_refused(text, message):
    with pytest.raises(CompanionError, match=rf"marked text: .*{re.escape(message)}"):
        marks.read_marks(text)


def test_entities_are_parted_within_genres():
    pool, test = both_parts("entities")
    prove_disjoint(pool, test)
    assert (len(pool), len(test)) == (295, 125)
    assert Counter(test.groups) == dict.fromkeys(entities.GENRES, 25)
    assert Counter(pool.groups) == dict.fromkeys(entities.GENRES, 59)
    assert not set(pool.inputs) & set(test.inputs)
    assert (pool.task, pool.classes[:3]) == ("spans", ("O", "B-person", "I-person"))
    by_genre = {g: [r["id"] for r in table("entities") if r["genre"] == g] for g in entities.GENRES}
    chosen = {name for names in by_genre.values() for name in ranked(names, "entities")[:25]}
    assert set(test.ids) == {f"entities/{name}" for name in chosen}
    wanted = {f"entities/{row['id']}": slow_marks(row["text"]) for row in table("entities")}
    for part in (pool, test):
        for name, words, labels in zip(part.ids, part.inputs, part.labels, strict=True):
            assert (words, [part.classes[label] for label in labels.tolist()]) == wanted[name]


def test_each_class_of_a_name_is_in_both_parts():
    for part in both_parts("entities"):
        counts = part.class_counts()
        assert min(counts.values()) >= 20, counts
    drawn = load_dataset("entities", labels_per_class=100, seed=1)
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (80, 20, 125)


def borders(marked):
    """Type, first and last sign of each name."""
    found, plain = set(), ""
    for piece in re.split(r"(\{[^}]*\})", marked):
        if piece.startswith("{"):
            name, kind = piece[1:-1].split("|")
            found.add((kind, len(plain), len(plain) + len(name)))
            plain += name
        else:
            plain += piece
    return found


def test_the_agreement_of_the_names_is_counted_right(log):
    pairs = [[borders(row[c]) for c in ("text", "second_text")] for row in table("entities")]
    right = sum(len(a & b) for a, b in pairs)
    total = sum(len(a) + len(b) for a, b in pairs)
    figures = log["agreement"]["entities"]
    assert figures["span_f1"] == round(2 * right / total, 4)
    apart = [row["id"] for row, (a, b) in zip(table("entities"), pairs, strict=True) if a != b]
    assert figures["sentences_apart"] == apart
    notes = DATASETS.get("entities").notes
    assert f"span F1 {figures['span_f1']:.3f}, " in notes
    assert f"token accuracy {figures['token_accuracy']:.3f}. " in notes
    assert "not agreement between independent annotators" in notes.replace("\n", " ")


# graded pairs


def test_pairs_are_parted_within_kinds():
    parts = {name: load_sentence_pairs(name) for name in ("train", "val", "test")}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 212,
        "val": 61,
        "test": 147,
    }
    rows_of = {f"sentence_pairs/{row['id']}": row for row in table("sentence_pairs")}
    assert sorted(n for part in parts.values() for n in part.ids) == sorted(rows_of)
    for part in parts.values():
        for position, name in enumerate(part.ids):
            row = rows_of[name]
            assert (part.first[position], part.second[position]) == (row["first"], row["second"])
            assert part.kinds[position] == row["kind"]
            assert part.scores[position].item() == pytest.approx(int(row["score"]) / 5)
    for kind in sentence_pairs.KINDS:
        names = [row["id"] for row in rows_of.values() if row["kind"] == kind]
        order = [f"sentence_pairs/{name}" for name in ranked(names, "sentence_pairs")]
        num_test, num_both = round(0.35 * len(names)), round(0.5 * len(names))
        assert set(order[:num_test]) <= set(parts["test"].ids)
        assert set(order[num_test:num_both]) <= set(parts["val"].ids)
        assert set(order[num_both:]) <= set(parts["train"].ids)


def test_no_sentence_is_in_two_pairs():
    found = table("sentence_pairs")
    assert len({row[side].casefold() for row in found for side in ("first", "second")}) == 840
    assert Counter(row["kind"] for row in found).keys() == set(sentence_pairs.KINDS)


def test_another_part_is_refused():
    with pytest.raises(CompanionError, match=r"part of the sentence pairs: got 'tests'.*'test'"):
        load_sentence_pairs("tests")


def slow_ranks(values):
    """Ranks from 1, equal values sharing the mean of theirs."""
    return [sum(w < v for w in values) + (values.count(v) + 1) / 2 for v in values]


def slow_spearman(first, second):
    """Pearson's correlation of the ranks."""
    a, b = torch.tensor([slow_ranks(first), slow_ranks(second)], dtype=torch.float64)
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()))


def test_the_agreement_of_the_grades_is_counted_right(log):
    found, figures = table("sentence_pairs"), log["agreement"]["sentence_pairs"]
    first, second = ([int(row[p + "score"]) for row in found] for p in ("", "second_"))
    assert figures["spearman"] == pytest.approx(slow_spearman(first, second), abs=5e-5)
    apart = [abs(a - b) for a, b in zip(first, second, strict=True)]
    assert figures["mean_absolute_difference"] == round(sum(apart) / 420, 4)
    means = log["counts"]["sentence_pairs"]["mean_score_by_kind"]
    alone = slow_spearman([means[row["kind"]] for row in found], first)
    counted = log["counts"]["sentence_pairs"]["spearman_of_kind_alone"]
    assert counted == pytest.approx(alone, abs=5e-5)
    for words in (
        f"Spearman {figures['spearman']:.3f}, ",
        f"difference {figures['mean_absolute_difference']:.3f} of a grade",
        f"Spearman of {counted:.3f}",
        f"median of {log['counts']['sentence_pairs']['median_words']:g} words",
    ):
        assert words in SENTENCE_PAIRS.notes


# three languages


def test_the_reviews_in_three_languages_are_the_table():
    found, wanted = load_languages(), table("languages")
    assert len(found) == len(wanted) == 160
    assert found.ids == tuple(f"languages/{row['id']}" for row in wanted)
    assert found.domains == tuple(row["domain"] for row in wanted)
    assert [languages.POLARITIES[x] for x in found.labels] == [row["polarity"] for row in wanted]
    for name in ("english", "german", "chinese"):
        assert found.texts[name] == tuple(row[name] for row in wanted)
    assert repr(found) == "ParallelReviews(160 reviews in english, german, chinese)"


def test_the_reviews_in_three_languages_are_balanced_and_new():
    found = load_languages()
    counts = Counter(zip(found.domains, found.labels.tolist(), strict=True))
    assert set(counts) == {(domain, label) for domain in reviews.DOMAINS for label in (0, 1)}
    assert all(counts[domain, 0] == counts[domain, 1] for domain in reviews.DOMAINS)
    assert not set(found.texts["english"]) & {row["text"] for row in table("reviews")}
    for text in found.texts["chinese"]:
        assert any("\u4e00" <= sign <= "\u9fff" for sign in text)
    assert "labelled once" in LANGUAGES.notes and "no native speaker" in LANGUAGES.notes


# both passes


@pytest.mark.parametrize("name", ["reviews", "review_stars", "entities"])
def test_the_first_pass_is_what_the_dataset_holds(name):
    both = load_double_labels(name)
    first = dict(zip(both.ids, both.first, strict=True))
    assert len(first) == len(both)
    for part in both_parts(name):
        assert both.classes == part.classes
        for item, label in zip(part.ids, part.labels, strict=True):
            assert tuple(torch.as_tensor(first.pop(item)).flatten()) == tuple(label.flatten())
    assert not first


def test_both_passes_agree_as_the_log_says(log):
    figures = log["agreement"]
    for name, wanted in (
        ("reviews", figures["reviews"]["polarity"]["accuracy"]),
        ("review_stars", figures["reviews"]["stars"]["exact"]),
        ("sentence_pairs", figures["sentence_pairs"]["exact"]),
        ("entities", 1 - len(figures["entities"]["sentences_apart"]) / 420),
    ):
        both = load_double_labels(name)
        same = [a == b for a, b in zip(both.first, both.second, strict=True)]
        assert sum(same) / len(same) == pytest.approx(wanted, abs=5e-5)


def test_the_grades_of_both_passes_are_scores():
    both = load_double_labels("sentence_pairs")
    test = load_sentence_pairs("test")
    first = dict(zip(both.ids, both.first, strict=True))
    assert [first[name] for name in test.ids] == pytest.approx(test.scores.tolist())
    assert set(both.second) == {0.0, 0.2, 0.4, 0.6, 0.8, 1.0} and both.classes == ()
    with pytest.raises(CompanionError, match="set that was labelled twice: got 'languages'"):
        load_double_labels("languages")
