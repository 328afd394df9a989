"""Demo schedules and appointments: every doctor has hours, and some of the next days are booked.

Days count from the day on which it is run; what is there already stays.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from common import access, availability, booking, crypto, slots, visits
from common.appointments import appointments, practices
from common.auth import accounts
from common.availability import Slot
from common.booking import Change, Place
from common.firestore import Batch, now
from common.models import User
from common.patients import patients
from common.scheduling import (
    Appointment,
    AppointmentPrivate,
    AppointmentStatus,
    AppointmentType,
    BookedSlot,
    Practice,
    Schedule,
    Span,
)

_REASONS = [
    "Yearly check-up",
    "A cough that stays",
    "Results of the blood test",
    "Back pain since last week",
    "A new prescription",
]

_WORKDAYS = ("mon", "tue", "wed", "thu", "fri")


def schedule(zone: str, number: int) -> Schedule:
    """Hours of the country's kind; some see people by video in the evening."""
    mornings: list[dict[str, Any]] = [{"start": "09:00", "end": "12:30"}]
    afternoons: list[dict[str, Any]] = [{"start": "14:00", "end": "17:30"}]
    evening: dict[str, Any] = {"start": "18:00", "end": "20:00", "types": ["video", "phone"]}
    days = {day: [*mornings, *afternoons] for day in _WORKDAYS}
    days["wed"] = mornings
    if number % 3 == 0:
        days["thu"] = [*mornings, evening]
    if number % 4 == 0:
        days["sat"] = mornings
    return Schedule.model_validate(
        {
            "time_zone": zone,
            "slot_minutes": (30, 30, 15, 20)[number % 4],
            "weekly": days,
            "min_notice_hours": 2,
        }
    )


async def store(people: Sequence[User], doctor_ids: Sequence[str]) -> int:
    """Two appointments ahead for each patient, and for the known ones a visit; returns how many."""
    pairs = [
        (f"demo-{number:03}-{turn}", user.id, doctor_ids[(number + turn * 7) % len(doctor_ids)])
        for number, user in enumerate(people)
        for turn in (0, 1)
    ]
    for number, (id, patient_id, doctor_id) in enumerate(pairs):
        await _book(id, patient_id, doctor_id, days_ahead=1 + number % 5, number=number)
    await _visited("demo-visit", people[0].id, doctor_ids[0])
    return len(pairs) + 1


async def _book(id: str, patient_id: str, doctor_id: str, days_ahead: int, number: int) -> None:
    practice, patient = await practices.get(doctor_id), await patients.get(patient_id)
    if practice is None or patient is None or await appointments.get(id) is not None:
        return
    found = await _free(practice, days_ahead)
    slot = found[number % len(found)]
    type_ = slot.types[0]
    made = visits.new_appointment(practice, patient, [slot], None, type_, patient_id)
    made.stored_as(appointments.path(id), "")
    await _seal(made, number)
    account = await accounts.get(patient_id)

    def write(batch: Batch) -> None:
        visits.enter(batch, made, patient, account.minutes_before)

    change = Change()
    change.take(Place(practice, made, [slot], None, booking.read_now()))
    await change.commit(write)


async def _free(practice: Practice, days_ahead: int) -> list[Slot]:
    """The free slots of the first day from then on that has any."""
    start = now() + timedelta(days=days_ahead)
    window = Span(start=start, end=start + timedelta(days=4))
    spans = await slots.taken(practice, window)
    found = list(availability.free(practice.hours(), spans, window))
    return [slot for slot in found if slot.start < found[0].start + timedelta(hours=9)]


async def _visited(id: str, patient_id: str, doctor_id: str) -> None:
    """A visit of two weeks ago that took place."""
    practice, patient = await practices.get(doctor_id), await patients.get(patient_id)
    if practice is None or patient is None or await appointments.get(id) is not None:
        return
    start = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    start -= timedelta(days=14)
    slot = Slot(start, start + timedelta(minutes=30), (AppointmentType.IN_PERSON,), start)
    visit = visits.new_appointment(practice, patient, [slot], None, slot.types[0], patient_id)
    visit.create_time = start - timedelta(days=9)
    visit.status = AppointmentStatus.FULFILLED
    visit.slots = [BookedSlot.name(start)]
    visit.stored_as(appointments.path(id), "")
    await _seal(visit, 0)
    batch = Batch()
    batch.create(visit.path, visit)
    access.visit(batch, patient, doctor_id, visit.end)
    await batch.commit()


async def _seal(appointment: Appointment, number: int) -> None:
    vault = await crypto.vault_of(appointment.patient_id)
    private = AppointmentPrivate(reason=_REASONS[number % len(_REASONS)])
    appointment.sealed = vault.seal_all(appointment.path, private, only={"reason"})
