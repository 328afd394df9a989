"""Red flags: every rule is sound and has its source; people in danger are found, others are left in peace."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common import drugs, mentions, red_flags
from common.red_flags import Situation, duration_in, found_in
from common.urgency import Urgency, most_urgent

VIGNETTES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "labelled" / "vignettes.json").read_text()
)


def urgency_of(vignette: dict[str, Any], *, as_form: bool) -> Urgency | None:
    """By the rules alone: of what was typed into a form, or of the story in free words."""
    if as_form:
        situation = Situation(
            texts=vignette["symptoms"],
            age_years=vignette["age"],
            sex=vignette["sex"],
            is_pregnant=vignette["pregnant"],
            duration=vignette["duration"],
            conditions=vignette["conditions"],
            medications=vignette["medications"],
        )
    else:
        situation = Situation(texts=[vignette["text"]])
    found = found_in(situation)
    return found[0].urgency if found else None


def measured(of: str, *, as_form: bool) -> dict[str, int]:
    """How many emergencies of a set were found, and how many others were taken for one."""
    counts = {"emergencies": 0, "found": 0, "others": 0, "alarms": 0}
    for each in VIGNETTES:
        if each["set"] != of or each["expected"] == "urgent":
            continue
        is_emergency = each["expected"] == "emergency"
        is_found = urgency_of(each, as_form=as_form) is Urgency.EMERGENCY
        counts["emergencies" if is_emergency else "others"] += 1
        counts["found" if is_emergency else "alarms"] += is_found
    return counts


@pytest.mark.parametrize("as_form", [True, False], ids=["form", "free words"])
def test_p39_emergencies_are_found_by_the_rules_alone(figure: Any, as_form: bool) -> None:
    """180 stories that nobody wrote with the rules in view; half of them were never looked at when rules were written.

    The bar is what was measured, less a few: a rule that goes missing is noticed.
    """
    assert len(VIGNETTES) >= 120
    for of in ("development", "held out"):
        counts = measured(of, as_form=as_form)
        kind = "form" if as_form else "free words"
        figure(f"recall, {of}, {kind}", f"{counts['found']} of {counts['emergencies']}")
        figure(f"false alarms, {of}, {kind}", f"{counts['alarms']} of {counts['others']}")
        assert counts["found"] / counts["emergencies"] >= _LEAST[of, as_form]
        assert counts["alarms"] / counts["others"] <= 0.15


_LEAST = {
    ("development", True): 0.95,
    ("development", False): 0.95,
    ("held out", True): 0.9,
    ("held out", False): 0.65,
}


def test_there_are_enough_rules_each_with_its_source() -> None:
    rules = red_flags.rules()
    assert len(rules) >= 60
    assert len({rule.id for rule in rules}) == len(rules)
    assert sum(rule.urgency is Urgency.EMERGENCY for rule in rules) >= 50
    for rule in rules:
        assert rule.source.url.startswith("https://"), rule.id


def test_every_name_in_a_rule_is_a_finding_and_every_finding_is_asked_for() -> None:
    names = {each.id for each in mentions.findings()}
    lines = [line for each in red_flags._compiled() for line in each.lines]
    asked = {name for line in lines for name in line.names}
    assert asked - names <= {"pregnant"}
    assert names - asked == set()
    classes = {name for line in lines for name in line.drug_classes}
    assert classes <= drugs.table().classes.keys()


def ids(*texts: str, **more: Any) -> set[str]:
    return {flag.rule_id for flag in found_in(Situation(texts=texts, **more))}


def test_a_chart_alone_raises_no_alarm() -> None:
    more = {
        "conditions": ["Heart attack", "Epilepsy"],
        "medications": ["Warfarin"],
        "age_years": 80,
    }
    assert ids("I would like to renew my prescription", **more) == set()


def test_an_age_in_the_words_counts_beside_the_one_that_is_given() -> None:
    """A mother writes for her baby."""
    found = found_in(Situation(["my 5 week old has a fever of 38.5"], age_years=31))
    assert found[0].urgency is Urgency.EMERGENCY


def test_drugs_in_the_words_count_as_those_in_the_chart() -> None:
    said = "I take warfarin and hit my head on the door, a small bump"
    assert found_in(Situation([said]))[0].urgency is Urgency.EMERGENCY


def test_the_most_urgent_comes_first() -> None:
    found = found_in(Situation(["blood in my urine and I can't breathe"]))
    ranks = [flag.urgency.rank for flag in found]
    assert ranks == sorted(ranks, reverse=True)
    assert most_urgent(Urgency.ROUTINE, Urgency.URGENT) is Urgency.URGENT


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("2 hours", timedelta(hours=2)),
        ("for three days", timedelta(days=3)),
        ("30 min", timedelta(minutes=30)),
        ("since yesterday", timedelta(days=1)),
        ("2 semanas", timedelta(weeks=2)),
        ("seit 2 Tagen", timedelta(days=2)),
        ("half a life", None),
        ("", None),
        ("9999999999999999999 years", None),
    ],
)
def test_durations_are_understood(text: str, duration: timedelta | None) -> None:
    assert duration_in(text) == duration
