"""What travels to people: a message's words, in their language and on their clock.

The words of each language are one file in `texts`; dates are written as CLDR
says that the language writes them.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError, dates

from common.models import User
from common.reminders import Message
from common.scheduling import AppointmentType
from common.zones import zone

_FOLDER = Path(__file__).parent / "texts"

DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True)
class Words:
    language: str
    title: str
    text: str
    footer: str


def languages() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def words_for(user: User, message: Message) -> Words:
    """No clinical text, and nothing of why somebody comes."""
    language = user.language.split("-")[0]
    if language not in languages():
        language = DEFAULT_LANGUAGE
    texts = _texts(language)
    template: dict[str, str] = texts[message.kind]
    filling = {
        "doctor": message.doctor_name,
        "when": _when(user, message, texts, language),
        "type": texts["types"][message.type],
        "until": _time(message.until, user.time_zone, _locale(user.language, language)),
    }
    title, text = (template[part].format(**filling) for part in ("title", "text"))
    return Words(language, title, text, texts["footer"])


def _when(user: User, message: Message, texts: dict[str, Any], language: str) -> str:
    locale = _locale(user.language, language)
    start = message.start.astimezone(zone(user.time_zone))
    shown = texts["when"].format(
        date=dates.format_date(start.date(), "full", locale=locale),
        time=_time(message.start, user.time_zone, locale),
    )
    there = message.start.astimezone(zone(message.time_zone))
    is_elsewhere = there.utcoffset() != start.utcoffset()
    if message.type is AppointmentType.IN_PERSON and is_elsewhere:
        # Who travels there must know what the clock on its wall will show.
        shown = texts["there"].format(
            when=shown,
            date=dates.format_date(there.date(), "short", locale=locale),
            time=_time(message.start, message.time_zone, locale),
        )
    return str(shown)


def _time(moment: datetime, time_zone: str, locale: Locale) -> str:
    local = moment.astimezone(zone(time_zone))
    shown = dates.format_time(local, "short", tzinfo=local.tzinfo, locale=locale)
    name = dates.get_timezone_name(local, "short", locale=locale)
    if name[0] in "+-":  # the language has no short name for it
        name = dates.get_timezone_gmt(local, "long", locale=locale)
    return f"{shown} {name}"


def _locale(tag: str, language: str) -> Locale:
    """The person's own, if it is of the language that is spoken to them."""
    try:
        found = Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale(language)
    return found if found.language == language else Locale(language)


@lru_cache
def _texts(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / f"{language}.json").read_text("utf-8"))
    return found
