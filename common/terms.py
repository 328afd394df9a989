"""Finds medical terms in what was said: which drug, how much of it, which complaint, and whether it is denied.

The terminology is `common/terminology.json`: 700 words and more of primary
care, each with the public classification that vouches for it. A text is read
once, from left to right, and at each place the longest term counts; so it
takes time in proportion to its length.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from common.clinical import Code
from common.negation import negated
from common.spoken import Number, Token, number_at, tokens_of, word_set
from common.transcripts import Segment, Term, TermKind

_MOST_HINTS = 1000
"""Speech-to-Text takes 5,000 phrases; the more, the less each is worth."""

_UNITS: Mapping[str, str] = {
    spelling: unit
    for unit, spellings in {
        "mg": "mg milligram milligrams mgs",
        "mcg": "mcg microgram micrograms ug",
        "g": "g gram grams",
        "mL": "ml milliliter milliliters millilitre millilitres cc ccs",
        "units": "unit units iu",
        "mEq": "meq milliequivalent milliequivalents",
        "tablets": "tablet tablets pill pills tab tabs",
        "capsules": "capsule capsules cap caps",
        "puffs": "puff puffs inhalation inhalations",
        "drops": "drop drops gtt",
        "sprays": "spray sprays squirt squirts",
        "patches": "patch patches",
        "teaspoons": "teaspoon teaspoons tsp",
        "tablespoons": "tablespoon tablespoons tbsp",
        "doses": "dose doses",
    }.items()
    for spelling in spellings.split()
}

_ROUTES = re.compile(
    r"\b(?:by mouth|oral(?:ly)?|p\.?o\.?|under the tongue|sublingual(?:ly)?|intravenous(?:ly)?"
    r"|i\.?v\.?(?! )|into the vein|intramuscular(?:ly)?|in(?:to)? the muscle"
    r"|subcutaneous(?:ly)?|under the skin|topical(?:ly)?|(?:on|to) the skin"
    r"|rectal(?:ly)?|vaginal(?:ly)?|by injection|as an injection|inject(?:ed|ion)?"
    r"|(?:in|into) (?:each|both|the|your|one) (?:right |left )?(?:nostril|nose|eye|ear)s?"
    r"|inhaled|by inhaler|by inhalation|through (?:a|the) nebulizer|by nebulizer)\b"
)
_COUNT = r"(?:\d+|one|two|three|four|five|six|eight|ten|twelve|twenty[ -]four|forty[ -]eight)"
_PERIOD = r"(?:day|daily|night|morning|evening|week|weekly|month|hour)"
_FREQUENCIES = re.compile(
    rf"\b(?:(?:once|twice|{_COUNT} times|one time|three times|four times)"
    rf"(?: (?:a|an|per|each|every|in the)? ?{_PERIOD}|(?: -)? ?daily)"
    rf"|every (?:other )?(?:{_COUNT}(?: to {_COUNT})? )?(?:day|night|morning|evening|week|month|hour)s?"
    r"(?: (?:as needed|before bed))?"
    r"|each (?:day|night|morning|evening)"
    r"|(?:at bedtime|before bed|nightly|at night|in the (?:morning|evening|afternoon)|daily|weekly"
    r"|monthly|as needed|when needed|if needed|prn|b\.?i\.?d\.?|t\.?i\.?d\.?|q\.?i\.?d\.?|qhs|q\.?d\.?"
    rf"|q {_COUNT} ?h(?:ours)?|with (?:meals|food|breakfast|lunch|dinner)|a (?:day|week)"
    r"|(?:before|after) (?:meals|breakfast|lunch|dinner|eating)"
    r"|on (?:mon|tues|wednes|thurs|fri|satur|sun)days?))\b"
)

_IDIOMS = re.compile(
    r"\b(?:an arm and a leg|(?:give|gave|lend) (?:me|us|him|her|them|you)? ?(?:a|my right|your) (?:hand|arm)"
    r"|on the (?:other|one) hand|(?:first|second) hand|(?:at|by|out of) hand|hand(?:s)? in|give a hand"
    r"|by heart|heart to heart|at heart|play(?:ing|ed)? it by ear|by ear|deaf ears|all ears|keep an eye|eye on"
    r"|see eye to eye|face it|face to face|in the face of|(?:don't|not) have the (?:stomach|heart)"
    r"|word of mouth|mouth to feed|rash decision|sick and tired|cold feet|on foot|foot the bill"
    r"|head (?:over|out|back|home|start)|shoulder the|under stress test|(?:pain|pains) in the neck"
    r"|bite my tongue|tip of my tongue|break a leg|pull(?:ing|ed)? (?:my|your) leg|on my mind|cold shoulder"
    r"|rule of thumb|thumbs? up|twist my arm|stick my neck out|blood (?:test|work|type))\b"
)
"""What names a part of the body or a complaint, and means none."""
_ADVERB = "back"
"""A part of the body only after these; else it says where to."""
_OF_BODY = word_set(
    "my your his her their our the lower upper mid low whole entire middle bad sore"
)

_DOSE_REACH = 9
"""Words between a drug and its dose, at most."""
_VALUE_REACH = 6
_FEET = {"foot", "feet", "ft"}


@dataclass(frozen=True)
class Entry:
    """One concept of the terminology."""

    name: str
    kind: TermKind
    code: Code | None


@dataclass
class _Node:
    entry: Entry | None = None
    following: dict[str, "_Node"] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    entry: Entry
    first: int
    last: int


@lru_cache
def terminology() -> tuple[Entry, ...]:
    return tuple(entry for entry, _ in _entries())


@lru_cache
def phrase_hints() -> tuple[str, ...]:
    """What speech recognition should expect: drugs first, for they are the words that it knows least."""
    kinds = (TermKind.MEDICATION, TermKind.PROCEDURE, TermKind.CONDITION)
    names = [e.name for kind in kinds for e in terminology() if e.kind is kind]
    return tuple(names[:_MOST_HINTS])


def named(kind: TermKind) -> Iterator[tuple[Entry, Sequence[str]]]:
    """The entries of one kind, each with all its spellings."""
    yield from ((entry, names) for entry, names in _entries() if entry.kind is kind)


def _entries() -> Iterator[tuple[Entry, Sequence[str]]]:
    path = Path(__file__).parent / "terminology.json"
    for entry in json.loads(path.read_text()):
        code = Code(**entry["code"]) if entry.get("code") else None
        names = [entry["term"], *entry.get("synonyms", [])]
        yield Entry(entry["term"], TermKind(entry["kind"]), code), names


@lru_cache
def _tree() -> _Node:
    root = _Node()
    for entry, names in _entries():
        for name in names:
            node = root
            for token in tokens_of(name):
                node = node.following.setdefault(token.text, _Node())
            if node.entry is None:
                node.entry = entry
    return root


def find(segment: Segment) -> list[Term]:
    """The terms of one segment, in the order of the text."""
    return sorted(
        (
            term.model_copy(update={"segment_id": segment.id, "speaker": segment.speaker})
            for term in find_in(segment.text)
        ),
        key=lambda term: (term.start, term.end),
    )


def find_in(text: str) -> list[Term]:
    tokens = tokens_of(text)
    found = [match for match in _matches(tokens) if not _is_figure(text, tokens, match)]
    denied = negated(tokens)
    doses = list(_doses(tokens, found))
    terms = []
    for match in found:
        term = _term(text, tokens, match.first, match.last, match.entry.kind)
        term.name, term.code = match.entry.name, match.entry.code
        term.negated = denied[match.first]
        if match.entry.kind is TermKind.MEDICATION:
            _complete_drug(text, tokens, term, match, found, doses)
        elif match.entry.kind is TermKind.VITAL:
            term.value = _value(text, tokens, match, found)
        terms.append(term)
    for first, last in doses:
        terms.append(_term(text, tokens, first, last, TermKind.DOSAGE))
    return terms


def _matches(tokens: Sequence[Token]) -> Iterator[_Found]:
    at = 0
    while at < len(tokens):
        found = _longest_at(tokens, at)
        if found is None:
            at += 1
        else:
            yield found
            at = found.last


def mentions(tokens: Sequence[Token], kind: TermKind) -> list[tuple[str, int, int]]:
    """Each mention of this kind as (name, first token, one after the last), within longer terms too.

    The shoulder of `shoulder pain`, the penicillin of `penicillin allergy`.
    """
    found, at = [], 0
    while at < len(tokens):
        match = _longest_at(tokens, at, kind)
        if match is None:
            at += 1
        else:
            found.append((match.entry.name, match.first, match.last))
            at = match.last
    return found


def _is_figure(text: str, tokens: Sequence[Token], match: _Found) -> bool:
    """Whether these words mean something else here: `an arm and a leg`, `come back`, `five foot nine`."""
    start, end = tokens[match.first].start, tokens[match.last - 1].end
    lower = text.lower()
    if any(
        m.start() <= start < m.end() or m.start() < end <= m.end() for m in _IDIOMS.finditer(lower)
    ):
        return match.entry.name != "blood test" and match.entry.kind is not TermKind.PROCEDURE
    if match.entry.kind is not TermKind.ANATOMY:
        return False
    if any(m.start() <= start and end <= m.end() for m in _ROUTES.finditer(lower)):
        return True
    before = tokens[match.first - 1].text if match.first else ""
    word = tokens[match.first].text
    if word == _ADVERB and match.last - match.first == 1:
        return before not in _OF_BODY
    return word in _FEET and (
        before.isdigit() or number_at(tokens, max(0, match.first - 1)) is not None
    )


def _longest_at(tokens: Sequence[Token], at: int, kind: TermKind | None = None) -> _Found | None:
    node, best = _tree(), None
    for position in range(at, len(tokens)):
        following = node.following.get(tokens[position].text) or _singular(node, tokens[position])
        if following is None:
            break
        node = following
        if node.entry is not None and kind in (None, node.entry.kind):
            best = _Found(node.entry, at, position + 1)
    return best


def _singular(node: _Node, token: Token) -> _Node | None:
    """Regular plurals and possessives are not in the file."""
    word = token.text.removesuffix("'s")
    for ending, instead in (("", ""), ("ies", "y"), ("es", ""), ("s", "")):
        if len(word) > 3 and word.endswith(ending):
            found = node.following.get(word[: len(word) - len(ending)] + instead)
            if found is not None:
                return found
    return None


def _term(text: str, tokens: Sequence[Token], first: int, last: int, kind: TermKind) -> Term:
    start, end = tokens[first].start, tokens[last - 1].end
    return Term(text=text[start:end], kind=kind, segment_id="", start=start, end=end)


# ---------------------------------------------------------------- how much, how, how often


def unit_of(word: str) -> str | None:
    """The usual spelling of a unit of doses; None for what is none."""
    return _UNITS.get(word)


def _doses(tokens: Sequence[Token], found: Sequence[_Found]) -> Iterator[tuple[int, int]]:
    """A number and its unit; `half a tablet`. A strength and a count are two."""
    taken = {position for match in found for position in range(match.first, match.last)}
    at = 0
    while at < len(tokens):
        number = number_at(tokens, at) or _article_at(tokens, at)
        if number is None or at in taken:
            at += 1
            continue
        last = number.last
        if last < len(tokens) and tokens[last].text in ("a", "of") and number.value == 0.5:
            last += 1
        if last < len(tokens) and unit_of(tokens[last].text) and last not in taken:
            yield at, last + 1
            at = last + 1
        else:
            at = number.last
    return


def _article_at(tokens: Sequence[Token], at: int) -> Number | None:
    """`a tablet`, but no other word: `a` is a number of what is counted only."""
    if tokens[at].text not in ("a", "an") or at + 1 >= len(tokens):
        return None
    if tokens[at + 1].text not in ("tablet", "pill", "capsule", "puff", "teaspoon", "tablespoon"):
        return None
    return Number(at, at + 1, 1.0)


def _complete_drug(
    text: str,
    tokens: Sequence[Token],
    term: Term,
    match: _Found,
    found: Sequence[_Found],
    doses: Sequence[tuple[int, int]],
) -> None:
    drugs = [each for each in found if each.entry.kind is TermKind.MEDICATION]
    for first, last in doses:
        if _owner(tokens, first, last, drugs) == match:
            term.dose = term.dose or text[tokens[first].start : tokens[last - 1].end]
    begin, end = _clause(tokens, match, drugs)
    clause = text[begin:end].lower()
    if route := _ROUTES.search(clause):
        term.route = text[begin + route.start() : begin + route.end()]
    after = text[tokens[match.last - 1].end : end]
    if often := _FREQUENCIES.search(after.lower()) or _FREQUENCIES.search(clause):
        source = after if _FREQUENCIES.search(after.lower()) else text[begin:end]
        term.frequency = source[often.start() : often.end()].strip()


def _owner(
    tokens: Sequence[Token], first: int, last: int, drugs: Sequence[_Found]
) -> _Found | None:
    """The drug that a dose belongs to: `500 mg of …`, else the one before it, else the one after."""
    after = next((drug for drug in drugs if drug.first >= last), None)
    before = next((drug for drug in reversed(drugs) if drug.last <= first), None)
    if after is not None and after.first - last <= 2 and not _parted(tokens, last, after.first):
        is_of = after.first == last or tokens[last].text in ("of", "your", "the")
        if is_of or before is None:
            return after
    if before is not None and first - before.last <= _DOSE_REACH:
        return before
    if after is not None and after.first - last <= 4:
        return after
    return None


def _parted(tokens: Sequence[Token], first: int, last: int) -> bool:
    return any(token.text in (",", ".", ";", "and") for token in tokens[first:last])


def _clause(tokens: Sequence[Token], match: _Found, drugs: Sequence[_Found]) -> tuple[int, int]:
    """From where to where, in characters, words are about this drug and not about another."""
    following = next((drug.first for drug in drugs if drug.first >= match.last), len(tokens))
    previous = next((drug.last for drug in reversed(drugs) if drug.last <= match.first), 0)
    first, last = match.first, match.last
    while first > previous and tokens[first - 1].text not in (".", "?", "!", ";", "but", ","):
        first -= 1
    if previous:
        first = match.first
    while last < following and tokens[last].text not in (".", "?", "!", ";", "but"):
        last += 1
    return tokens[first].start, tokens[last - 1].end


def _value(
    text: str, tokens: Sequence[Token], match: _Found, found: Sequence[_Found]
) -> str | None:
    """What was measured: the next number, unless another term comes before it."""
    stop = next((each.first for each in found if each.first >= match.last), len(tokens))
    for at in range(match.last, min(stop, match.last + _VALUE_REACH)):
        if tokens[at].text in (".", "?", "!"):
            return None
        number = number_at(tokens, at)
        if number is None:
            continue
        last = number.last
        if last < len(tokens) and tokens[last].text in _FEET:
            inches = number_at(tokens, last + 1)
            last = inches.last if inches else last + 1
        return text[tokens[at].start : tokens[last - 1].end]
    return None
