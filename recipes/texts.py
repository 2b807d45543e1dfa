"""Pack the texts that were composed for the course, and measure how far their two passes agree.

    python recipes/texts.py --out companion/assets/texts

Reads the tables in `recipes/texts/`, checks them, and writes one packed file a set, the data card
`README.md` (the template, filled with the figures) and the log. The same tables give the same
bytes under the same zlib. After a new run, put the SHA-256 of each file and the figures of the
log into the cards in `companion/datasets/texts/`; tests compare them.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import hashlib
import io
import json
import re
import statistics
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import torch

from companion import assets, checks, runtime
from companion.datasets.texts.marks import CLASSES, MARK, TYPES, plain_text, read_marks
from companion.evaluation.spans import span_values

HERE = Path(__file__).resolve().parent
TABLES = HERE / "texts"
LOG = HERE / "texts.log.json"
CARD_TEMPLATE = HERE / "texts.card.md"
SECOND = "second_"
STARS = range(1, 6)

COLUMNS = {
    "reviews": (
        "id",
        "domain",
        "topic",
        "polarity",
        "stars",
        "second_polarity",
        "second_stars",
        "text",
    ),
    "entities": ("id", "genre", "text", "second_text"),
    "sentence_pairs": ("id", "kind", "score", "second_score", "first", "second"),
    "languages": ("id", "domain", "polarity", "english", "german", "chinese"),
}
"""Columns of each table, by its name."""

ALLOWED = {
    "domain": {"products", "places", "films"},
    "polarity": {"negative", "positive"},
    "stars": set("12345"),
    "score": set("012345"),
}
"""What a column may hold; its second pass too."""

TEXTS = {
    "reviews": ("text",),
    "entities": ("text",),
    "sentence_pairs": ("first", "second"),
    "languages": ("english", "german", "chinese"),
}
"""Columns whose texts must all differ."""

CONTRAST = re.compile(
    r"\b(but|though|although|yet|however|still|otherwise|except|trouble is|only)\b", re.IGNORECASE
)
"""Words that join a merit and a fault."""

NUMBERS = {"stars", "second_stars", "score", "second_score"}


def main() -> None:
    """Read the options, then pack, measure and write log and card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the packed files")
    options = parser.parse_args()
    log = make(options.out)
    runtime.atomic_write(LOG, json.dumps(log, indent=2) + "\n")
    runtime.atomic_write(options.out / "README.md", card(log))
    assets.write_bundled_checksums()
    print(json.dumps({"files": log["files"], "agreement": log["agreement"]}, indent=2))


