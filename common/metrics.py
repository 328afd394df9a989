"""What a doctor's months add up to, counted as it happens: `doctors/{doctor_id}/metrics/{year-month}`.

One document a month, a map a day, in the doctor's time zone: a year's report
is twelve reads, and nothing is ever scanned.
"""

from datetime import datetime
from typing import Any

from common.firestore import Batch, Collection, now, plus
from common.models import Record, Role
from common.scheduling import Appointment, AppointmentStatus
from common.zones import zone


class Month(Record):
    """`doctors/{doctor_id}/metrics/{year-month}`."""

    days: dict[str, dict[str, Any]] = {}
    """By day of the month, `05`: `visits`, `noshows`, `cancelled_by_{role}`, `minutes`, `ratings`,
    `stars`, and `lead`: visits by whole days between booking and start."""


months = Collection(Month, "doctors/{}/metrics")


def count_status(batch: Batch, appointment: Appointment, status: AppointmentStatus) -> None:
    """Count a visit or a no-show, on the day of the appointment."""
    if status is AppointmentStatus.NOSHOW:
        _count(batch, appointment, {"noshows": plus(1)})
    elif status is AppointmentStatus.FULFILLED:
        lead = max(0, (appointment.start - appointment.create_time).days)
        minutes = int((appointment.end - appointment.start).total_seconds()) // 60
        counts = {"visits": plus(1), "minutes": plus(minutes), "lead": {str(lead): plus(1)}}
        _count(batch, appointment, counts)


def count_cancellation(batch: Batch, appointment: Appointment, by: Role) -> None:
    _count(batch, appointment, {f"cancelled_by_{by}": plus(1)})


def count_review(batch: Batch, doctor_id: str, time_zone: str, stars: int) -> None:
    """On the day on which it is given."""
    _add(batch, doctor_id, now(), time_zone, {"ratings": plus(1), "stars": plus(stars)})


def _count(batch: Batch, appointment: Appointment, counts: dict[str, Any]) -> None:
    _add(batch, appointment.doctor_id, appointment.start, appointment.time_zone, counts)


def _add(
    batch: Batch, doctor_id: str, moment: datetime, time_zone: str, counts: dict[str, Any]
) -> None:
    day = moment.astimezone(zone(time_zone)).date()
    path = months.path(doctor_id, f"{day:%Y-%m}")
    batch.merge(path, {"update_time": now(), "days": {f"{day:%d}": counts}})
