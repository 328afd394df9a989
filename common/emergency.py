"""Whom to call: the number of an ambulance and of a crisis line by country, and the sentence that says so.

The numbers are `common/emergency_numbers.yaml`; the tests compare them with those that the
package phonenumbers knows. No number that is wrong is worth one that is right: where the two
differ there is none, and the sentence names no number.
"""

from contextlib import suppress
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from common.rules import load
from common.sources import Source


class EmergencyNumber(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    country: str = Field(pattern=r"^[A-Z]{2}$")
    ambulance: str = Field(pattern=r"^\d{2,5}$")
    crisis: str | None = None
    crisis_name: str | None = None


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[Source, ...]
    numbers: tuple[EmergencyNumber, ...]


@lru_cache
def _table() -> _Table:
    return _Table.model_validate(load("emergency_numbers.yaml"))


@lru_cache
def numbers() -> dict[str, EmergencyNumber]:
    """By country, ISO 3166-1 alpha-2."""
    return {each.country: each for each in _table().numbers}


def country_of(*guesses: str | None) -> str | None:
    """The first of these that is a country; a phone number's is its country's.

    Also one whose number is not in the table: another country's would be the wrong one to call.
    """
    from phonenumbers import SUPPORTED_REGIONS, NumberParseException, parse, region_code_for_number

    for guess in guesses:
        if guess in numbers() or guess in SUPPORTED_REGIONS:
            return guess
        if guess and guess.startswith("+"):
            with suppress(NumberParseException):
                if region := region_code_for_number(parse(guess)):
                    return str(region)
    return None


_CALL = {
    "en": ("Call {number} now.", "Call your local emergency number now."),
    "es": (
        "Llame al {number} ahora mismo.",
        "Llame ahora mismo al número de emergencias de su país.",
    ),
    "de": ("Rufen Sie jetzt die {number} an.", "Rufen Sie jetzt die Notrufnummer Ihres Landes an."),
    "ar": ("اتصل الآن على الرقم {number}.", "اتصل الآن برقم الطوارئ في بلدك."),
    "zh": ("请立即拨打 {number}。", "请立即拨打您所在国家的急救电话。"),
}
_GO = {
    "en": "See a doctor today. If it gets worse, call an ambulance.",
    "es": "Consulte a un médico hoy mismo. Si empeora, llame a una ambulancia.",
    "de": "Gehen Sie noch heute zum Arzt. Wenn es schlimmer wird, rufen Sie den Rettungsdienst.",
    "ar": "راجع طبيبًا اليوم. إذا ساءت الحالة فاتصل بالإسعاف.",
    "zh": "请今天就去看医生。如果加重，请叫救护车。",
}
_CRISIS = {
    "en": "{name}: {number}, at any hour.",
    "es": "{name}: {number}, a cualquier hora.",
    "de": "{name}: {number}, rund um die Uhr.",
    "ar": "{name}: {number}، في أي وقت.",
    "zh": "{name}：{number}，全天候。",
}


def call_now(language: str, country: str | None) -> str:
    """The sentence that begins every emergency answer."""
    with_number, without = _CALL[_known(language)]
    found = numbers().get(country or "")
    return with_number.format(number=found.ambulance) if found else without


def go_today(language: str) -> str:
    return _GO[_known(language)]


def crisis_line(language: str, country: str | None) -> str | None:
    """Who listens to somebody in despair, where there is a line that everybody can call."""
    found = numbers().get(country or "")
    if found is None or found.crisis is None:
        return None
    name = found.crisis_name or "Crisis line"
    return _CRISIS[_known(language)].format(name=name, number=found.crisis)


def _known(language: str) -> str:
    code = language.split("-")[0].lower()
    return code if code in _CALL else "en"
