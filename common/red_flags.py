"""Red flags: rules that tell an emergency from the person's words and chart, before any model is asked.

The rules are `common/red_flags.yaml`, each with its public source. They are no
diagnosis: they say how soon somebody should be seen, and err on the side of sooner.
Nothing that a model says lowers what they find.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from common import drugs, mentions
from common.expressions import Expression, Facts, parse
from common.models import Line, Specialty
from common.phrases import folded
from common.rules import load
from common.sources import Source
from common.urgency import Urgency


class Rule(BaseModel):
    """One red flag."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Line
    urgency: Urgency
    when: Annotated[tuple[str, ...], Field(alias="if", min_length=1)]
    """Expressions; any of them is enough."""
    do: Annotated[str, Field(min_length=20, max_length=700)]
    """What to do now, said to the person."""
    ask: tuple[str, ...] = ()
    causes: Annotated[tuple[str, ...], Field(min_length=1)]
    specialty: Specialty
    source: Source


class RedFlag(BaseModel):
    """A rule that applies."""

    rule_id: str
    title: str
    urgency: Urgency
    what_to_do: str
    matched: list[str]
    """The words by which it was recognised."""
    causes: list[str]
    questions: list[str]
    specialty: Specialty
    source: Source


@dataclass(frozen=True)
class Situation:
    """What is known of who asks, or of whom they ask for."""

    texts: Sequence[str]
    """In their own words."""
    age_years: float | None = None
    sex: str | None = None
    is_pregnant: bool | None = None
    duration: str | None = None
    """As it was written: `2 hours`."""
    conditions: Sequence[str] = ()
    condition_codes: Sequence[str] = ()
    """ICD-10."""
    medications: Sequence[str] = ()


@dataclass(frozen=True)
class _Compiled:
    rule: Rule
    lines: tuple[Expression, ...]


@lru_cache
def rules() -> tuple[Rule, ...]:
    return tuple(Rule.model_validate(each) for each in load("red_flags.yaml"))


@lru_cache
def _compiled() -> tuple[_Compiled, ...]:
    return tuple(_Compiled(rule, tuple(map(parse, rule.when))) for rule in rules())


def found_in(situation: Situation) -> list[RedFlag]:
    """The rules that apply, the most urgent first.

    A rule must rest on something that the person says: what stands in the chart sharpens it, and
    raises no alarm by itself. An age in their words (`my 2 month old`) counts beside the one that is given: the person who asks need not be the one who is ill.
    """
    said = mentions.present(situation.texts)
    charted = mentions.conditions(situation.conditions, situation.condition_codes)
    classes = drugs.classes_of([*situation.medications, *situation.texts])
    known = [
        Facts(
            findings=charted,
            age_days=age,
            sex=situation.sex,
            is_pregnant=situation.is_pregnant,
            duration=_duration_of(situation),
            drug_classes=classes,
        )
        for age in _ages(situation)
    ]
    flags = []
    for each in _compiled():
        line = next((line for line in each.lines if _applies(line, known, said.keys())), None)
        if line is not None:
            matched = [said[name] for name in sorted(line.names) if name in said]
            flags.append(_flag(each.rule, matched))
    return sorted(flags, key=lambda flag: -flag.urgency.rank)


def _applies(line: Expression, known: Sequence[Facts], said: Set[str]) -> bool:
    return any(_rests_on(line, facts, said) for facts in known)


def _rests_on(line: Expression, facts: Facts, said: Set[str]) -> bool:
    whole = Facts(
        findings=facts.findings | said,
        age_days=facts.age_days,
        sex=facts.sex,
        is_pregnant=facts.is_pregnant,
        duration=facts.duration,
        drug_classes=facts.drug_classes,
    )
    return line.holds(whole) and not line.holds(facts)


def _flag(rule: Rule, matched: list[str]) -> RedFlag:
    return RedFlag(
        rule_id=rule.id,
        title=rule.title,
        urgency=rule.urgency,
        what_to_do=rule.do,
        matched=list(dict.fromkeys(matched)),
        causes=list(rule.causes),
        questions=list(rule.ask),
        specialty=rule.specialty,
        source=rule.source,
    )


# ---------------------------------------------------------------- ages and durations

