"""Promise 37: who a text is about does not leave with it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.redaction import Identifier, Kind, NotRedacted, Redactor, language_of

KNOWN = (
    Identifier(Kind.PERSON, "Ana María García López"),
    Identifier(Kind.PERSON, "Dr. Inés O’Connell"),
    Identifier(Kind.PHONE, "+34612345678"),
    Identifier(Kind.EMAIL, "ana@example.test"),
    Identifier(Kind.ADDRESS, "1 High Street"),
    Identifier(Kind.ADDRESS, "Oaxaca"),
    Identifier(Kind.ID, "XK-4471-99"),
    Identifier(Kind.DATE, "1984-05-06"),
)


@pytest.mark.parametrize(
    ("text", "planted"),
    [
        ("Hello Mrs. García, come in.", "García"),
        ("hello garcía lópez", "garcía"),
        ("This is ANA speaking", "ANA"),
        ("I am Ana's mother", "Ana"),
        ("Doctor O’Connell said so", "Connell"),
        ("call me at +34 612 345 678", "612"),
        ("call me at 612-345-678 please", "345"),
        ("my number is 555 010 9988", "555"),
        ("my number is five five five oh one oh nine", "five five five"),
        ("write to ana@example.test", "example"),
        ("write to someone.else@mail.example", "someone"),
        ("ana at example dot com", "example dot com"),
        ("I live at 1 High Street in Oaxaca", "High"),
        ("I moved to 22 Baker Street", "Baker"),
        ("my member id is XK-4471-99", "4471"),
        ("my member id is xk 4471 99", "4471"),
        ("policy AB123456", "AB123456"),
        ("number 123456789", "123456789"),
        ("social 123-45-6789", "6789"),
        ("born on 1984-05-06", "1984"),
        ("born on May 6, 1984", "May 6"),
        ("born on the sixth of may 1984", "sixth"),
        ("since 03/04/2025", "2025"),
        ("on the 3rd of March", "March"),
        ("in march 2024", "2024"),
        ("my name is Bob Miller", "Bob"),
        ("my name is bob", "bob"),
        ("my daughter Emily has it too", "Emily"),
        ("see Dr. Patel tomorrow", "Patel"),
        ("see https://example.test/me", "example"),
        ("a 94 year old woman", "94"),
        ("she is ninety four years old", "ninety"),
        ("born on the fifth of May", "May"),
    ],
)
def test_p37_identifiers_of_each_kind_are_taken_out(text: str, planted: str) -> None:
    redactor = Redactor(KNOWN)
    redacted = redactor.redact(text)
    assert planted.lower() not in redacted.lower()
    assert re.search(r"\[[A-Z]+_1\]", redacted)
    assert redactor.restore(redacted) == text


@pytest.mark.parametrize(
    "text",
    [
        "Take metformin 500 mg twice a day for 10 days.",
        "Blood pressure 120/80, pulse 72, temperature 98.6.",
        "It has hurt for three weeks, five or six times a day.",
        "insulin one thousand units; that may be too much",
        "A 45 year old with pain 7 out of 10.",
        "Doctor, it hurts. The doctor said that it will get better.",
        "come back on Monday at ten",
    ],
)
def test_what_is_medical_and_nobodys_stays(text: str) -> None:
    assert Redactor(KNOWN).redact(text) == text


@pytest.mark.parametrize(
    ("name", "text", "planted"),
    [
        ("Mark Young", "Hi Mark", "Mark"),
        ("Grace Hope", "So Grace, how are you", "Grace"),
        ("Li Na", "Good morning Li", "Li"),
        ("José Núñez", "Good morning Jose", "Jose"),
        ("José Núñez", "Mister Nunez is here", "Nunez"),
        ("Zoë d’Arcy", "zoe darcy", "zoe"),
    ],
)
def test_p37_a_name_is_found_however_it_is_heard(name: str, text: str, planted: str) -> None:
    redacted = Redactor((Identifier(Kind.PERSON, name),)).redact(text)
    assert planted not in redacted


@pytest.mark.parametrize("city", ["Essen", "Paris"])
def test_a_name_within_another_word_stops_nobody(city: str) -> None:
    text = "essential hypertension in comparison"
    assert Redactor((Identifier(Kind.ADDRESS, city),)).redact(text) == text


def test_one_person_is_one_token_throughout() -> None:
    redactor = Redactor(KNOWN)
    first = redactor.redact("Ana has a cough.")
    second = redactor.redact("I told ana that Emilia called: my daughter Emilia.")
    assert "[PERSON_1]" in first
    assert "[PERSON_1]" in second
    assert redactor.counts["PERSON"] == 2


def test_a_token_that_was_never_given_is_not_made_up() -> None:
    assert Redactor(KNOWN).restore("[PERSON_9] and [DATE_1]") == "[PERSON_9] and [DATE_1]"


def test_what_could_not_be_taken_out_stops_everything() -> None:
    redactor = Redactor((Identifier(Kind.ID, "ab-cd-12"),))
    with pytest.raises(NotRedacted):
        redactor.redact("it is A B C D 1 2, spelled")


@given(st.text(max_size=300))
def test_whatever_is_said_is_redacted_or_refused(text: str) -> None:
    redactor = Redactor(KNOWN)
    try:
        redacted = redactor.redact(text)
    except NotRedacted:
        return
    assert "garcía" not in redacted.lower()
    redactor.check(redacted)


@pytest.mark.parametrize(
    "text",
    [
        "Je m'appelle Camille Dubois et j'ai mal à la tête depuis hier",
        "Mi chiamo Giulia Rossi e ho la febbre da tre giorni",
        "Meu nome é João Silva e eu estou com dor há três dias",
        "Ik heb pijn in mijn buik en ik heet Sanne de Vries",
        "Меня зовут Иван и у меня болит голова",
    ],
)
def test_languages_whose_names_are_not_known_do_not_leave(text: str) -> None:
    assert language_of(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I have had a fever since Monday and my head hurts", "en"),
        ("Me duele la cabeza y tengo fiebre desde el lunes", "es"),
        ("Ich habe seit gestern Fieber und mein Kopf tut weh", "de"),
        ("headache, fever", "en"),
    ],
)
def test_languages_that_are_known(text: str, language: str) -> None:
    assert language_of(text) == language
