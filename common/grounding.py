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
from common.terms import find_in, mentions, unit_of
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
_SHORT_QUESTION = 3
"""Words; `fever?`, and what follows begins with yes or no."""
_ASKS = re.compile(
    r"^(?:and |or |so |well |okay |ok |what about |how about |any|do |does |did |have |has |are |is |was |were "
    r"|can |could |ever |when |where |tell me)|\?\s*$"
)
_LATIN = {"bid": 2.0, "tid": 3.0, "qid": 4.0, "daily": 1.0, "nightly": 1.0, "weekly": 1.0}
_FACTORS = {"week": 7, "weeks": 7, "month": 4, "months": 4, "year": 12, "years": 12, "dozen": 12}
"""Into the next smaller unit; a month as four weeks, as people count."""

_CIRCUMSTANCES = word_set("with when while at after before to for of over since if about")
"""What follows these says under which circumstances, and is not denied itself."""
_EMPTY = word_set("""
    patient reports report reported denies denied states stated notes noted has have had is
    are was were with without and or of the a an to for in on at no not be been this that it
    her his their she he they i you we as by from history current currently continue start
    started plan follow up exam examination complains presents presenting shows showed will
    advised discussed may due ago month months
    week weeks day days year years hour hours
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
    sided: list[tuple[set[str], set[str]]] = field(default_factory=list)
    """(findings, sides) of each clause that names both."""
    parts: set[str] = field(default_factory=set)
    polarity: dict[str, set[bool]] = field(default_factory=dict)
    """Whether a finding is denied, by its name; both, if both were said."""
    words: dict[str, set[bool]] = field(default_factory=dict)
    """The same by the stem of each word."""


def check(sentence: NoteSentence, segments: Sequence[Segment]) -> NoteSentence:
    """The sentence with a mark for each thing that the cited ones of these segments do not contain."""
    ids = set(sentence.segment_ids)
    cited = [segment for segment in segments if segment.id in ids]
    if not cited or len(cited) != len(ids):
        mark = Mark(kind=Unsupported.CITATION, text=sentence.text)
        return sentence.model_copy(update={"unsupported": [mark]})
    marks = list(_marks(sentence.text, cited))
    return sentence.model_copy(update={"unsupported": marks})


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
    for name, first, last in mentions(tokens, TermKind.MEDICATION):
        if name not in source.drugs and not _is_part_said(name, source):
            start, end = tokens[first].start, tokens[last - 1].end
            yield Mark(kind=Unsupported.DRUG, text=text[start:end])
    yield from _dose_marks(text, terms, source)
    yield from _side_marks(text, tokens, terms, source)
    yield from _negation_marks(text, tokens, terms, source)
    if not _shares_anything(tokens, terms, source):
        yield Mark(kind=Unsupported.WORDS, text=text)


def _key(term: Term) -> str:
    """What a finding is, by whatever word: its code if it has one, else its name."""
    if term.code is not None and term.kind is not TermKind.MEDICATION:
        return term.code.value
    return term.name or term.text


# ---------------------------------------------------------------- what was said


def _meaning_of(cited: Sequence[Segment]) -> _Said:
    said = _Said()
    for position, segment in enumerate(cited):
        tokens = tokens_of(segment.text)
        terms = find_in(segment.text)
        _add_numbers(said, tokens)
        _add_drugs(said, terms, tokens)
        said.sides += _sides(tokens)
        said.sided += _sided(tokens, terms)
        said.parts |= {name for name, _, _ in mentions(tokens, TermKind.ANATOMY)}
        said.drugs |= {name for name, _, _ in mentions(tokens, TermKind.MEDICATION)}
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
    said.numbers |= set(_in_days(tokens))
    said.numbers |= {Number(0, 0, _LATIN[word]).text for word in words if word in _LATIN}
    if {"every", "each"} & set(words):
        said.numbers.add("1")  # `every day` is once a day


def _in_days(tokens: Sequence[Token]) -> Iterator[str]:
    """`a week` is 7 days, `two months` are 8 weeks."""
    for at, token in enumerate(tokens[1:], 1):
        factor = _FACTORS.get(token.text)
        if factor is None:
            continue
        spoken = [number for number in numbers_in(tokens) if number.last == at]
        count = spoken[0].value if spoken else 1.0
        yield Number(0, 0, count * factor).text


def _add_drugs(said: _Said, terms: Sequence[Term], tokens: Sequence[Token]) -> None:
    owned = set()
    for term in terms:
        if term.kind is TermKind.MEDICATION:
            name = term.name or term.text
            if term.dose and (dose := _dose_of(term.dose)):
                said.doses.setdefault(name, set()).update({dose, *_ranged(tokens, terms, dose)})
                owned.add(term.dose)
    for term in terms:
        if term.kind is not TermKind.DOSAGE or term.text in owned:
            continue
        if dose := _dose_of(term.text):
            said.doses.setdefault("", set()).add(dose)


def _ranged(
    tokens: Sequence[Token], terms: Sequence[Term], dose: tuple[str, str]
) -> Iterator[tuple[str, str]]:
    """`from fifty to one hundred milligrams`: the first has the second's unit."""
    starts = {term.start for term in terms if term.kind is TermKind.DOSAGE}
    for number in numbers_in(tokens):
        following = tokens[number.last : number.last + 2]
        if (
            len(following) == 2
            and following[0].text in ("to", "or")
            and following[1].start in starts
        ):
            yield number.text, dose[1]


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
    if not following:
        return None
    answer = following[0]
    if not _ASKS.search(segment.text.lower()) and len(segment.text.split()) > _SHORT_QUESTION:
        return None
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
            said.polarity.setdefault(_key(term), set()).add(is_denied)
    for token, is_denied in zip(tokens, denied, strict=True):
        stem = _stem(token.text)
        if stem:
            said.words.setdefault(stem, set()).add(is_denied if answer is None else answer)


# ---------------------------------------------------------------- comparing


def _is_part_said(name: str, source: _Said) -> bool:
    """`Insulin glargine` of who said `glargine`."""
    *_, last = name.split()
    return " " in name and len(last) > 5 and _stem(last) in source.words


def _is_no_number(tokens: Sequence[Token], number: Number) -> bool:
    """`One` is a pronoun more often, and `once` may be `once it is better`; `once a day` is a number."""
    word = tokens[number.first].text
    following = tokens[number.last].text if number.last < len(tokens) else ""
    if word == "once":
        return following not in ("a", "per", "daily", "every", "each", "weekly")
    return bool(number.last - number.first == 1 and word == "one")


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


def _sides(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    return [
        (side, _part_at(tokens, at))
        for at, token in enumerate(tokens)
        if (side := _SIDES.get(token.text)) is not None and not _is_no_side(tokens, at)
    ]


def _sided(tokens: Sequence[Token], terms: Sequence[Term]) -> Iterator[tuple[set[str], set[str]]]:
    """By clause, so that `a cataract in the right eye, the left eye is clear` is told from its reverse."""
    begin = 0
    for at in range(len(tokens) + 1):
        if at < len(tokens) and tokens[at].text not in (",", ".", ";", "but"):
            continue
        clause = tokens[begin:at]
        begin = at + 1
        sides = {side for side, _ in _sides(clause)}
        findings = {
            _key(term)
            for term in terms
            if clause
            and term.kind in (TermKind.SYMPTOM, TermKind.CONDITION)
            and clause[0].start <= term.start <= clause[-1].start
        }
        if sides and findings:
            yield findings, sides


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


def _part_at(tokens: Sequence[Token], at: int) -> str:
    """The part of the body that a side belongs to: the next one, else the one just before."""
    if at + 1 < len(tokens) and tokens[at + 1].text in ("one", "one's", "ones"):
        return ""  # of whatever was spoken of
    parts = mentions(tokens, TermKind.ANATOMY)
    for name, first, _ in parts:
        if at < first <= at + _SIDE_REACH:
            return name
    for name, _, last in reversed(parts):
        if at - _SIDE_REACH <= last - 1 < at:
            return name
    return ""


def _side_marks(
    text: str, tokens: Sequence[Token], terms: Sequence[Term], source: _Said
) -> Iterator[Mark]:
    findings = {_key(term) for term in terms}
    of_findings = [sides for keys, sides in source.sided if keys & findings]
    for at, token in enumerate(tokens):
        side = _SIDES.get(token.text)
        if side is None or _is_no_side(tokens, at):
            continue
        is_elsewhere = bool(of_findings) and not any({side, "both"} & each for each in of_findings)
        is_elsewhere &= side != "both"
        if is_elsewhere or not _is_on_side(side, _part_at(tokens, at), source):
            yield Mark(kind=Unsupported.SIDE, text=text[token.start : token.end])


def _is_on_side(side: str, part: str, source: _Said) -> bool:
    of_part = {each for each, of in source.sides if part and of in (part, "")}
    is_known = bool(part) and any(of == part for _, of in source.sides)
    said = of_part if is_known else {each for each, _ in source.sides}
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
        said = source.polarity.get(_key(term))
        if said is None:
            said = _polarity_of_words(term.text, source)
            if not said and term.negated:
                said = {False}  # nobody denied it in any words
        if said and term.negated not in said:
            yield Mark(kind=Unsupported.NEGATION, text=term.text)
    denied = negated(tokens)
    is_circumstance = False
    for token, is_denied in zip(tokens, denied, strict=True):
        is_circumstance = is_denied and (is_circumstance or token.text in _CIRCUMSTANCES)
        stem = _stem(token.text)
        if not stem or is_circumstance or any(a <= token.start < b for a, b in covered):
            continue
        if source.words.get(stem) == {not is_denied} and (is_denied or _is_said(tokens, token)):
            yield Mark(kind=Unsupported.NEGATION, text=text[token.start : token.end])


def _is_said(tokens: Sequence[Token], word: Token) -> bool:
    """Whether an affirmed word is what the sentence says, and not one beside it: its first that means something."""
    first = next((token for token in tokens if _stem(token.text)), None)
    return first is word


def _polarity_of_words(text: str, source: _Said) -> set[bool]:
    """How the words of a finding were said that was said in other words."""
    stems = [stem for token in tokens_of(text) if (stem := _stem(token.text))]
    return set().union(*(source.words.get(stem, set()) for stem in stems))


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
    names = {_key(term) for term in terms}
    if not stems and not names:
        return True
    numbers = {number.text for number in numbers_in(tokens)}
    return bool(
        stems & set(source.words)
        or names & (set(source.polarity) | source.drugs | source.parts)
        or numbers & source.numbers
    )
