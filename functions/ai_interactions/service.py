"""What all parts of the assistant do first: who is it about, what do their words ask for at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from common import emergency, red_flags
from common.auth import Principal
from common.clinical import ConditionStatus
from common.egress import known_of
from common.firestore import now
from common.models import User
from common.red_flags import RedFlag, Situation
from common.redaction import Identifier, Kind, Redactor
from common.urgency import Urgency, most_urgent

from . import repository
from .repository import Chart
from .schemas import Alarm

_DESPAIR = ("suicid", "self_harm")
"""In the names of rules after which a crisis line is named."""


_OLDEST = 90.0


@dataclass(frozen=True)
class Asker:
    """Who asks, and the record that it is about, if there is one."""

    user: User | None
    chart: Chart | None
    language: str
    country: str | None

    @property
    def redactor(self) -> Redactor:
        """Knows who asks and whom it is about."""
        known: list[Identifier] = []
        if self.user is not None:
            known.append(Identifier(Kind.PERSON, self.user.display_name))
            known.append(Identifier(Kind.EMAIL, self.user.email))
            known += [Identifier(Kind.PHONE, self.user.phone)] if self.user.phone else []
        if self.chart is not None:
            known += known_of(self.chart.patient, self.chart.private)
        return Redactor(known)


async def asker_of(
    caller: Principal, chart: Chart | None, country: str | None, language: str | None
) -> Asker:
    """One read; language and country are those of the request, else of the account and the record."""
    user = await repository.user(caller.uid)
    address = chart.private.address if chart is not None else None
    contacts = chart.private.contacts if chart is not None else None
    return Asker(
        user=user,
        chart=chart,
        language=language or (user.language if user else "en"),
        country=emergency.country_of(
            country,
            address.country if address else None,
            user.phone if user else None,
            contacts.phone if contacts else None,
        ),
    )


async def who_asks(caller: Principal, country: str | None, language: str | None) -> Asker:
    """The caller with their own record, if they have one: it says where they live, and what must not leave."""
    return await asker_of(caller, await repository.own_chart(caller.uid), country, language)


def age_told(years: float) -> float:
    """As a model may learn it: ages over 89 are identifiers (45 CFR 164.514(b)(2)(i)(C)), and one group."""
    return min(years, _OLDEST)


def age_of(born: date) -> float:
    """In years."""
    return max(0.0, (now().date() - born).days / 365.25)


def situation_of(texts: Sequence[str], chart: Chart | None) -> Situation:
    """What somebody says, and what their record adds to it."""
    if chart is None:
        return Situation(texts=texts)
    active = [
        each for each in chart.private.conditions if each.status is not ConditionStatus.RESOLVED
    ]
    return Situation(
        texts=texts,
        age_years=age_of(chart.patient.birth_date),
        sex=chart.patient.sex,
        conditions=[each.name for each in active],
        condition_codes=[
            each.code.value for each in active if each.code and each.code.system == "icd-10"
        ],
        medications=current_medications(chart),
    )


def current_medications(chart: Chart) -> list[str]:
    today = now().date()
    return [
        each.name
        for each in chart.private.medications
        if each.ended_on is None or each.ended_on >= today
    ]


async def flags_in(situation: Situation) -> list[RedFlag]:
    """The red flags, off the event loop: a long text takes a hundredth of a second."""
    return await asyncio.to_thread(red_flags.found_in, situation)


def alarm(flags: Sequence[RedFlag], language: str, country: str | None) -> Alarm | None:
    """What these flags ask for; None for none."""
    if not flags:
        return None
    urgency = most_urgent(*(flag.urgency for flag in flags))
    return alarm_of(urgency, flags, language, country)


def alarm_of(
    urgency: Urgency, flags: Sequence[RedFlag], language: str, country: str | None
) -> Alarm:
    """What is to be done at this urgency; it may be higher than that of the flags."""
    foremost = [flag for flag in flags if flag.urgency is urgency]
    is_emergency = urgency is Urgency.EMERGENCY
    number = emergency.numbers().get(country or "")
    is_despair = any(name in flag.rule_id for flag in flags for name in _DESPAIR)
    return Alarm(
        urgency=urgency,
        call=emergency.call_now(language, country)
        if is_emergency
        else emergency.go_today(language),
        number=number.ambulance if number else None,
        crisis_line=emergency.crisis_line(language, country) if is_despair else None,
        what_to_do=[flag.what_to_do for flag in foremost][:3],
        red_flags=list(flags),
    )


def in_words(told: Alarm) -> str:
    """The alarm as one text."""
    flags = [flag.title for flag in told.red_flags if flag.urgency is told.urgency]
    parts = [told.call, *([f"{'; '.join(flags[:3])}."] if flags else []), *told.what_to_do]
    return "\n\n".join([*parts, *([told.crisis_line] if told.crisis_line else [])])
