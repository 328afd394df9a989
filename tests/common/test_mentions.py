"""What people say they have, in their words: present, denied, over, or only spoken of."""

import hypothesis
import hypothesis.strategies as st
import pytest

from common import mentions
from common.mentions import LANGUAGES, Status
from common.phrases import NotAPhrase, folded, pattern_of
from common.red_flags import Situation, found_in
from common.urgency import Urgency


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


# What a review found missed or raised for nothing, with more of the same kinds.


def is_emergency(text: str) -> bool:
    return any(flag.urgency is Urgency.EMERGENCY for flag in found_in(Situation([text])))


@pytest.mark.parametrize(
    "text",
    [
        "I'm having a heart attack",
        "I am having a stroke",
        "blood is pouring from my leg",
        "I'm bleeding out",
        "I am bleeding heavily from my leg",
        "He will kill me",
        "My son swallowed razor blades",
        "My daughter swallowed glass",
        "My son's skin is on fire, petrol was poured over him",
        "Dad died of a heart attack and I have crushing chest pain and I'm sweating",
        "history of diabetes, crushing chest pain down left arm, sweating",
        "What does it mean when my face is drooping and I can't speak?",
        "reading on the sofa when my left arm went numb",
        "I've never had such crushing chest pain",
        "never felt anything like this chest pain and I'm sweating",
        "Without warning I got the worst headache of my life",
        "I stopped aspirin, crushing chest pain since an hour",
        "My husband is going to kill me, he has a gun",
        "My daughter swallowed magnets",
        "Our house is on fire and my son is inside",
        "My grandfather died of a stroke and now my face is numb on one side",
        "History of high blood pressure and sudden worst headache of my life",
        "Reading a book when suddenly I couldn't speak and my right arm went weak",
        "What are the signs of a stroke? My left arm went numb and I can't talk",
        "He passed out without warning and has no pulse",
        "I came off my tablets last week, crushing chest pain",
        "My arm is bleeding heavily, I fell through a window",
        "My four month old is limp and won't feed",
        "He was pulled from a burning house and is coughing soot",
        "Someone threw acid in my face",
        "He shot himself in the head",
        "Me está dando un infarto",
        "Mi marido me va a matar",
        "Nunca he tenido un dolor de pecho así y estoy sudando",
        "Noch nie so starke Brustschmerzen gehabt, ich schwitze",
        "Es blutet stark aus dem Bein",
        "Ich verblute",
    ],
)
def test_a_plain_emergency_is_one(text: str) -> None:
    assert is_emergency(text)


@pytest.mark.parametrize(
    "text",
    [
        "it feels like swallowing razor blades",
        "my throat is on fire",
        "My mom will kill me when she sees my grades",
        "My teacher will kill me if I miss the exam",
        "My legs are on fire after leg day",
        "I am on fire today, finished all my work",
        "I have never had chest pain",
        "no chest pain",
        "I stopped smoking, drinking and eating meat",
        "I'm not having a heart attack, just heartburn after pizza",
        "What are the symptoms of a stroke?",
        "I watched a documentary about people who are unconscious",
        "She set the house on fire in the movie",
        "The leaflet says it can cause seizures",
        "I have a family history of heart disease, diabetes and stroke",
        "My grandfather died of a heart attack and I want a check-up",
        "History of seizures as a child, I need a note for my driving licence",
        "I am bleeding from my hemorrhoids a little when I wipe",
        "Bleeding out of my gums a little when I floss",
        "Nunca he tenido dolor de pecho",
        "Mi mamá me va a matar por las notas",
        "Ich habe noch nie Brustschmerzen gehabt",
    ],
)
def test_what_only_sounds_like_an_emergency_is_none(text: str) -> None:
    assert not is_emergency(text)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("he can't move his arm", Status.PRESENT),
        ("he is unable to move his arm", Status.PRESENT),
        ("she is barely breathing", Status.PRESENT),
        ("my arm is not weak", Status.DENIED),
    ],
)
def test_a_phrase_denies_only_where_it_says_so(text: str, status: Status) -> None:
    """The alternatives of one phrase are told apart: `(cant|unable to) move`."""
    found = {
        each.status
        for each in mentions.mentions(text)
        if each.finding in ("one_sided_weakness", "not_breathing")
    }
    assert found == {status}


@pytest.mark.parametrize(
    "text",
    [
        "No fever, chest pain since an hour",
        "No fever, no cough, chest pain radiating to my arm",
        "No fever or cough, chest pain",
    ],
)
def test_a_denial_ends_at_a_comma_that_begins_what_is_there(text: str) -> None:
    assert "chest_pain" in mentions.present([text])


@pytest.mark.parametrize(
    "text", ["No fever, cough or chest pain", "No cough, fever, or chest pain"]
)
def test_a_denial_goes_on_in_a_list_that_ends_with_or(text: str) -> None:
    assert mentions.present([text]) == {}
