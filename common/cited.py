"""What a model wrote of sources that it was given: sentence by sentence, only what they hold is let through.

A sentence must cite a source that was given, share words with it, have no number that is
not in it or in the question, tell nobody that they need no doctor, and hold nothing that
identifies somebody and was not sent. What fails is left out: a shorter answer harms nobody.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from common.drugs import is_word
from common.egress import PublicText
from common.knowledge import KnowledgeEntry, stems
from common.redaction import foreign_identifiers, without_tokens

_MARK = re.compile(r"\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")
_END = re.compile(r"(?<=[.!?؟。])(?:\s*\[\d{1,2}(?:\s*,\s*\d{1,2})*\][.!?]?)*(?:\s+|$)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_LOWERING = re.compile(
    r"\b(?:need(?:s)? no (?:doctor|ambulance|medical|help|treatment)|see no doctor|no (?:need|reason) (?:to|for) (?:see|call|go|visit|seek|an? (?:doctor|ambulance|emergency))"
    r"|(?:don't|do not|doesn't|does not|needn't|need not|not) (?:need|have|necessary) (?:to )?(?:see|call|go to|visit|seek|a doctor|an ambulance|medical|urgent|emergency)"
    r"|not an? (?:medical )?emergency|isn't an? emergency|nothing (?:to worry about|serious|dangerous)"
    r"|(?:can|could|should) (?:safely )?(?:wait|ignore|stay (?:at )?home)|safe to (?:wait|ignore)|stay (?:at )?home and wait"
    r"|no (?:es )?necesario (?:ir|llamar|ver)|no (?:es|se trata de) una emergencia|puede esperar"
    r"|(?:kein notfall|nicht (?:nötig|notwendig),? (?:zum|einen|den)|brauchen? keinen (?:arzt|krankenwagen|notarzt)|können (?:ruhig )?(?:warten|abwarten)))",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"(?:¿|(?:and |or )?(?:how|what|when|where|which|who|do|does|did|is|are|was|were|have|has|had|can|could|any|anything|since when)\b"
    r"|(?:wie|was|wann|wo|welche|haben|hat|ist|sind|seit wann|können|gibt)\b)[^\n]*\?$",
    re.IGNORECASE,
)
_MOST_WORDS = 24
_KNOWN_SHARE = 0.75
"""Of the words of a cause: what is no word of medicine, nor of the sources, is no cause."""
_SHARED_STEMS, _SHARED_SHARE = 2, 0.25
"""Words that a sentence has in common with what it cites, at least."""


class Left(StrEnum):
    """Why a sentence was left out."""

    UNCITED = "uncited"
    UNSUPPORTED = "unsupported"
    """Its words, or a number, are not in what it cites."""
    LOWERS = "lowers_urgency"
    IDENTIFIES = "identifies"


@dataclass(frozen=True)
class Passage:
    """A source as the model was given it."""

    number: int
    text: str


def passages_of(entries: Sequence[KnowledgeEntry]) -> list[Passage]:
    """Entries of the knowledge base, numbered as the model is given them."""
    return [Passage(number, f"{e.title}. {e.text}") for number, e in enumerate(entries, 1)]


def as_data(entries: Sequence[KnowledgeEntry]) -> list[dict[str, object]]:
    """The same, as a prompt holds them."""
    return [
        {"id": number, "title": PublicText(each.title), "text": PublicText(each.text)}
        for number, each in enumerate(entries, 1)
    ]


@dataclass
class Checker:
    """For one answer."""

    passages: Sequence[Passage]
    sent: str
    """All that left, redacted: what is in it may come back."""
    question: str
    is_english: bool = True
    """Sources are in English: in other languages words can't be compared, numbers can."""
    cited: list[int] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def check(self, sentence: str) -> str | None:
        """The sentence with the marks that resolve; None if it is left out."""
        numbers = [number for found in _MARK.findall(sentence) for number in _numbers(found)]
        passages = [each for each in self.passages if each.number in numbers]
        plain = _MARK.sub("", sentence).strip()
        why = self._fault(plain, passages)
        if why is not None:
            self.left.append(why)
            return None
        self.cited += [each.number for each in passages if each.number not in self.cited]
        marks = "".join(f"[{each.number}]" for each in passages)
        end = plain[-1] if plain[-1] in ".!?؟。" else "."
        return f"{plain.rstrip('.!?؟。 ')} {marks}{end}"

    def check_all(self, text: str) -> str | None:
        """Each sentence of a text that may have several; None if none is left."""
        checked = [kept for each in split(text) if (kept := self.check(each)) is not None]
        return " ".join(checked) or None

    def is_question(self, text: str) -> bool:
        """Whether this is a short question, tells nobody to wait, and identifies nobody: what a model asks cites nothing."""
        is_one = bool(_QUESTION.match(text.strip())) and len(text.split()) <= _MOST_WORDS
        return is_one and self._is_harmless(text)

    def is_cause(self, name: str, why: str) -> bool:
        """Whether this names something that the sources or the terminology know, and says why in their words or the person's."""
        words = re.findall(r"[^\W_]+", name.lower())
        about = [word for word in words if stems(word)]
        spoken_of = set(stems(self._all))
        known = [w for w in about if is_word(w) or set(stems(w)) & spoken_of]
        is_known = bool(known) and len(known) >= _KNOWN_SHARE * len(about)
        is_short = len(name.split()) <= _MOST_WORDS // 2
        is_said = _is_supported(why, f"{self._all} {self.question}") or not self.is_english
        whole = f"{name}. {why}"
        is_nobody = whole == without_tokens(whole)  # no illness is called like the person
        return is_known and is_short and is_said and is_nobody and self._is_harmless(whole)

    @property
    def _all(self) -> str:
        return " ".join(each.text for each in self.passages)

    def _is_harmless(self, text: str) -> bool:
        return not _LOWERING.search(text) and not foreign_identifiers(text, self.sent)

    def _fault(self, plain: str, passages: Sequence[Passage]) -> Left | None:
        if not plain or not passages:
            return Left.UNCITED
        if _LOWERING.search(plain):
            return Left.LOWERS
        if foreign_identifiers(plain, self.sent):
            return Left.IDENTIFIES
        plain = without_tokens(plain)
        text = " ".join(each.text for each in passages)
        allowed = set(_NUMBER.findall(text)) | set(_NUMBER.findall(self.question))
        if set(_NUMBER.findall(plain)) - allowed:
            return Left.UNSUPPORTED
        return None if not self.is_english or _is_supported(plain, text) else Left.UNSUPPORTED


