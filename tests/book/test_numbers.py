"""Result figures in prose come from the run, or from a cited work."""

from pathlib import Path

import pytest

from booktools.layout import chapters, table_of_contents
from booktools.numbers import FIGURE, NOT_PROSE, Fact, cited_facts, fact_faults, literal_figures

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for page in table_of_contents(ROOT) if page.is_chapter or page.stem == "index"]


def test_there_are_pages():
    assert len(PAGES) >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_result_figure_is_written_by_hand(page):
    assert literal_figures(page, cited_facts(ROOT)) == []


def test_cited_facts_stand_in_their_chapter_with_their_citation():
    assert fact_faults(ROOT, table_of_contents(ROOT)) == []


@pytest.mark.parametrize(
    "text",
    [
        "an accuracy of 0.93",
        "it gains 12 % over",
        "it gains 12% over",
        "fine-tuning gains 3 points",
        "a 3-point gain",
        "takes 41 seconds",
        "takes 7 s on",
        "95 percent of",
        "loses .5 of",
        "1,797 seconds",
        "twice 2.5 times as much",
    ],
)
def test_result_figure_is_found(text):
    assert FIGURE.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "five seeds and 20 labels a class",
        "samples 0 to 999",
        "layer 3, stage 2",
        "at 10 labels, 90 of one class",
        "see section 4",
        "32 by 32 pixels",
        "resnet18",
        "exercise 3: 5 minutes",
    ],
)
def test_count_is_no_result_figure(text):
    assert not FIGURE.search(text)


@pytest.mark.parametrize(
    "text",
    ["{glue:text}`gain:.3f`", "`x = 0.5`", "$p = 0.05$", "[text](https://a.b/1.5)", "$$a = 0.1$$"],
)
def test_glue_code_and_maths_are_no_prose(text):
    assert not FIGURE.search(NOT_PROSE.sub(" ", text))


def with_sentence(root: Path, sentence: str):
    page = chapters(root)[0]
    page.source.write_text(page.text.replace("We expect squares.", sentence))
    return chapters(root)[0]


def test_figure_by_hand_is_told_with_its_surroundings(mini_book):
    page = with_sentence(mini_book, "We expect an accuracy of 0.93 here.")
    (told,) = literal_figures(page, [])
    assert told.startswith("vision/image-classification: …")
    assert "We expect an accuracy of 0.93 here." in told


def test_figure_in_a_caption_is_found(mini_book):
    page = chapters(mini_book)[0]
    page.source.write_text(page.text.replace("than their roots,", "than 0.5 roots,"))
    assert len(literal_figures(chapters(mini_book)[0], [])) == 1


def test_cited_fact_is_allowed_in_its_chapter_only(mini_book):
    page = with_sentence(mini_book, "They report 76.1 % {cite}`kumar2022finetuning`.")
    fact = Fact("vision/image-classification", "76.1 %", "kumar2022finetuning")
    assert literal_figures(page, [fact]) == []
    assert len(literal_figures(page, [Fact("vision/other", "76.1 %", "x")])) == 1


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('chapter = "vision/none"\ntext = "1 %"\ncite = "hu2021lora"', "no such page"),
        (
            'chapter = "vision/image-classification"\ntext = "1 %"\ncite = "hu2021lora"',
            "does not say '1 %' any more",
        ),
        (
            'chapter = "vision/image-classification"\ntext = "squares"\ncite = "he2016deep"',
            "needs a citation of he2016deep",
        ),
    ],
)
def test_faulty_fact_is_told(mini_book, entry, told):
    (mini_book / "book" / "cited_figures.toml").write_text(f"[[fact]]\n{entry}\n")
    found = fact_faults(mini_book, table_of_contents(mini_book))
    assert len(found) == 1 and told in found[0]
