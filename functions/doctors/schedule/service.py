"""The use cases of schedules."""

from datetime import datetime
from typing import Any

from common import audit, availability
from common.auth import Principal
from common.firestore import ANY_REVISION, now
from common.preconditions import applied
from common.problems import Forbidden, Invalid, NotFound, RecordChanged
from common.scheduling import Appointment, Practice, Schedule, Span
from common.slots import SETTLE_FOR

from .. import policy
from . import repository
from .schemas import ScheduleConflict, SchedulePublic, ScheduleSaved

_MOST_CONFLICTS = 200


async def get(caller: Principal, doctor_id: str) -> tuple[Practice, SchedulePublic]:
    """Raises `NotFound`, also for a doctor who has entered no schedule yet."""
    practice = await _known(caller, doctor_id)
    if practice.schedule is None:
        raise NotFound("This doctor has entered no schedule yet.")
    shown = SchedulePublic(**dict(practice.schedule), update_time=practice.update_time)
    return practice, shown


async def put(
    caller: Principal, doctor_id: str, wish: Schedule, revision: str = ANY_REVISION
) -> tuple[str, ScheduleSaved]:
    """Replace the schedule; returns the ETag. What is booked stays, and is named if it no longer fits.

    Raises `NotFound`, `Forbidden`, `Invalid` (a spell too short for a slot), `RecordChanged`.
    """
    _refuse_short_spells(wish)

    async def change() -> tuple[str, datetime | None]:
        practice = await _known(caller, doctor_id)
        if not policy.can_update(caller, practice):
            path = f"doctors/{doctor_id}"
            raise await audit.refuse(caller, "doctors.schedule", path, doctor_id, Forbidden())
        if revision not in (ANY_REVISION, practice.revision):
            raise RecordChanged
        moment = now()
        placed = _placed(practice, wish, moment)
        event = audit.event(caller, "doctors.schedule", f"doctors/{doctor_id}", doctor_id)
        fields = {"schedule": wish, "update_time": moment, **placed}
        saved = await repository.save(practice, fields, event)
        return f'"{saved}"', placed["settle_time"]

    etag, settle_time = await applied(change, revision)
    # Asked after the schedule is there: what is booked from now on fits it.
    conflicts = await _conflicts(doctor_id, wish)
    answer = ScheduleSaved(
        **dict(wish),
        update_time=now(),
        conflicts=[ScheduleConflict.of(each) for each in conflicts[:_MOST_CONFLICTS]],
        conflict_count=len(conflicts),
        bookable_from=settle_time,
    )
    return etag, answer


def _placed(practice: Practice, wish: Schedule, moment: datetime) -> dict[str, Any]:
    """Where the slots lie now, and until when bookings wait if that is elsewhere: see common/slots.py."""
    grid = availability.grid_of(wish, moment)
    is_same = practice.grid == grid and not availability.is_askew(grid)
    if practice.schedule is None:
        return {"grid": grid, "settle_time": None}
    if is_same:
        return {"grid": grid, "settle_time": practice.settle_time}
    return {"grid": grid, "settle_time": moment + SETTLE_FOR}


async def _conflicts(doctor_id: str, schedule: Schedule) -> list[Appointment]:
    return [
        appointment
        async for appointment in repository.booked_ahead(doctor_id, now())
        if not _fits(appointment, schedule)
    ]


def _fits(appointment: Appointment, schedule: Schedule) -> bool:
    span = Span(start=appointment.start, end=appointment.end)
    return availability.is_open(schedule, span, appointment.type)


def _refuse_short_spells(schedule: Schedule) -> None:
    """Hours in which nothing could ever be booked are a slip."""
    if any(not availability.holds_a_slot(schedule, spell) for spell in schedule.every_spell()):
        raise Invalid.field("/slot_minutes", "Some of these hours are shorter than one slot")


async def _known(caller: Principal, doctor_id: str) -> Practice:
    practice = await repository.get(doctor_id)
    if practice is None or not policy.can_read(caller, practice):
        raise NotFound
    return practice
