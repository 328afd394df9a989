"""Medical terms in what people say: found, coded, denied, and in time that grows with the text."""

import json
import time
from collections import Counter
from collections.abc import Callable

import pytest

from common.clinical import is_code
from common.spoken import numbers_in, tokens_of
from common.terms import find, find_in, phrase_hints, terminology
from common.transcripts import Segment, TermKind
from local.bootstrap import ROOT
from tests.labelled import score_terms, sentences

FILE = ROOT / "common" / "terminology.json"


def test_the_terminology_has_its_sources_and_codes_that_can_be() -> None:
    entries = json.loads(FILE.read_text())
    assert len(entries) >= 600
    sources = {"rxnorm", "icd-10-cm", "snomed-ct", "loinc", "medlineplus", "usan"}
    assert {entry["source"] for entry in entries} <= sources
    words = Counter(word for e in entries for word in [e["term"], *e.get("synonyms", [])])
    assert [word for word, count in words.items() if count > 1] == []
    assert [word for word in words if word != word.lower()] == []
    coded = [entry for entry in terminology() if entry.code]
    assert len(coded) > 1000
    assert [e.name for e in coded if e.code and not is_code(e.code.system, e.code.value)] == []
    systems = Counter(entry.code.system for entry in coded if entry.code)
    assert set(systems) == {"rxnorm", "icd-10", "snomed", "loinc"}


def test_each_term_is_one_entry_of_a_line() -> None:
    lines = FILE.read_text().splitlines()[1:-1]
    assert len(lines) == len(terminology())


def test_our_own_sentences_are_understood(figure: Callable[[str, object], None]) -> None:
    scores = score_terms()
    assert len(sentences()) >= 60
    for name, score in scores.items():
        figure(f"{name}: precision, recall", f"{score.precision:.3f}, {score.recall:.3f}")
    assert scores["terms"].precision > 0.95, scores["terms"].extra
    assert scores["terms"].recall > 0.95, scores["terms"].missed
    for detail in ("negated", "dose", "route", "frequency", "value"):
        assert scores[detail].precision > 0.95, (detail, scores[detail].extra)
        assert scores[detail].recall > 0.95, (detail, scores[detail].missed)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("five hundred milligrams", "500"),
        ("a hundred and sixty", "160"),
        ("one twenty over eighty", "120/80"),
        ("120/80", "120/80"),
        ("one thirty eight over eighty six", "138/86"),
        ("ninety eight point six", "98.6"),
        ("one oh one", "101"),
        ("one oh one point two", "101.2"),
        ("two and a half tablets", "2.5"),
        ("half a tablet", "0.5"),
        ("1/2 tablet", "0.5"),
        ("seven out of ten", "7/10"),
        ("twenty five", "25"),
        ("two thousand five hundred", "2500"),
        ("1,250 units", "1250"),
        ("twice", "2"),
    ],
)
def test_numbers_are_understood_as_they_are_spoken(text: str, value: str) -> None:
    numbers = numbers_in(tokens_of(text))
    assert [number.text for number in numbers] == [value]


def test_two_numbers_in_a_row_are_two() -> None:
    spoken = "take one three times a day for ten days"
    assert [number.text for number in numbers_in(tokens_of(spoken))] == ["1", "3", "10"]


def test_a_term_says_where_it_is_and_who_said_it() -> None:
    segment = Segment(id="s7", speaker="2", start=1, end=2, text="No, but my Chest  pain is worse.")
    (term,) = find(segment)
    assert (term.text, term.kind, term.speaker) == ("Chest  pain", TermKind.SYMPTOM, "2")
    assert segment.text[term.start : term.end] == term.text
    assert (term.segment_id, term.negated) == ("s7", False)
    assert term.code is not None
    assert term.code.value == "R07.9"


@pytest.mark.parametrize(
    "text",
    ["", " ", "?!", "…" * 50, "İstanbul ıı ﬁ", "\U0001f600 chest", "a" * 10_000, "no " * 5_000],
)
def test_whatever_is_said_is_survived(text: str) -> None:
    assert isinstance(find_in(text), list)


def test_places_fit_where_lower_case_is_longer_than_upper_case() -> None:
    text = "İİİ chest pain"
    assert [text[term.start : term.end] for term in find_in(text)] in (["chest pain"], [])


def test_the_time_it_takes_grows_with_the_text_and_no_faster() -> None:
    """A ratio within one run: four times the text takes about four times as long, not sixteen."""
    sentence = "I take metformin 500 mg twice a day and I have no chest pain in my left arm . "

    def took(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            find_in(sentence)
        one_by_one = time.perf_counter() - started
        started = time.perf_counter()
        find_in(sentence * times)
        return (time.perf_counter() - started) / one_by_one

    find_in(sentence)
    assert min(took(100) for _ in range(3)) < 8


def test_speech_is_told_which_words_to_expect() -> None:
    hints = phrase_hints()
    assert 100 <= len(hints) <= 1000
    assert "metformin" in hints
    assert max(map(len, hints)) <= 100
