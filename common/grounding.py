"""Compares each sentence of a note with the segments that it cites, and marks what nobody said.

Ours, not the model's: what wrote the note does not judge it. Numbers, drugs,
doses, sides and negations are compared as what they mean (`five hundred
milligrams` is `500 mg`, Tylenol is acetaminophen). Where it is in doubt, it marks:
a mark costs a doctor a look, what is not marked may cost more.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from common.negation import negated
from common.spoken import Number, Token, number_at, numbers_in, tokens_of, word_set
from common.terms import find_in, unit_of
from common.transcripts import Mark, NoteSentence, Segment, Term, TermKind, Unsupported

_FINDINGS = (TermKind.SYMPTOM, TermKind.CONDITION, TermKind.PROCEDURE, TermKind.MEDICATION)

_SIDES = {
    "left": "left",
    "right": "right",
    "both": "both",
    "bilateral": "both",
    "bilaterally": "both",
    "l": "left",
    "r": "right",
}
_NO_SIDE_AFTER = word_set("""
    away now here there after before so over it the a my his her you
""")
_NO_SIDE_BEFORE = word_set("""
    all that's he's she's i've they've have has had i he she we they just
""")
_SIDE_REACH = 4

_YES = word_set("""
    yes yeah yep yup sure correct right definitely sometimes a always mhm uh-huh
""")
_NO = {"no", "nope", "nah", "never", "not", "none", "negative", "neither", "don't", "haven't"}
_ASKS = re.compile(
    r"^(?:and |or |so |well |okay |ok |what about |how about |any|do |does |did |have |has |are |is |was |were "
    r"|can |could |ever |when |where |tell me)|\?\s*$"
)
_LATIN = {"bid": 2.0, "tid": 3.0, "qid": 4.0, "daily": 1.0, "nightly": 1.0, "weekly": 1.0}
_PER_DAY = {"once", "twice", *_LATIN}
_ARTICLES = {"a", "an", "the", "one"}

_EMPTY = word_set("""
    patient reports report reported denies denied states stated notes noted has have had is
    are was were with without and or of the a an to for in on at no not be been this that it
    her his their she he they i you we as by from history current currently continue start
    started plan follow up exam examination complains presents presenting shows showed will
    advised discussed may due
