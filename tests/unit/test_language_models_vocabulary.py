"""Byte-level vocabularies: training against Sennrich's loop, round trips, files."""

from __future__ import annotations

import collections
import json

import pytest
from tiny_language_models import TEXTS, vocabulary

from companion.checks import CompanionError
from companion.language_models import (
    ByteVocabulary,
    load_vocabulary,
    tiny_vocabulary,
    train_vocabulary,
)

ODD = [
    "",
    " ",
    "  two  blanks\tand\r\nlines\n\n",
    "naïve café, 日本語, עברית, 🙂🏽",
    "a<|endoftext|>b<|padding|>",
    "\x00\x07\ufffd",
    "e\u0301 and \u00e9",
    "don't   WE'LL 3.14159",
]


def slow_merges(words: dict[str, int], num_merges: int) -> list[bytes]:
    """Sennrich's loop over words of bytes: join the most frequent pair, again and again.

    Only for texts in which no two pairs are equally frequent.
    """
    pieces = {tuple(bytes([b]) for b in word.encode()): count for word, count in words.items()}
    made = []
    for _ in range(num_merges):
        pairs: collections.Counter[tuple[bytes, bytes]] = collections.Counter()
        for word, count in pieces.items():
            for pair in zip(word, word[1:], strict=False):
                pairs[pair] += count
        (best, top), *others = pairs.most_common(2)
        assert not others or others[0][1] < top, "a tie: choose other texts"
        made.append(b"".join(best))
        joined = {}
        for word, count in pieces.items():
            new, i = [], 0
            while i < len(word):
                is_best = word[i : i + 2] == best
                new.append(b"".join(best) if is_best else word[i])
                i += 2 if is_best else 1
            joined[tuple(new)] = count
        pieces = joined
    return made


def test_merges_are_those_of_the_slow_loop():
    counts = {"abab": 100, "ab": 31, "abc": 17, "cd": 5}
    texts = [word for word, count in counts.items() for _ in range(count)]
    words = train_vocabulary(texts, size=258 + 4)
    found = [words.decode([number]).encode() for number in range(258, 262)]
    assert found == slow_merges(counts, 4) == [b"ab", b"abab", b"abc", b"cd"]


def test_equal_texts_give_equal_vocabularies_in_any_order():
    again = train_vocabulary(reversed(TEXTS), size=300)
    assert again.tokenizer.to_str() == vocabulary().tokenizer.to_str()
    assert len(again) == 300
    assert (again.end, again.padding) == (0, 1)


@pytest.mark.parametrize("text", [*ODD, *TEXTS])
@pytest.mark.parametrize("kind", ["trained", "tiny", "bytes"])
def test_every_string_comes_back(text, kind):
    words = {"trained": vocabulary, "tiny": tiny_vocabulary, "bytes": ByteVocabulary}[kind]()
    ids = words.encode(text)
    assert words.decode(ids) == text
    assert words.end not in ids
    assert all(0 <= number < len(words) for number in ids)
    if kind != "trained":
        assert len(ids) == len(text.encode())


def test_training_makes_texts_shorter():
    text = TEXTS[0]
    assert len(vocabulary().encode(text)) < len(text) / 2


def test_marks_are_spelt_out():
    words = vocabulary()
    assert words.decode([words.end, words.padding]) == "<|endoftext|><|padding|>"
    assert ByteVocabulary().decode([97, 256, 98]) == "a<|endoftext|>b"
    assert ByteVocabulary().decode([0xE2, 0x82]) == "\ufffd"


def test_a_file_keeps_everything(tmp_path):
    path = vocabulary().save(tmp_path / "words.json")
    loaded = load_vocabulary(path)
    assert [p.name for p in tmp_path.iterdir()] == ["words.json"]
    for text in (*ODD, *TEXTS):
        assert loaded.encode(text) == vocabulary().encode(text)
    assert (loaded.end, loaded.padding) == (0, 1)


def test_a_vocabulary_without_padding_fills_up_with_its_end_mark(tmp_path):
    facts = json.loads(vocabulary().tokenizer.to_str())
    facts["added_tokens"] = facts["added_tokens"][:1]
    facts["model"]["vocab"]["other"] = facts["model"]["vocab"].pop("<|padding|>")
    path = tmp_path / "words.json"
    path.write_text(json.dumps(facts), encoding="utf-8")
    loaded = load_vocabulary(path)
    assert loaded.padding == loaded.end == 0


def test_bad_files(tmp_path):
    path = tmp_path / "words.json"
    with pytest.raises(CompanionError, match="which does not exist; expected a file"):
        load_vocabulary(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(CompanionError, match="got broken content .*; expected a tokenizer.json"):
        load_vocabulary(path)
    facts = json.loads(vocabulary().tokenizer.to_str())
    path.write_text(json.dumps(facts | {"decoder": None}), encoding="utf-8")
    with pytest.raises(CompanionError, match="an end mark .* decoder NoneType; expected a byte-le"):
        load_vocabulary(path)


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        ([], "texts: got nothing"),
        ("one text", "got one string; expected a list of texts"),
        (["a", ""], "text 1: got an empty text"),
        (["a", 3], "text 1: got 3, a int"),
        (["ab\ud800"], "text 0: got half a character at position 2"),
    ],
)
def test_bad_texts(texts, match):
    with pytest.raises(CompanionError, match=match):
        train_vocabulary(texts, size=300)


@pytest.mark.parametrize("words", [vocabulary(), ByteVocabulary()])
def test_bad_words(words):
    with pytest.raises(CompanionError, match="half a character at position 0"):
        words.encode("\udfff")
    with pytest.raises(CompanionError, match="got None, a NoneType"):
        words.encode(None)
    with pytest.raises(CompanionError, match=rf"got {len(words)}; expected 0..{len(words) - 1}"):
        words.decode([1, len(words)])
    with pytest.raises(CompanionError, match="got -1"):
        words.decode([-1])


def test_too_small_a_vocabulary():
    with pytest.raises(CompanionError, match="size: got 257; expected at least 258"):
        train_vocabulary(TEXTS, size=257)
