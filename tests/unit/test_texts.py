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
from companion.datasets.texts import reviews, rows
from companion.registry import DATASETS
from companion.splits import prove_disjoint

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "recipes" / "texts"
FOLDER = assets.BUNDLED / "texts"
LARGEST_IN_ALL = 400_000
SHA256 = {"reviews": reviews.SHA256}
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
    assert names == sorted(recipe.COLUMNS) and len(names) >= 3
    for name in names:
        packed = (FOLDER / f"{name}.jsonl.gz").read_bytes()
        lines = gzip.decompress(packed).decode("utf-8").splitlines()
        found = [{k: str(v) for k, v in json.loads(line).items()} for line in lines]
        assert found == table(name)
        about = {"size_bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
        assert log["files"][f"{name}.jsonl.gz"] == about
        if name in SHA256:
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


@pytest.mark.parametrize("name", ["reviews", "entities", "sentence_pairs"])
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
    with pytest.raises(CompanionError, match=rf"reviews.tsv, {message}|reviews.tsv.*{message}"):
        recipe.read_table("reviews", tmp_path)


# parting


def test_names_are_held_out_by_a_hash_alone():
    names = [f"topic {number}" for number in range(20)]
    few, more = (rows.held_out(names, share, "toy") for share in (0.3, 0.4))
    assert (len(few), len(more)) == (6, 8) and more[:6] == few
    assert rows.held_out(names[::-1] * 2, 0.3, "toy") == few
    assert rows.held_out(names, 0.3, "another toy") != few
    assert rows.held_out(names, 0, "toy") == ()

    def rank(name):
        text = "\x1f".join(["0", "texts", "toy", name])
        return hashlib.sha256(text.encode()).digest()

    assert set(few) == set(sorted(names, key=rank)[:6])


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
    assert sum(figures["stars_apart"][k] for k in ("between_1_and_2", "between_4_and_5", "at_3"))
    words = ([row[p + "polarity"] for row in found] for p in ("", "second_"))
    plain = slow_kappa(*words, weight=lambda a, b: float(a != b))
    assert figures["polarity"]["kappa"] == pytest.approx(plain, abs=5e-5)


@pytest.mark.parametrize("name", REVIEWS)
def test_reviews_know_their_place(name, tmp_path):
    with pytest.raises(CompanionError, match=f"path of the dataset '{name}'"):
        load_dataset(name, path=tmp_path)