def _numbers(found: str) -> Iterator[int]:
    yield from (int(each) for each in re.findall(r"\d+", found))


def _is_supported(plain: str, text: str) -> bool:
    said = set(stems(plain))
    shared = said & set(stems(text))
    return len(shared) >= min(_SHARED_STEMS, len(said)) and len(shared) >= _SHARED_SHARE * len(said)


async def sentences(pieces: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """Whole sentences of what comes in pieces, each with the marks that follow it."""
    waiting = ""
    async for piece in pieces:
        waiting += piece
        while (end := _first_end(waiting)) is not None:
            yield waiting[:end].strip()
            waiting = waiting[end:]
    if waiting.strip():
        yield waiting.strip()


def split(text: str) -> list[str]:
    """The sentences of a text, each with the marks that follow it."""
    found, rest = [], text.strip()
    while (end := _END.search(rest)) is not None and rest:
        found.append(rest[: end.end()].strip())
        rest = rest[end.end() :].strip()
    return [*found, rest] if rest else found


def without_marks(text: str) -> str:
    return _MARK.sub("", text)


def _first_end(text: str) -> int | None:
    """Where the first sentence ends, once it is sure that no mark of it is still to come."""
    found = _END.search(text)
    if found is None or found.end() == len(text):
        return None
    rest = text[found.end() :]
    return None if rest.startswith("[") and "]" not in rest else found.end()


def first_sentences(text: str, most: int = 3) -> str:
    """What a source says first, for an answer that no model was asked for."""
    parts = [part.strip() for part in re.split(r"(?<=[.!?])\s+", text) if part.strip()]
    return " ".join(parts[:most])