""")


@dataclass
class _Said:
    """What some text means, as far as it can be compared."""

    numbers: set[str] = field(default_factory=set)
    drugs: set[str] = field(default_factory=set)
    doses: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """(number, unit) by drug; under "" those of no drug."""
    sides: list[tuple[str, str]] = field(default_factory=list)
    """(side, part of the body), with "" for a part that is not known."""
    parts: set[str] = field(default_factory=set)
    polarity: dict[str, set[bool]] = field(default_factory=dict)
    """Whether a finding is denied, by its name; both, if both were said."""
    words: dict[str, set[bool]] = field(default_factory=dict)
    """The same by the stem of each word."""


def check(sentence: NoteSentence, segments: Sequence[Segment]) -> NoteSentence:
    """The sentence with a mark for each thing that the cited ones of these segments do not contain."""
    known = {segment.id: segment for segment in segments}
    cited = [known[id] for id in sentence.segment_ids if id in known]
    if not cited or len(cited) != len(sentence.segment_ids):
        mark = Mark(kind=Unsupported.CITATION, text=sentence.text)
        return sentence.model_copy(update={"unsupported": [mark]})
    marks = list(_marks(sentence.text, _with_answers(cited, segments)))
    return sentence.model_copy(update={"unsupported": marks})


def _with_answers(cited: Sequence[Segment], segments: Sequence[Segment]) -> list[Segment]:
    """Cited questions are told with their answers, for alone they say nothing."""
    ids = {segment.id for segment in cited}
    return [segment for segment in segments if segment.id in ids]


def _marks(text: str, cited: Sequence[Segment]) -> Iterator[Mark]:
    source = _meaning_of(cited)
    tokens = tokens_of(text)
    terms = find_in(text)
    in_doses = list(_dose_spans(terms))
    for number in numbers_in(tokens):
        start, end = tokens[number.first].start, tokens[number.last - 1].end
        if any(first <= start < last for first, last in in_doses) or _is_no_number(tokens, number):
            continue
        if number.text not in source.numbers:
            yield Mark(kind=Unsupported.NUMBER, text=text[start:end])
    for term in terms:
        if term.kind is TermKind.MEDICATION and term.name not in source.drugs:
            yield Mark(kind=Unsupported.DRUG, text=term.text)
    yield from _dose_marks(text, terms, source)
    yield from _side_marks(text, tokens, terms, source)
    yield from _negation_marks(text, tokens, terms, source)
    if not _shares_anything(tokens, terms, source):
        yield Mark(kind=Unsupported.WORDS, text=text)


# ---------------------------------------------------------------- what was said


def _meaning_of(cited: Sequence[Segment]) -> _Said:
    said = _Said()
    for position, segment in enumerate(cited):
        tokens = tokens_of(segment.text)
        terms = find_in(segment.text)
        _add_numbers(said, tokens)
        _add_drugs(said, terms)
        said.sides += _sides(tokens, terms)
        said.parts |= {term.name or "" for term in terms if term.kind is TermKind.ANATOMY}
        answer = _answer_to(segment, cited[position + 1 :])
        _add_polarity(said, tokens, terms, answer)
    return said


def _add_numbers(said: _Said, tokens: Sequence[Token]) -> None:
    for number in numbers_in(tokens):
        said.numbers.add(number.text)
        said.numbers.add(Number(0, 0, number.value).text)
        if number.second is not None:
            said.numbers.add(Number(0, 0, number.second).text)
    words = [token.text for token in tokens]
    said.numbers |= {Number(0, 0, _LATIN[word]).text for word in words if word in _LATIN}
    if {"a", "per", "every", "each"} & set(words):
        said.numbers.add("1")  # `every day` is once a day


def _add_drugs(said: _Said, terms: Sequence[Term]) -> None:
    owned = set()
    for term in terms:
        if term.kind is TermKind.MEDICATION:
            name = term.name or term.text
            said.drugs.add(name)
            if term.dose and (dose := _dose_of(term.dose)):
                said.doses.setdefault(name, set()).add(dose)
                owned.add(term.dose)
    for term in terms:
        if term.kind is not TermKind.DOSAGE or term.text in owned:
            continue
        if dose := _dose_of(term.text):
            said.doses.setdefault("", set()).add(dose)


def _dose_of(text: str) -> tuple[str, str] | None:
    tokens = tokens_of(text)
    number = number_at(tokens, 0)
    unit = unit_of(tokens[-1].text)
    if unit is None:
        return None
    value = number.value if number is not None else 1.0
    if unit == "g":
        value, unit = value * 1000, "mg"
    return Number(0, 0, value).text, _countable(unit)


def _countable(unit: str) -> str:
    """Tablets, pills and capsules are told apart by nobody who counts them."""
    return "tablets" if unit in ("capsules", "doses") else unit


def _answer_to(segment: Segment, following: Sequence[Segment]) -> bool | None:
    """Whether a question was answered with no; None when it is none, or it is not clear."""
    if not _ASKS.search(segment.text.lower()) or not following:
        return None
    answer = following[0]
    if segment.speaker is not None and answer.speaker == segment.speaker:
        return None
    words = [token.text for token in tokens_of(answer.text)]
    if words and words[0] in _NO:
        return True
    return False if words and words[0] in _YES else None


def _add_polarity(
    said: _Said, tokens: Sequence[Token], terms: Sequence[Term], answer: bool | None
) -> None:
    denied = negated(tokens)
    for term in terms:
        if term.kind in _FINDINGS:
            is_denied = term.negated if answer is None else answer
            said.polarity.setdefault(term.name or term.text, set()).add(is_denied)
    for token, is_denied in zip(tokens, denied, strict=True):
        stem = _stem(token.text)
        if stem:
            said.words.setdefault(stem, set()).add(is_denied if answer is None else answer)


# ---------------------------------------------------------------- comparing


def _is_no_number(tokens: Sequence[Token], number: Number) -> bool:
    """`one` is a pronoun more often; `once daily` and `twice` say how often."""
    word = tokens[number.first].text
    return bool(number.last - number.first == 1 and word in ("one", "once"))


def _dose_spans(terms: Sequence[Term]) -> Iterator[tuple[int, int]]:
    return ((term.start, term.end) for term in terms if term.kind is TermKind.DOSAGE)


def _dose_marks(text: str, terms: Sequence[Term], source: _Said) -> Iterator[Mark]:
    owner = {
        term.dose: term.name
        for term in terms
        if term.kind is TermKind.MEDICATION and term.dose is not None
    }
    for term in terms:
        if term.kind is not TermKind.DOSAGE:
            continue
        dose = _dose_of(term.text)
        drug = owner.get(term.text) or ""
        if dose is None or _is_given(dose, drug, source):
            continue
        yield Mark(kind=Unsupported.DOSE, text=term.text)


def _is_given(dose: tuple[str, str], drug: str, source: _Said) -> bool:
    of_drug = source.doses.get(drug, set()) if drug else set()
    if dose in of_drug or dose in source.doses.get("", set()):
        return True
    if not drug or drug not in source.drugs:
        return any(dose in doses for doses in source.doses.values())
    # `metformin 500 twice a day`: a number without a unit, of a drug without another dose.
    return not of_drug and not source.doses.get("") and dose[0] in source.numbers


def _sides(tokens: Sequence[Token], terms: Sequence[Term]) -> list[tuple[str, str]]:
    found = []
    for at, token in enumerate(tokens):
        side = _SIDES.get(token.text)
        if side is None or _is_no_side(tokens, at):
            continue
        found.append((side, _part_at(tokens, at, terms)))
    return found


def _is_no_side(tokens: Sequence[Token], at: int) -> bool:
    """`right away`, `that's right`, `she left the hospital`; `both` of anything at all."""
    word = tokens[at].text
    if word in ("l", "r"):
        return True
    before = tokens[at - 1].text if at else ""
    following = tokens[at + 1].text if at + 1 < len(tokens) else "."
    if following in ("side", "sided"):
        return False
    if word in ("left", "right"):
        is_end = following in (".", ",", "?", "!")
        adverb = following in _NO_SIDE_AFTER or before in _NO_SIDE_BEFORE
        return (adverb and before not in ("the", "my", "her", "his", "your")) or (
            is_end and before not in ("the", "my", "her", "his", "your", "on")
        )
    return False


def _part_at(tokens: Sequence[Token], at: int, terms: Sequence[Term]) -> str:
    """The part of the body that a side belongs to: the next one, else the one just before."""
    start = tokens[at].start
    parts = [term for term in terms if term.kind is TermKind.ANATOMY]
    for term in parts:
        between = [t for t in tokens if start < t.start < term.start]
        if term.start > start and len(between) < _SIDE_REACH:
            return term.name or term.text
    for term in reversed(parts):
        between = [t for t in tokens if term.end <= t.start < start]
        if term.end <= start and len(between) < _SIDE_REACH:
            return term.name or term.text
    return ""


def _side_marks(
    text: str, tokens: Sequence[Token], terms: Sequence[Term], source: _Said
) -> Iterator[Mark]:
    for at, token in enumerate(tokens):
        side = _SIDES.get(token.text)
        if side is None or _is_no_side(tokens, at):
            continue
        if not _is_on_side(side, _part_at(tokens, at, terms), source):
            yield Mark(kind=Unsupported.SIDE, text=text[token.start : token.end])


def _is_on_side(side: str, part: str, source: _Said) -> bool:
    of_part = {each for each, of in source.sides if part and of == part}
    said = of_part or {each for each, of in source.sides if not part or not of or of == part}
    if not of_part and part and part not in source.parts:
        said = {each for each, _ in source.sides}
    if side == "both":
        return "both" in said or {"left", "right"} <= said
    return side in said or "both" in said


def _negation_marks(
    text: str, tokens: Sequence[Token], terms: Sequence[Term], source: _Said
) -> Iterator[Mark]:
    covered: list[tuple[int, int]] = []
    for term in terms:
        if term.kind not in _FINDINGS:
            continue
        covered.append((term.start, term.end))
        said = source.polarity.get(term.name or term.text)
        if (said is not None and term.negated not in said) or (
            said is None and term.negated and not _stems_denied(term.text, source)
        ):
            yield Mark(kind=Unsupported.NEGATION, text=term.text)
    denied = negated(tokens)
    for token, is_denied in zip(tokens, denied, strict=True):
        stem = _stem(token.text)
        if not stem or any(start <= token.start < end for start, end in covered):
            continue
        known = source.words.get(stem)
        if known is not None and len(known) == 1 and is_denied not in known and is_denied:
            yield Mark(kind=Unsupported.NEGATION, text=text[token.start : token.end])


def _stems_denied(text: str, source: _Said) -> bool:
    """Whether a finding that the terminology does not find among what was said is denied in other words."""
    stems = [stem for token in tokens_of(text) if (stem := _stem(token.text))]
    return any(True in source.words.get(stem, set()) for stem in stems)


def _stem(word: str) -> str:
    """Enough of a word to know it again; empty for what carries no meaning of its own."""
    if word in _EMPTY or not word[0].isalpha() or len(word) < 3:
        return ""
    for ending in ("ing", "ness", "ed", "es", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def _shares_anything(tokens: Sequence[Token], terms: Sequence[Term], source: _Said) -> bool:
    stems = {stem for token in tokens if (stem := _stem(token.text))}
    names = {term.name for term in terms}
    if not stems and not names:
        return True
    numbers = {number.text for number in numbers_in(tokens)}
    return bool(
        stems & set(source.words)
        or names & (set(source.polarity) | source.drugs | source.parts)
        or numbers & source.numbers
    )