_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "un": 1, "una": 1, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5,
    "seis": 6, "ein": 1, "eine": 1, "einer": 1, "zwei": 2, "drei": 3, "vier": 4, "funf": 5, "sechs": 6,
    "few": 3, "couple": 2, "several": 4,
}  # fmt: skip
_UNITS = {
    "minute": 1 / 1440, "min": 1 / 1440, "minuto": 1 / 1440, "hour": 1 / 24, "hr": 1 / 24, "h": 1 / 24, "hora": 1 / 24,
    "stunde": 1 / 24, "day": 1.0, "dia": 1.0, "tag": 1.0, "d": 1.0, "week": 7.0, "wk": 7.0, "semana": 7.0, "woche": 7.0, "month": 30.4375,
    "mo": 30.4375, "mth": 30.4375, "mes": 30.4375, "monat": 30.4375, "year": 365.25, "yr": 365.25, "ano": 365.25, "jahr": 365.25,
    "y": 365.25,
}  # fmt: skip
_COUNT = r"(\d+(?:[.,]\d+)?|" + "|".join(_WORDS) + r")"
_UNIT = r"(" + "|".join(sorted(_UNITS, key=len, reverse=True)) + r")(?:s|es|e|n|en)?"
_AGES = (
    re.compile(rf" {_COUNT} ?{_UNIT} (?:old|of age|alt|alte|alter|altes|de edad)\b"),
    re.compile(rf" (?:de|con|tiene|tengo) {_COUNT} (ano|mes|semana|dia)(?:s|es)?\b"),
    re.compile(
        r" (?:i ?a?m|im|ich bin|age|aged|hes|shes|he is|she is) (\d{1,3})( years?)?(?! (?:weeks?|months?|days?|hours?|minutes?|kg|lbs?|pounds?|tall|cm|mg|percent|times))(?= )"
    ),
    re.compile(r" (\d{1,3}) ?(yo|y o|mo)\b(?! ago)"),
    re.compile(r" (\d{1,2}) ?(?:m|f|male|female)(?= )(?! (?:tall|away))"),
)
_BABIES = {
    "newborn": 7.0,
    "neugeborene": 7.0,
    "neugeborenes": 7.0,
    "recien nacido": 7.0,
    "recien nacida": 7.0,
}
_LONGEST = 150 * 365.25
_FOR = re.compile(
    r" (?:for|since|past|last|about|seit|desde hace|hace|durante) (?:the )?(?:past |last |about |over |more than )*"
)
_DURATION = re.compile(rf"\b{_COUNT}(?: of)?(?: more than| about)? ?{_UNIT}\b")
_RECENTLY = {
    "just now": 1 / 1440, "right now": 1 / 1440, "suddenly": 1 / 24, "this morning": 0.3, "since this morning": 0.5,
    "tonight": 0.3, "today": 0.5, "last night": 0.75, "overnight": 0.5, "yesterday": 1.0, "since yesterday": 1.0, "all day": 0.5,
    "desde ayer": 1.0, "hoy": 0.5, "esta manana": 0.3, "heute": 0.5, "seit gestern": 1.0, "seit heute": 0.5,
}  # fmt: skip


def _number(text: str) -> float:
    return float(_WORDS[text]) if text in _WORDS else float(text.replace(",", "."))


def _ages(situation: Situation) -> list[float | None]:
    """In days; the one that is given, and those that are said. [None] when nobody knows."""
    found: list[float | None] = []
    if situation.age_years is not None:
        found.append(situation.age_years * _UNITS["year"])
    for text in situation.texts:
        found += _ages_in(text)
    return list(dict.fromkeys(found)) or [None]


def _ages_in(text: str) -> Iterator[float]:
    seen = folded(text).text
    for pattern in _AGES:
        for match in pattern.finditer(seen):
            unit = (match[2] if pattern.groups > 1 else None) or "year"
            days = _number(match[1]) * _UNITS.get(
                {"yo": "year", "y o": "year"}.get(unit.strip(), unit.strip()), _UNITS["year"]
            )
            if 0 <= days <= 120 * _UNITS["year"]:
                yield days
    yield from (days for name, days in _BABIES.items() if f" {name} " in seen)


def _duration_of(situation: Situation) -> timedelta | None:
    """The one that is given, else the shortest that is said for how long it lasts."""
    if situation.duration and (given := duration_in(situation.duration)) is not None:
        return given
    said = []
    for seen in (folded(text).text for text in situation.texts):
        for match in _FOR.finditer(seen):
            after = seen[match.end() : match.end() + 30]
            if (duration := duration_in(after, at_start=True)) is not None:
                said.append(duration)
    return min(said, default=None)


def duration_in(text: str, *, at_start: bool = False) -> timedelta | None:
    """`2 hours`, `three days`, `since yesterday`; None for anything else."""
    seen = folded(text).text.strip(" .")
    days = _RECENTLY.get(seen)
    match = _DURATION.match(seen) if at_start else _DURATION.search(seen)
    if days is None and match is not None:
        days = _number(match[1]) * _UNITS[match[2]]
    return None if days is None or days > _LONGEST else timedelta(days=days)
