"""Appointments that a newer time zone database would move on the wall clock.

A government changes its clocks, and what was booked for nine is suddenly at
ten: the moment that is stored stays, what the doctor's clock shows then does
not. Each appointment stores what it was to show, and by which database.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from common.appointments import appointments
from common.firestore import Where, now
from common.scheduling import Appointment
from common.zones import VERSION, wall_clock, zone


@dataclass(frozen=True)
class Moved:
    appointment_id: str
    doctor_id: str
    start: datetime
    time_zone: str
    was_for: str
    """What the doctor's clock was to show."""
    is_at: str
    """What it will show."""
    zone_version: str


@dataclass
class Report:
    looked_at: int
    moved: list[Moved]
    version: str = VERSION


async def check_zones() -> Report:
    """Of all appointments ahead that still hold their time."""
    report = Report(0, [])
    async for appointment in _ahead():
        report.looked_at += 1
        shown = wall_clock(zone(appointment.time_zone), appointment.start)
        if shown != appointment.local_start:
            report.moved.append(
                Moved(
                    appointment.id,
                    appointment.doctor_id,
                    appointment.start,
                    appointment.time_zone,
                    appointment.local_start,
                    shown,
                    appointment.zone_version,
                )
            )
    return report


async def _ahead() -> AsyncIterator[Appointment]:
    where: Where = [("start", ">=", now())]
    async for appointment in appointments.all_(where=where, order=[("start", "ASCENDING")]):
        if appointment.status.is_live:
            yield appointment
