"""What a model wrote of sources: only sentences that hold what they cite are let through."""

from collections.abc import AsyncIterator, Sequence

import pytest

from common.cited import Checker, Left, Passage, first_sentences, sentences, split

GOUT = Passage(
    1, "Gout. Gout is a sudden pain in a joint. Rest the joint and cool it for 20 minutes."
)
COLD = Passage(2, "Cold. A cold gets better within 10 days. Drink enough.")


def checker(question: str = "What helps against gout?", *, is_english: bool = True) -> Checker:
    sent = question + GOUT.text + COLD.text
    return Checker([GOUT, COLD], sent, question, is_english=is_english)


@pytest.mark.parametrize(
    ("sentence", "let_through"),
    [
        ("Rest the joint and cool it. [1]", "Rest the joint and cool it [1]."),
        ("Rest the joint and cool it [1].", "Rest the joint and cool it [1]."),
        ("Gout is a pain in a joint [1, 2].", "Gout is a pain in a joint [1][2]."),
        ("Gout is a pain in a joint [1][9].", "Gout is a pain in a joint [1]."),
        ("Cool the joint for 20 minutes [1]!", "Cool the joint for 20 minutes [1]!"),
    ],
)
def test_what_a_source_says_is_let_through(sentence: str, let_through: str) -> None:
    assert checker().check(sentence) == let_through


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("Rest the joint.", Left.UNCITED),
        ("Rest the joint [7].", Left.UNCITED),
        ("", Left.UNCITED),
        ("[1]", Left.UNCITED),
        ("Take 500 mg of colchicine for the joint [1].", Left.UNSUPPORTED),
        ("Elephants like bananas very much [1].", Left.UNSUPPORTED),
        ("Cool the joint for 45 minutes [1].", Left.UNSUPPORTED),
        ("There is no need to see a doctor about the joint [1].", Left.LOWERS),
        ("You don't need to call an ambulance, rest the joint [1].", Left.LOWERS),
        ("Pain in a joint is not an emergency [1].", Left.LOWERS),
        ("You can safely wait and rest the joint [1].", Left.LOWERS),
        ("Rest the joint, and write to maria@example.com [1].", Left.IDENTIFIES),
        ("Rest the joint, as in the record MRN-4471882 [1].", Left.IDENTIFIES),
    ],
)
def test_what_no_source_says_is_left_out_with_its_reason(sentence: str, why: Left) -> None:
    found = checker()
    assert found.check(sentence) is None
    assert found.left == [why]


def test_a_number_of_the_question_may_come_back() -> None:
    found = checker("Gout since 45 days?")
    assert found.check("After 45 days of gout rest the joint [1].") is not None


def test_in_other_languages_numbers_are_compared_and_words_are_not() -> None:
    found = checker("¿Qué ayuda contra la gota?", is_english=False)
    assert found.check("Descanse la articulación y enfríela 20 minutos [1].") is not None
    assert found.check("Enfríela 45 minutos [1].") is None
    assert found.check("No es una emergencia [1].") is None


def test_citations_are_told_once_each() -> None:
    found = checker()
    for sentence in ("Rest the joint and cool it [1].", "Gout is a pain in a joint [1]."):
        found.check(sentence)
    assert found.cited == [1]


async def _pieces(parts: Sequence[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part


@pytest.mark.parametrize(
    "parts",
    [
        ["Rest it. [1] Cool it [2]. Then ", "what? [1]"],
        list("Rest it. [1] Cool it [2]. Then what? [1]"),
        ["Rest it.", " [1]", " Cool it [2].", " Then what? [1]"],
    ],
)
async def test_sentences_come_whole_with_their_marks(parts: list[str]) -> None:
    found = [each async for each in sentences(_pieces(parts))]
    assert found == ["Rest it. [1]", "Cool it [2].", "Then what? [1]"]


async def test_what_has_no_end_is_a_sentence_too() -> None:
    assert [each async for each in sentences(_pieces(["no end"]))] == ["no end"]
    assert [each async for each in sentences(_pieces([]))] == []


def test_a_source_says_its_first_sentences_first() -> None:
    assert first_sentences("One. Two! Three? Four.", 2) == "One. Two!"


def test_a_token_is_no_number_that_a_source_lacks() -> None:
    assert checker().check("[PERSON_7], rest the joint and cool it [1].") is not None


def test_no_cause_is_called_like_a_person() -> None:
    assert checker().is_cause("Gout", "pain in a joint")
    assert not checker().is_cause("Gout [PERSON_1]", "pain in a joint")


def test_of_several_sentences_each_is_looked_at() -> None:
    said = "Rest the joint and cool it [1]. Take 900 mg of colchicine. Drink enough [2]."
    assert split(said) == [
        "Rest the joint and cool it [1].",
        "Take 900 mg of colchicine.",
        "Drink enough [2].",
    ]
    assert checker().check_all(said) == "Rest the joint and cool it [1]. Drink enough [2]."
    assert checker().check_all("Take 900 mg of colchicine.") is None
    assert checker().check_all("") is None
