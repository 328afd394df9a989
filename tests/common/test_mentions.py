"""What people say they have, in their words: present, denied, over, or only spoken of."""

import hypothesis
import hypothesis.strategies as st
import pytest

from common import mentions
from common.mentions import LANGUAGES, Status
from common.phrases import NotAPhrase, folded, pattern_of


def statuses(text: str, finding: str) -> set[Status]:
    return {each.status for each in mentions.mentions(text) if each.finding == finding}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("I have chest pain", "chest_pain"),
        ("there's this pain in my chest", "chest_pain"),
        ("my chest hurts since breakfast", "chest_pain"),
        ("he cant breathe", "cannot_breathe"),
        ("She CAN'T BREATHE!!", "cannot_breathe"),
        ("no puedo respirar", "cannot_breathe"),
        ("er ist bewusstlos", "unresponsive"),
        ("他昏迷了", "unresponsive"),
        ("لا يتنفس", "not_breathing"),
        ("tengo fiebre", "fever"),
        ("I don't know why I have chest pain", "chest_pain"),
        ("the chest pain is not going away", "chest_pain"),
    ],
)
def test_what_somebody_has_is_present(text: str, finding: str) -> None:
    assert Status.PRESENT in statuses(text, finding)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("no chest pain", "chest_pain"),
        ("I don't have any chest pain or fever", "chest_pain"),
        ("I don't have any chest pain or fever", "fever"),
        ("denies chest pain", "chest_pain"),
        ("I dont have chest pain", "chest_pain"),
        ("without fever", "fever"),
        ("no tengo fiebre", "fever"),
        ("sin fiebre", "fever"),
        ("ich habe kein Fieber", "fever"),
    ],
)
def test_what_somebody_denies_is_denied(text: str, finding: str) -> None:
    assert statuses(text, finding) == {Status.DENIED}


@pytest.mark.parametrize(
    ("text", "finding", "status"),
    [
        ("I had chest pain three years ago", "chest_pain", Status.PAST),
        ("As a child I had seizures", "seizure", Status.PAST),
        ("My father died of sepsis", "sepsis_word", Status.PAST),
        ("There is a family history of sepsis", "sepsis_word", Status.PAST),
        ("What are the symptoms of sepsis?", "sepsis_word", Status.SPOKEN_OF),
        ("I read an article about sepsis", "sepsis_word", Status.SPOKEN_OF),
    ],
)
def test_what_is_over_or_only_spoken_of_is_told_apart(
    text: str, finding: str, status: Status
) -> None:
    assert statuses(text, finding) == {status}


def test_what_is_over_does_not_hide_what_is_now() -> None:
    text = "I had a heart attack three years ago, but now I have chest pain again"
    assert statuses(text, "chest_pain") == {Status.PRESENT}


@pytest.mark.parametrize(
    "text",
    [
        "that exam nearly gave me a heart attack",
        "my phone died and my laptop is dying",
        "I am dying to see that movie",
        "she broke my heart",
        "a stroke of luck",
        "he is a pain in the neck",
    ],
)
def test_figures_of_speech_are_no_findings(text: str) -> None:
    assert mentions.present([text]) == {}


def test_a_chart_names_conditions_by_words_or_codes() -> None:
    assert "asthma" in mentions.conditions(["Asthma bronchiale"])
    assert "diabetes" in mentions.conditions([], ["E11.9"])
    assert mentions.conditions(["Hay fever"], ["J30.1"]).isdisjoint({"asthma", "diabetes"})


def test_every_finding_is_sound() -> None:
    found = mentions.findings()
    assert len(found) >= 200
    assert len({each.id for each in found}) == len(found)
    for finding in found:
        for language in LANGUAGES[:4]:
            for phrase in getattr(finding, language):
                pattern_of(phrase)
                assert phrase == phrase.lower(), (finding.id, phrase)


@pytest.mark.parametrize("phrase", ["", "(a", "a)", "(a|(b))", "a | b", "?"])
def test_what_is_no_phrase_is_refused(phrase: str) -> None:
    with pytest.raises(NotAPhrase):
        pattern_of(phrase)


@hypothesis.given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    mentions.mentions(text)
    seen = folded(text)
    assert len(seen.tokens) == len(seen.starts)


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    """No pattern that runs away: the most repetitive text that a message may hold is read."""
    for text in ("chest " * 800, "no " * 1500, "my " * 1500, "a" * 4000, "pain in my " * 400):
        mentions.mentions(text[:4000])
