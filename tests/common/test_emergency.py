"""Whom to call: the numbers agree with those of phonenumbers, and the sentence is in the person's language."""

import pytest
from phonenumbers import shortnumberinfo

from common import emergency


def test_every_number_is_one_for_emergencies_by_an_independent_table() -> None:
    numbers = emergency.numbers()
    assert len(numbers) >= 120
    for country, found in numbers.items():
        assert shortnumberinfo.is_emergency_number(found.ambulance, country), country


@pytest.mark.parametrize(
    ("guesses", "country"),
    [
        (("DE", "US"), "DE"),
        ((None, "+34612345678"), "ES"),
        (("XX", "+12125550147"), "US"),
        (("NG", "DE"), "NG"),  # its number is not in the table: then no other country's is named
        (("", None), None),
        (("+999",), None),
    ],
)
def test_a_country_is_guessed(guesses: tuple[str | None, ...], country: str | None) -> None:
    assert emergency.country_of(*guesses) == country


@pytest.mark.parametrize("language", ["en", "es-MX", "de", "ar", "zh-Hant-TW", "fr"])
def test_it_is_said_in_the_persons_language_or_in_english(language: str) -> None:
    assert "112" in emergency.call_now(language, "SE")
    assert not any(c.isdigit() for c in emergency.call_now(language, None))
    assert emergency.go_today(language)
    assert "988" in (emergency.crisis_line(language, "US") or "")
    assert emergency.crisis_line(language, None) is None
