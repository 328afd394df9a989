"""Promise 41: what a note says, and nobody said, is marked."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.grounding import check
from common.transcripts import NoteSentence, Segment, Unsupported
from tests.labelled import claims, score_notes


def segments(*texts: str) -> list[Segment]:
    return [
        Segment(id=f"s{n}", speaker=str(1 + n % 2), start=n, end=n + 1, text=text)
        for n, text in enumerate(texts, 1)
    ]


def marks(sentence: str, *texts: str) -> list[tuple[str, str]]:
    said = segments(*texts)
    cited = NoteSentence(text=sentence, segment_ids=[segment.id for segment in said])
    return [(mark.kind.value, mark.text) for mark in check(cited, said).unsupported]


def test_p41_every_tampered_sentence_of_ours_is_marked(
    figure: Callable[[str, object], None],
) -> None:
    scores = score_notes()
    assert len(claims()) >= 120
    for name, score in scores.items():
        figure(f"{name}: precision, recall", f"{score.precision:.3f}, {score.recall:.3f}")
    figure("unmarked", len(scores["claim"].missed))
    assert scores["claim"].missed == []
    assert scores["claim"].precision > 0.9, scores["claim"].extra
    for kind in ("number", "drug", "dose", "side", "negation"):
        assert scores[kind].recall > 0.95, (kind, scores[kind].missed)


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Metformin 500 mg twice daily.", "take metformin five hundred milligrams twice a day"),
        ("Acetaminophen 500 mg as needed.", "you can take tylenol 500 mg when you need it"),
        ("Blood pressure 120/80.", "your blood pressure is one twenty over eighty"),
        ("Left knee pain for 3 weeks.", "my left knee has hurt for three weeks"),
        ("Denies fever.", "i have no fever at all"),
    ],
)
def test_what_was_said_in_other_words_is_not_marked(sentence: str, said: str) -> None:
    assert marks(sentence, said) == []


@pytest.mark.parametrize(
    ("sentence", "said", "mark"),
    [
        ("Pain for 4 weeks.", "it has hurt for three weeks, the pain", ("number", "4")),
        ("Take warfarin.", "take aspirin", ("drug", "warfarin")),
        ("Aspirin 325 mg.", "take aspirin 81 mg", ("dose", "325 mg")),
        ("Right knee pain.", "my left knee hurts", ("side", "Right")),
        ("Denies chest pain.", "i do have chest pain", ("negation", "chest pain")),
        ("Reports chest pain.", "i have no chest pain", ("negation", "chest pain")),
        ("The moon is green.", "i have a cough", ("words", "The moon is green.")),
    ],
)
def test_each_kind_of_what_was_not_said_is_marked(
    sentence: str, said: str, mark: tuple[str, str]
) -> None:
    assert mark in marks(sentence, said)


def test_an_answer_belongs_to_its_question() -> None:
    asked = ("do you have any chest pain", "no, not at all")
    assert marks("Denies chest pain.", *asked) == []
    assert marks("Reports chest pain.", *asked) == [("negation", "chest pain")]
    assert marks("Reports chest pain.", "any chest pain", "yes, since Monday") == []


@pytest.mark.parametrize(
    ("sentence", "texts"),
    [
        ("Patient smokes.", ("Do you smoke?", "No, never.")),
        ("Drinks alcohol.", ("Do you drink alcohol?", "No.")),
        ("Patient vomited.", ("I did not vomit.",)),
        ("Metformin 500 mg once daily.", ("Take metformin 500 milligrams twice a day",)),
    ],
)
def test_what_was_denied_is_not_affirmed_in_any_words(
    sentence: str, texts: tuple[str, ...]
) -> None:
    assert marks(sentence, *texts)


def test_a_sentence_that_cites_nothing_or_what_is_not_there_is_marked() -> None:
    said = segments("i have a cough")
    for cited in ([], ["s9"], ["s1", "s9"]):
        checked = check(NoteSentence(text="Cough.", segment_ids=cited), said)
        assert [mark.kind for mark in checked.unsupported] == [Unsupported.CITATION]


@given(text=st.text(max_size=200), said=st.text(max_size=200))
def test_whatever_is_written_is_checked(text: str, said: str) -> None:
    checked = check(NoteSentence(text=text, segment_ids=["s1"]), segments(said))
    assert checked.text == text


@given(dose=st.integers(1, 2000), other=st.integers(1, 2000))
def test_a_dose_is_supported_by_itself_and_by_no_other(dose: int, other: int) -> None:
    found = marks(f"Take ibuprofen {dose} mg.", f"take ibuprofen {other} mg")
    assert (found == []) == (dose == other)
