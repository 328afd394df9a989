"""The language of rules: what it says holds, what is unknown holds nothing, what is none of it is refused."""

from datetime import timedelta
from typing import Any

import pytest

from common.expressions import Facts, NotAnExpression, parse

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "facts", "holds"),
    [
        ("a", {"findings": {"a"}}, True),
        ("a", {}, False),
        ("a and b", {"findings": {"a"}}, False),
        ("a and b", {"findings": {"a", "b"}}, True),
        ("a or b and c", {"findings": {"a"}}, True),
        ("(a or b) and c", {"findings": {"a"}}, False),
        ("not a and b", {"findings": {"b"}}, True),
        ("not (a or b)", {"findings": {"b"}}, False),
        ("age < 3 months", {"age_days": 60.0}, True),
        ("age < 3 months", {"age_days": 92.0}, False),
        ("age >= 65 years", {"age_days": 65 * 365.25}, True),
        ("age < 3 months", {}, False),
        ("not age < 16 years", {}, True),  # unknown must not switch a rule off
        ("not age < 16 years", {"age_days": 3000.0}, False),
        ("duration <= 24 hours", {"duration": DAY}, True),
        ("duration > 2 weeks", {"duration": 15 * DAY}, True),
        ("duration > 2 weeks", {}, False),
        ("sex is female", {"sex": "female"}, True),
        ("not sex is male", {}, True),
        ("pregnant", {"is_pregnant": True}, True),
        ("pregnant", {"findings": {"pregnant"}, "is_pregnant": False}, True),
        ("drug anticoagulant and a", {"findings": {"a"}, "drug_classes": {"anticoagulant"}}, True),
        ("drug anticoagulant", {"findings": {"anticoagulant"}}, False),
    ],
)
def test_it_holds_what_it_says(text: str, facts: dict[str, Any], holds: bool) -> None:
    facts = {name: frozenset(v) if isinstance(v, set) else v for name, v in facts.items()}
    assert parse(text).holds(Facts(**facts)) is holds


def test_it_knows_what_it_asks_for() -> None:
    found = parse("a and (b or not c) and drug nsaid and age > 2 days and pregnant")
    assert found.names == {"a", "b", "c", "pregnant"}
    assert found.drug_classes == {"nsaid"}


@pytest.mark.parametrize(
    "text",
    ["", "and a", "a b", "a and", "(a", "a)", "age 3 months", "age < months", "age < 3 moons",
     "duration = 3 days", "sex female", "drug", "a & b", "not", "a or or b", "age < 3"],
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(NotAnExpression):
        parse(text)
