"""What a record's medicines are at odds with: allergies, each other, pregnancy, age, conditions.

The table is `common/drug_conflicts.yaml`, each row with its public source. It knows what it
knows: that it finds nothing does not mean that there is nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from pydantic import BaseModel

from common import drugs
from common.drugs import Severity, is_meant, table
from common.phrases import fold_word, folded
from common.sources import Source


class ConflictKind(StrEnum):
    ALLERGY = "allergy"
    INTERACTION = "interaction"
    DUPLICATE = "duplicate_therapy"
    PREGNANCY = "pregnancy"
    AGE = "age"
    CONDITION = "condition"


_ORDER = list(ConflictKind)
_RANKS = [Severity.CONTRAINDICATED, Severity.SEVERE, Severity.CAUTION]


class Evidence(BaseModel):
    """An entry of the record that a statement rests on."""

    kind: str
    """`allergy`, `condition`, `medication`, `patient` or `history`."""
    text: str
    record_id: str | None = None
    """Of a history record."""


class Conflict(BaseModel):
    kind: ConflictKind
    severity: Severity
    title: str
    """What is at odds with what, by their names."""
    effect: str
    advice: str | None
    evidence: list[Evidence]
    source: Source | None
    """None for therapy that is there twice, which the record itself shows."""


@dataclass(frozen=True)
class Item:
    """An entry of the chart, as it is written."""

    evidence: Evidence
    code: str | None = None
    """ICD-10, of a condition."""


@dataclass(frozen=True)
class Chart:
    """What conflicts are looked for in."""

    medications: Sequence[Item]
    allergies: Sequence[Item]
    conditions: Sequence[Item]
    age_years: float | None = None
    is_pregnant: bool = False


@dataclass(frozen=True)
class _Drug:
    name: str
    item: Item


def find(chart: Chart) -> list[Conflict]:
    """All of them, allergies first, then by severity; of several rows about the same two things the worst."""
    taken = [
        _Drug(name, item)
        for item in chart.medications
        for name in drugs.ingredients_of([item.evidence.text])
    ]
    taken = list({(each.name, each.item.evidence.text): each for each in taken}.values())
    found = [
        *_allergies(chart, taken),
        *_interactions(taken),
        *_duplicates(taken),
        *_pregnancy(chart, taken),
        *_ages(chart, taken),
        *_conditions(chart, taken),
    ]
    worst: dict[tuple[ConflictKind, str], Conflict] = {}
    for each in sorted(found, key=lambda each: _RANKS.index(each.severity)):
        worst.setdefault((each.kind, each.title), each)
    return sorted(
        worst.values(), key=lambda each: (_ORDER.index(each.kind), _RANKS.index(each.severity))
    )


def _source(key: str) -> Source:
    return table().sources[key]


def _shown(name: str) -> str:
    return name[:1].upper() + name[1:]


def _allergies(chart: Chart, taken: Sequence[_Drug]) -> Iterator[Conflict]:
    for allergy in chart.allergies:
        text = allergy.evidence.text
        substances = set(drugs.ingredients_of([text]))
        for drug in taken:
            if drug.name in substances:
                yield _allergy(allergy, drug, Severity.CONTRAINDICATED, _SAME, None, None)
        for row in table().allergies:
            if not _is_named(text, (row.substance, *row.also)) and row.substance not in substances:
                continue
            for drug in taken:
                if any(is_meant(drug.name, by) for by in row.conflicts):
                    source = _source(row.source)
                    yield _allergy(allergy, drug, row.severity, row.effect, row.advice, source)


_SAME = "The record names an allergy to this very drug"


def _allergy(
    allergy: Item,
    drug: _Drug,
    severity: Severity,
    effect: str,
    advice: str | None,
    source: Source | None,
) -> Conflict:
    return Conflict(
        kind=ConflictKind.ALLERGY,
        severity=severity,
        title=f"{_shown(drug.name)} and the allergy to {allergy.evidence.text}",
        effect=effect,
        advice=advice,
        evidence=[allergy.evidence, drug.item.evidence],
        source=source,
    )


def _interactions(taken: Sequence[_Drug]) -> Iterator[Conflict]:
    for one, other in combinations(taken, 2):
        if one.name == other.name:
            continue
        for row in table().interactions:
            is_so = is_meant(one.name, row.a) and is_meant(other.name, row.b)
            is_so |= is_meant(one.name, row.b) and is_meant(other.name, row.a)
            if is_so:
                first, second = sorted((one, other), key=lambda each: each.name)
                yield Conflict(
                    kind=ConflictKind.INTERACTION,
                    severity=row.severity,
                    title=f"{_shown(first.name)} and {second.name}",
                    effect=row.effect,
                    advice=row.advice,
                    evidence=[one.item.evidence, other.item.evidence],
                    source=_source(row.source),
                )


def _duplicates(taken: Sequence[_Drug]) -> Iterator[Conflict]:
    for _, each in drugs.therapeutic_classes():
        of_class = {drug.name: drug for drug in taken if drug.name in each.members}
        if len(of_class) > 1:
            names = sorted(of_class)
            yield Conflict(
                kind=ConflictKind.DUPLICATE,
                severity=Severity.SEVERE,
                title=f"{each.name}: {', '.join(names)}",
                effect="Two or more drugs of one class at once",
                advice=each.duplicate_advice or "Check whether one of them was to be stopped.",
                evidence=[of_class[name].item.evidence for name in names],
                source=None,
            )
    by_name: dict[str, list[_Drug]] = {}
    for drug in taken:
        by_name.setdefault(drug.name, []).append(drug)
    for name, same in by_name.items():
        if len(same) > 1:
            yield Conflict(
                kind=ConflictKind.DUPLICATE,
                severity=Severity.SEVERE,
                title=f"{_shown(name)} twice",
                effect="The same drug stands in the record more than once",
                advice="Check whether one entry is old.",
                evidence=[each.item.evidence for each in same],
                source=None,
            )


def _pregnancy(chart: Chart, taken: Sequence[_Drug]) -> Iterator[Conflict]:
    if not chart.is_pregnant:
        return
    for drug in taken:
        for row in table().pregnancy:
            if is_meant(drug.name, row.drug):
                yield Conflict(
                    kind=ConflictKind.PREGNANCY,
                    severity=row.severity,
                    title=f"{_shown(drug.name)} in pregnancy",
                    effect=row.effect,
                    advice=row.advice,
                    evidence=[drug.item.evidence],
                    source=_source(row.source),
                )


def _ages(chart: Chart, taken: Sequence[_Drug]) -> Iterator[Conflict]:
    age = chart.age_years
    if age is None:
        return
    for drug in taken:
        for row in table().age:
            is_young = row.below_years is not None and age < row.below_years
            is_old = row.from_years is not None and age >= row.from_years
            if (is_young or is_old) and is_meant(drug.name, row.drug):
                limit = (
                    f"below {row.below_years:g} years of age"
                    if is_young
                    else f"from {row.from_years:g} years of age on"
                )
                yield Conflict(
                    kind=ConflictKind.AGE,
                    severity=row.severity,
                    title=f"{_shown(drug.name)} {limit}",
                    effect=row.effect,
                    advice=row.advice,
                    evidence=[drug.item.evidence],
                    source=_source(row.source),
                )


def _conditions(chart: Chart, taken: Sequence[_Drug]) -> Iterator[Conflict]:
    for condition in chart.conditions:
        for row in table().conditions:
            is_coded = bool(condition.code and condition.code.startswith(tuple(row.icd10)))
            if not is_coded and not _is_named(condition.evidence.text, (row.condition, *row.also)):
                continue
            for drug in taken:
                if is_meant(drug.name, row.drug):
                    yield Conflict(
                        kind=ConflictKind.CONDITION,
                        severity=row.severity,
                        title=f"{_shown(drug.name)} with {row.condition}",
                        effect=row.effect,
                        advice=row.advice,
                        evidence=[drug.item.evidence, condition.evidence],
                        source=_source(row.source),
                    )


def _is_named(text: str, names: Sequence[str]) -> bool:
    """Whether a text has one of these names, as whole words."""
    seen = folded(text).text
    return any(f" {_folded(name)} " in seen for name in names)


def _folded(name: str) -> str:
    return " ".join(fold_word(word) for word in name.replace("-", " ").split())