def make(folder: Path) -> dict[str, Any]:
    """Write the packed files and return the log."""
    tables = {name: read_table(name) for name in COLUMNS}
    files = {}
    for name, rows in tables.items():
        content = pack(rows)
        runtime.atomic_write(folder / f"{name}.jsonl.gz", content)
        files[f"{name}.jsonl.gz"] = {
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    return {
        "date": datetime.date.today().isoformat(),
        "versions": runtime.versions() | {"zlib": zlib.ZLIB_RUNTIME_VERSION},
        "files": files,
        "counts": counts(tables),
        "agreement": {
            "reviews": agreement_of_reviews(tables["reviews"]),
            "entities": agreement_of_entities(tables["entities"]),
            "sentence_pairs": agreement_of_pairs(tables["sentence_pairs"]),
        },
    }


def read_table(name: str, folder: Path = TABLES) -> list[dict[str, Any]]:
    """Return the rows of a table, numbers as numbers.

    Raises:
        CompanionError: other columns, a row of another length, an unknown label, an id or a text
            that is there twice, marks that are broken or differ in their text.
    """
    path = folder / f"{name}.tsv"
    lines = path.read_text(encoding="utf-8").split("\n")
    if tuple(lines[0].split("\t")) != COLUMNS[name] or lines[-1]:
        _refuse(path, 1, lines[0], "columns " + ", ".join(COLUMNS[name]) + ", and a last newline")
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, line in enumerate(lines[1:-1], start=2):
        cells = line.split("\t")
        if len(cells) != len(COLUMNS[name]) or not all(c == c.strip() != "" for c in cells):
            _refuse(path, number, line, f"{len(COLUMNS[name])} cells, none empty or padded")
        row: dict[str, Any] = dict(zip(COLUMNS[name], cells, strict=True))
        for column, value in row.items():
            allowed = ALLOWED.get(column.removeprefix(SECOND), {value})
            if value not in allowed:
                _refuse(path, number, value, f"{column} of {sorted(allowed)}")
        new = [row["id"], *(row[column].casefold() for column in TEXTS[name])]
        if seen & set(new) or len(set(new)) < len(new):
            _refuse(path, number, line, "an id and texts that no other row has")
        seen |= set(new)
        if name == "entities":
            _check_marks(path, number, row)
        rows.append({k: int(v) if k in NUMBERS else v for k, v in row.items()})
    return rows


def _check_marks(path: Path, number: int, row: dict[str, str]) -> None:
    """Refuse marks that are broken, or two passes over different texts."""
    if plain_text(row["text"]) != plain_text(row["second_text"]):
        _refuse(path, number, row["second_text"], "the text of the first pass, marked otherwise")
    read_marks(row["text"])
    read_marks(row["second_text"])


def _refuse(path: Path, number: int, got: str, expected: str) -> NoReturn:
    """Raise the error for a line of a table."""
    checks.fail(f"{path.name}, line {number}", got=f"{got!r:.80}", expected=expected, do="mend it")


def pack(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as gzipped JSON lines, without time or name in the header."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(text.encode("utf-8"))
    return buffer.getvalue()


def counts(tables: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return how many there are of what, and how long they are, in words between spaces."""
    reviews, pairs = tables["reviews"], tables["sentence_pairs"]
    marked = [read_marks(row["text"])[1] for row in tables["entities"]]
    begins = Counter(CLASSES[label][2:] for row in marked for label in row if label % 2)
    return {
        "reviews": {
            "texts": len(reviews),
            "topics": len({(row["domain"], row["topic"]) for row in reviews}),
            "domain": _tally(reviews, "domain"),
            "polarity": _tally(reviews, "polarity"),
            "stars": _tally(reviews, "stars"),
            "mean_words_by_stars": _mean_words(reviews),
            "share_with_a_contrast_by_stars": _contrasts(reviews),
        },
        "entities": {
            "texts": len(marked),
            "without_a_mark": sum(not any(row) for row in marked),
            "tokens": sum(map(len, marked)),
            "spans": dict(sorted(begins.items())),
            "different": _different(tables["entities"]),
            "genre": _tally(tables["entities"], "genre"),
        },
        "sentence_pairs": {
            "pairs": len(pairs),
            "median_words": statistics.median(
                len(row[side].split()) for row in pairs for side in ("first", "second")
            ),
            "kind": _tally(pairs, "kind"),
            "score": _tally(pairs, "score"),
            "mean_score_by_kind": _mean_scores(pairs),
            "spearman_of_kind_alone": _kind_alone(pairs),
            "spearman_of_shared_words": _shared_words(pairs),
        },
        "languages": {
            "texts": len(tables["languages"]),
            "domain": _tally(tables["languages"], "domain"),
            "polarity": _tally(tables["languages"], "polarity"),
            "median_words": {
                name: statistics.median(len(row[name].split()) for row in tables["languages"])
                for name in ("english", "german")
            },
            "median_signs_chinese": statistics.median(
                len(row["chinese"]) for row in tables["languages"]
            ),
        },
    }


def _tally(rows: list[dict[str, Any]], column: str) -> dict[str, int]:
    """Return how often each value stands in a column."""
    return {str(k): n for k, n in sorted(Counter(row[column] for row in rows).items())}


def _mean_words(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return how many words reviews have, by stars."""
    lengths = {s: [len(r["text"].split()) for r in rows if r["stars"] == s] for s in STARS}
    return {str(stars): round(statistics.mean(found), 1) for stars, found in lengths.items()}


def _contrasts(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the share of reviews with a word that joins a merit and a fault, by stars."""
    found = {s: [bool(CONTRAST.search(r["text"])) for r in rows if r["stars"] == s] for s in STARS}
    return {str(stars): round(statistics.mean(row), 2) for stars, row in found.items()}


def _different(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many different spans there are of each type, whatever their case."""
    found = {(name, text.casefold()) for row in rows for text, name in MARK.findall(row["text"])}
    return {TYPES[name]: sum(kind == name for kind, _ in found) for name in TYPES}


def _kind_alone(rows: list[dict[str, Any]]) -> float:
    """Return Spearman's correlation of the grade with the mean grade of its kind."""
    from scipy.stats import spearmanr

    means = {k: statistics.mean(r["score"] for r in rows if r["kind"] == k) for k in _kinds(rows)}
    guessed = [means[row["kind"]] for row in rows]
    return round(float(spearmanr(guessed, [row["score"] for row in rows]).statistic), 4)


def _shared_words(rows: list[dict[str, Any]]) -> float:
    """Return Spearman's correlation of the grade with the share of words in both sentences."""
    from scipy.stats import spearmanr

    pairs = [[set(re.findall(r"\w+", r[s].casefold())) for s in ("first", "second")] for r in rows]
    shares = [len(first & second) / len(first | second) for first, second in pairs]
    return round(float(spearmanr(shares, [row["score"] for row in rows]).statistic), 4)


def _kinds(rows: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of pairs in the order of the alphabet."""
    return sorted({row["kind"] for row in rows})


def _mean_scores(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the mean grade, by kind of pair."""
    scores = {k: [row["score"] for row in rows if row["kind"] == k] for k in _kinds(rows)}
    return {kind: round(statistics.mean(found), 2) for kind, found in scores.items()}


def agreement_of_reviews(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far the second pass over the reviews agrees with the first."""
    found: dict[str, Any] = {"polarity": _polarity(rows), "stars": _stars(rows), "by_domain": {}}
    for domain in dict.fromkeys(row["domain"] for row in rows):
        part = [row for row in rows if row["domain"] == domain]
        found["by_domain"][domain] = {"polarity": _polarity(part), "stars": _stars(part)}
    table = Counter((row["stars"], row["second_stars"]) for row in rows)
    found["stars_table"] = [[table[i, j] for j in STARS] for i in STARS]
    apart = {pair: n for pair, n in table.items() if pair[0] != pair[1]}
    found["stars_apart"] = {
        "texts": sum(apart.values()),
        "between_1_and_2": sum(n for pair, n in apart.items() if set(pair) == {1, 2}),
        "between_4_and_5": sum(n for pair, n in apart.items() if set(pair) == {4, 5}),
        "at_3": sum(n for pair, n in apart.items() if 3 in pair),
        "threes": sum(n for pair, n in table.items() if pair[0] == 3),
        "threes_again": table[3, 3],
    }
    found["polarity_apart"] = [r["id"] for r in rows if r["polarity"] != r["second_polarity"]]
    return found


def _polarity(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return accuracy and Cohen's kappa of the polarity."""
    from sklearn.metrics import accuracy_score, cohen_kappa_score

    first, second = ([row[p + "polarity"] for row in rows] for p in ("", SECOND))
    return _rounded(accuracy=accuracy_score(first, second), kappa=cohen_kappa_score(first, second))


def _stars(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the shares of equal and of near numbers of stars, and the weighted kappa."""
    from sklearn.metrics import cohen_kappa_score

    first, second = ([row[p + "stars"] for row in rows] for p in ("", SECOND))
    apart = [abs(a - b) for a, b in zip(first, second, strict=True)]
    return _rounded(
        exact=apart.count(0) / len(apart),
        within_one=sum(x <= 1 for x in apart) / len(apart),
        kappa_quadratic=cohen_kappa_score(first, second, weights="quadratic"),
    )


def agreement_of_entities(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the scores of the second pass's spans against those of the first."""
    first, second = (
        [torch.tensor(read_marks(row[p + "text"])[1]) for row in rows] for p in ("", SECOND)
    )
    apart = [r["id"] for r, a, b in zip(rows, first, second, strict=True) if not torch.equal(a, b)]
    return {**_rounded(**span_values(second, first, CLASSES)), "sentences_apart": apart}


def agreement_of_pairs(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return Spearman's correlation of the grades, and how far apart they lie (0 to 5)."""
    from scipy.stats import spearmanr

    first, second = ([row[p + "score"] for row in rows] for p in ("", SECOND))
    apart = [abs(a - b) for a, b in zip(first, second, strict=True)]
    return _rounded(
        spearman=spearmanr(first, second).statistic,
        mean_absolute_difference=statistics.mean(apart),
        exact=apart.count(0) / len(apart),
    )


def _rounded(**values: float) -> dict[str, float]:
    """Return values with four places."""
    return {name: round(float(value), 4) for name, value in values.items()}


def card(log: dict[str, Any]) -> str:
    """Return the data card: the template, with the figures of the log in place of their paths.

    A path such as `<agreement:reviews:polarity:kappa>` is a figure of the log.
    """

    def figure(match: re.Match[str]) -> str:
        value: Any = log
        for key in match[1].split(":"):
            value = value[key]
        if isinstance(value, list):
            return ", ".join(f"`{item}`" for item in value)
        places = ".3f" if match[1].startswith("agreement") else "g"
        return format(value, places) if isinstance(value, float) else f"{value}"

    return re.sub(r"<([\w.:]+)>", figure, CARD_TEMPLATE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
