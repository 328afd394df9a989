"""The use case of metrics: days that were counted as they happened, added up."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from common import audit, availability
from common.auth import Principal
from common.firestore import now
from common.problems import Forbidden, Invalid, NotFound
from common.scheduling import Practice
from common.zones import zone

from .. import policy
from . import repository
from .schemas import Cancellations, Metrics, MetricsQuery

_MOST_DAYS = 366


async def get(caller: Principal, doctor_id: str, wish: MetricsQuery) -> Metrics:
    """Raises `NotFound`, `Forbidden`, `Invalid`. One read a month, and one."""
    practice = await repository.practice(doctor_id)
    if practice is None or not policy.can_read(caller, practice):
        raise NotFound
    if not policy.can_read_whole(caller, practice):
        path = f"doctors/{doctor_id}/metrics"
        raise await audit.refuse(caller, "doctors.metrics", path, doctor_id, Forbidden())
    today = now().astimezone(zone(practice.schedule.time_zone if practice.schedule else "UTC"))
    first, last = _asked(wish, today.date())
    names = sorted({f"{day:%Y-%m}" for day in _days(first, last)})
    found = await repository.of_months(doctor_id, names)
    counted = Counter[str]()
    lead = Counter[int]()
    for day in _days(first, last):
        month = found.get(f"{day:%Y-%m}")
        counts: dict[str, Any] = month.days.get(f"{day:%d}", {}) if month else {}
        counted.update({name: n for name, n in counts.items() if isinstance(n, int)})
        lead.update({int(days): n for days, n in counts.get("lead", {}).items()})
    return _added_up(practice, first, last, today.date(), counted, lead)


def _asked(wish: MetricsQuery, today: date) -> tuple[date, date]:
    last = wish.to or today
    if not 2000 <= last.year <= 2200:
        raise Invalid.field("?to", "There are no figures of this year")
    first = wish.from_ or last - timedelta(days=30)
    if last < first:
        raise Invalid.field("?to", "This is before from")
    if (last - first).days >= _MOST_DAYS:
        raise Invalid.field("?to", f"{_MOST_DAYS} days at most can be asked for at once")
    return first, last


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _added_up(
    practice: Practice,
    first: date,
    last: date,
    today: date,
    counted: Counter[str],
    lead: Counter[int],
) -> Metrics:
    open_minutes = 0
    if practice.schedule is not None and first <= today:
        open_minutes = availability.open_minutes(practice.schedule, first, min(last, today))
    came = counted["visits"] + counted["noshows"]
    return Metrics(
        doctor_id=practice.id,
        **{"from": first},
        to=last,
        visits=counted["visits"],
        noshows=counted["noshows"],
        noshow_rate=_ratio(counted["noshows"], came),
        cancellations=Cancellations(
            by_patient=counted["cancelled_by_patient"],
            by_doctor=counted["cancelled_by_doctor"],
            by_admin=counted["cancelled_by_admin"],
        ),
        utilisation=_ratio(counted["minutes"], open_minutes),
        median_lead_days=_median(lead),
        ratings=counted["ratings"],
        average_rating=_ratio(counted["stars"], counted["ratings"]),
    )


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _median(counts: Counter[int]) -> float | None:
    values = sorted(counts.elements())
    if not values:
        return None
    middle = len(values) // 2
    return (values[middle] + values[-middle - 1]) / 2
