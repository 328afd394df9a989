"""Whether the table reaches all of the rules, by the emulator's own report."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.rules.firestore import RULES, Firestore
from tests.rules.pairs import attempts_of
from tests.rules.people import copied
from tests.rules.table import PAIRS

EXCEPTIONS: dict[str, str] = {}
"""Expressions that need not be seen both ways, as they stand in the rules, with the reason."""


@dataclass
class Expression:
    text: str
    seen: set[str] = field(default_factory=set)
    """`true`, `false`, or `value` for anything that is no boolean."""

    @property
    def is_covered(self) -> bool:
        return (bool(self.seen) and self.seen.isdisjoint({"true", "false"})) or self.seen >= _BOTH


_BOTH = {"true", "false"}


def expressions(report: list[Any]) -> list[Expression]:
    """Each expression once, however often the report has it."""
    found: dict[tuple[int, int], Expression] = {}
    for node in _nodes(report):
        start, end = (node["sourcePosition"][name] for name in ("currentOffset", "endOffset"))
        here = found.setdefault((start, end), Expression(RULES[start : end + 1]))
        here.seen |= set(map(_kind, node.get("values", []))) - {""}
    return list(found.values())


def _nodes(report: list[Any]) -> Iterator[Any]:
    for node in report:
        yield node
        yield from _nodes(node.get("children", []))


def _kind(entry: Any) -> str:
    """Nothing for what was skipped, was an error, or waited for a document to be read."""
    value = entry["value"]
    if "boolValue" in value:
        return "true" if value["boolValue"] else "false"
    return "" if "undefined" in value or not value else "value"


async def test_p05_every_expression_of_the_rules_is_seen_both_ways(
    firestore: Firestore, figure: Callable[[str, object], None]
) -> None:
    async with await copied(firestore, "demo-coverage", RULES) as fresh:
        await fresh.outcomes(attempts_of(PAIRS))
        found = expressions((await fresh.coverage())["report"])
    missed = [each for each in found if not each.is_covered]
    covered = f"{100 * (len(found) - len(missed)) / len(found):.1f} % of {len(found)}"
    figure("rules expressions covered", covered)
    assert {each.text for each in missed} == set(EXCEPTIONS), missed
    assert len(found) > 50, "the report has changed its form"


async def test_the_report_tells_what_was_not_reached(firestore: Firestore) -> None:
    """Else full coverage would prove nothing."""
    async with await copied(firestore, "demo-coverage-none", RULES) as fresh:
        assert (await fresh.outcome(PAIRS[0].beside)).is_allowed
        found = expressions((await fresh.coverage())["report"])
    is_self = next(each for each in found if each.text == "request.auth.uid == uid")
    assert is_self.seen == {"true"}
    assert not is_self.is_covered
    assert not next(each for each in found if "'ios'" in each.text).seen
