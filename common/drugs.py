"""Which drugs a text or a list names, by ingredient, and to which classes they belong.

Names are those of `common/terminology.json` and of `common/drug_conflicts.yaml`, with brand names and other spellings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from common import terms
from common.negation import negated
from common.phrases import fold_word
from common.rules import load
from common.sources import Source
from common.spoken import tokens_of
from common.transcripts import TermKind

_CLASS = "class:"


class Severity(StrEnum):
    """How much two drugs, or a drug and a person, are at odds."""

    CONTRAINDICATED = "contraindicated"
    SEVERE = "severe"
    """To be avoided, or watched closely."""
    CAUTION = "caution"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ingredient(_Row):
    name: str
    synonyms: tuple[str, ...] = ()


class DrugClass(_Row):
    name: str
    members: tuple[str, ...]
    therapeutic: bool
    """Whether two members at once are the same therapy twice."""
    duplicate_advice: str | None = None
    class_words: tuple[str, ...] = ()
    """Everyday words for the class: never the second of two."""


class _Conflict(_Row):
    severity: Severity
    effect: str
    advice: str | None = None
    source: str
    """A key of `sources`."""


class Interaction(_Conflict):
    a: str
    b: str


class AllergyConflict(_Conflict):
    substance: str
    also: tuple[str, ...] = ()
    conflicts: tuple[str, ...]


class PregnancyConflict(_Conflict):
    drug: str


class AgeConflict(_Conflict):
    drug: str
    below_years: float | None = None
    from_years: float | None = None


class ConditionConflict(_Conflict):
    drug: str
    condition: str
    also: tuple[str, ...] = ()
    icd10: tuple[str, ...] = ()


class Table(_Row):
    """`common/drug_conflicts.yaml`"""

    sources: dict[str, Source]
    ingredients: tuple[Ingredient, ...]
    classes: dict[str, DrugClass]
    interactions: tuple[Interaction, ...]
    allergies: tuple[AllergyConflict, ...]
    pregnancy: tuple[PregnancyConflict, ...]
    age: tuple[AgeConflict, ...]
    conditions: tuple[ConditionConflict, ...]


@lru_cache
def table() -> Table:
    return Table.model_validate(load("drug_conflicts.yaml"))


# ---------------------------------------------------------------- names


@dataclass(frozen=True)
class Named:
    """A drug, or a class of them, that a text names."""

    name: str
    """The ingredient's; of a class its word."""
    is_denied: bool = False


@lru_cache
def _names() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """By first word: names in words, the longest first, and the ingredient that each means."""
    pairs = [
        (spelling, entry.name)
        for entry, spellings in terms.named(TermKind.MEDICATION)
        for spelling in spellings
    ]
    pairs += [(each.name, each.name) for each in table().ingredients]
    pairs += [(spelling, each.name) for each in table().ingredients for spelling in each.synonyms]
    pairs += [(word, word) for each in table().classes.values() for word in each.class_words]
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for spelling, name in pairs:
        words = tuple(fold_word(token.text) for token in tokens_of(spelling))
        found.setdefault(words[0], []).append((words, name))
    for listed in found.values():
        listed.sort(key=lambda each: -len(each[0]))
    return found


@lru_cache
def _words() -> frozenset[str]:
    """Every word of the names of drugs, and of the terminology."""
    found = {word for listed in _names().values() for words, _ in listed for word in words}
    for kind in TermKind:
        for _, spellings in terms.named(kind):
            found.update(fold_word(token.text) for name in spellings for token in tokens_of(name))
    return frozenset(found)


def is_word(word: str) -> bool:
    """Whether this is a word of medicine."""
    return fold_word(word) in _words() or fold_word(word.removesuffix("s")) in _words()


def named_in(text: str) -> list[Named]:
    """The drugs that a text names, in its order; the longest name counts."""
    tokens = tokens_of(text)
    words = [fold_word(token.text) for token in tokens]
    denied = negated(tokens)
    found, at = [], 0
    while at < len(words):
        match = _longest(words, at)
        if match is None:
            at += 1
            continue
        size, name = match
        found.append(Named(name, denied[at]))
        at += size
    return found


def _longest(words: Sequence[str], at: int) -> tuple[int, str] | None:
    for spelling, name in _names().get(words[at], ()):
        if tuple(words[at : at + len(spelling)]) == spelling:
            return len(spelling), name
    # `antibiotics`, `opioids`: a name in the plural.
    singular = words[at].removesuffix("s")
    for spelling, name in _names().get(singular, ()) if singular != words[at] else ():
        if spelling == (singular,):
            return 1, name
    return None


def ingredients_of(texts: Iterable[str]) -> list[str]:
    """The ingredients that are named and not denied, each once."""
    return list(
        dict.fromkeys(each.name for text in texts for each in named_in(text) if not each.is_denied)
    )


# ---------------------------------------------------------------- classes


@lru_cache
def _memberships() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for id, each in table().classes.items():
        for member in (*each.members, *each.class_words):
            found.setdefault(member, set()).add(id)
    return {name: frozenset(ids) for name, ids in found.items()}


def classes_of_drug(name: str) -> frozenset[str]:
    return _memberships().get(name, frozenset())


def classes_of(texts: Iterable[str]) -> frozenset[str]:
    """The classes of all drugs that these texts name and do not deny."""
    return frozenset().union(*(classes_of_drug(name) for name in ingredients_of(texts)))


def is_meant(name: str, by: str) -> bool:
    """Whether `by`, an ingredient or `class:…` of the table, means this drug."""
    if by.startswith(_CLASS):
        return by.removeprefix(_CLASS) in classes_of_drug(name)
    return name == by


def therapeutic_classes() -> Iterator[tuple[str, DrugClass]]:
    yield from ((id, each) for id, each in table().classes.items() if each.therapeutic)
