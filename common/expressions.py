"""The small language in which rules say when they apply.

    chest_pain and (sweating or breathlessness)
    fever and age < 3 months
    head_injury and drug anticoagulant and not sex is male

Names are findings. Tests are `age`, `duration` (compared with a number and a
unit), `sex is …`, `drug …` and `pregnant`. What is not known makes a test false; so who
writes that a rule must not be switched off by an unknown age writes `not age < 16 years`.
"""

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from datetime import timedelta

_TOKEN = re.compile(r"\s*(?:(\(|\)|<=|>=|<|>)|([A-Za-z_][A-Za-z0-9_]*)|(\d+(?:\.\d+)?))")
_WORDS = frozenset(("and", "or", "not"))
_DAYS = {
    "minute": 1 / 1440,
    "hour": 1 / 24,
    "day": 1.0,
    "week": 7.0,
    "month": 30.4375,
    "year": 365.25,
}
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


class NotAnExpression(ValueError):
    """A rule is not written in this language; a fault of ours, found by the tests."""


@dataclass(frozen=True)
class Facts:
    """What a rule is asked about."""

    findings: Set[str] = frozenset()
    age_days: float | None = None
    sex: str | None = None
    is_pregnant: bool | None = None
    duration: timedelta | None = None
    drug_classes: Set[str] = frozenset()


Test = Callable[[Facts], bool]


@dataclass(frozen=True)
class Expression:
    holds: Test
    names: frozenset[str]
    """Findings that it asks for."""
    drug_classes: frozenset[str]


def parse(text: str) -> Expression:
    """Raises `NotAnExpression`."""
    reader = _Reader(text)
    test = reader.either()
    if reader.ahead is not None:
        raise NotAnExpression(f"{reader.ahead!r} was not expected in {text!r}")
    return Expression(test, frozenset(reader.names), frozenset(reader.drug_classes))


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotAnExpression(f"{text[at:]!r} in {text!r}")
        yield found[0].strip()
        at = found.end()


@dataclass
class _Reader:
    """Recursive descent: `or` binds less than `and`, `and` less than `not`."""

    text: str
    names: set[str] = field(default_factory=set)
    drug_classes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rest = _tokens(self.text)
        self.ahead: str | None = None
        self._step()

    def _step(self) -> str:
        now, self.ahead = self.ahead, next(self._rest, None)
        return now or ""

    def _take(self, wanted: str) -> bool:
        if self.ahead == wanted:
            self._step()
            return True
        return False

    def either(self) -> Test:
        tests = [self._both()]
        while self._take("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda facts: any(test(facts) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda facts: all(test(facts) for test in tests)

    def _one(self) -> Test:
        if self._take("not"):
            denied = self._one()
            return lambda facts: not denied(facts)
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise NotAnExpression(f"a parenthesis is open in {self.text!r}")
            return inner
        return self._test(self._name())

    def _name(self) -> str:
        name = self._step()
        if not name or name in _WORDS or not (name[0].isalpha() or name[0] == "_"):
            raise NotAnExpression(f"a name was expected, not {name!r}, in {self.text!r}")
        return name

    def _test(self, name: str) -> Test:
        match name:
            case "age":
                return self._compared(lambda facts: facts.age_days)
            case "duration":
                return self._compared(lambda facts: _in_days(facts.duration))
            case "sex":
                if not self._take("is"):
                    raise NotAnExpression(f"`sex is …` in {self.text!r}")
                wanted = self._name()
                return lambda facts: facts.sex == wanted
            case "drug":
                wanted = self._name()
                self.drug_classes.add(wanted)
                return lambda facts: wanted in facts.drug_classes
            case "pregnant":
                self.names.add(name)
                return lambda facts: facts.is_pregnant is True or "pregnant" in facts.findings
        self.names.add(name)
        return lambda facts: name in facts.findings

    def _compared(self, value_of: Callable[[Facts], float | None]) -> Test:
        compare = _COMPARED.get(self._step())
        number = self._step()
        unit = self._step().removesuffix("s")
        if compare is None or not number[:1].isdigit() or unit not in _DAYS:
            raise NotAnExpression(f"a comparison with a unit was expected in {self.text!r}")
        limit = float(number) * _DAYS[unit]

        def test(facts: Facts) -> bool:
            value = value_of(facts)
            return value is not None and compare(value, limit)

        return test


def _in_days(duration: timedelta | None) -> float | None:
    return None if duration is None else duration / timedelta(days=1)
