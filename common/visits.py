"""An appointment as it is made, moved, and entered with all that comes with it."""

from collections.abc import Sequence
from datetime import timedelta
from secrets import token_hex
from typing import Any

from common import access, reminders, slots
from common.appointments import appointments
from common.availability import Slot
from common.clinical import NotificationKind, Patient
from common.firestore import Batch, now
from common.scheduling import Appointment, AppointmentType, Practice
from common.zones import VERSION, wall_clock, zone


def new_appointment(
    practice: Practice,
    patient: Patient,
    needed: Sequence[Slot],
    minutes: int | None,
    type_: AppointmentType,
    booked_by: str | None,
) -> Appointment:
    moment = now()
    appointment = Appointment(
        create_time=moment,
        update_time=moment,
        doctor_id=practice.id,
        patient_id=patient.id,
        doctor_name=practice.name,
        patient_name=patient.name,
        place=place_of(practice, type_),
        type=type_,
        booked_by=booked_by,
        status_time=moment,
        **_timing(practice, needed, minutes),
    )
    appointment.stored_as(appointments.path(token_hex(12)), "")
    return appointment


def moved(
    old: Appointment,
    practice: Practice,
    needed: Sequence[Slot],
    minutes: int | None,
    type_: AppointmentType,
) -> Appointment:
    """The same appointment at another time, or with another doctor."""
    changes = {
        "doctor_id": practice.id,
        "doctor_name": practice.name,
        "place": place_of(practice, type_),
        "type": type_,
        "version": old.version + 1,
        "update_time": now(),
        **_timing(practice, needed, minutes),
    }
    new = old.model_copy(update=changes)
    new.stored_as(old.path, old.revision)
    return new


def place_of(practice: Practice, type_: AppointmentType) -> str | None:
    where = f"{practice.location.address}, {practice.location.city}"
    return where if type_ is AppointmentType.IN_PERSON else None


def _timing(practice: Practice, needed: Sequence[Slot], minutes: int | None) -> dict[str, Any]:
    """The fields of an appointment that say when it is."""
    start = needed[0].start
    where = practice.hours().time_zone
    return {
        "start": start,
        "end": start + timedelta(minutes=minutes or practice.hours().slot_minutes),
        "time_zone": where,
        "local_start": wall_clock(zone(where), start),
        "zone_version": VERSION,
        "slots": [slots.name_of(slot) for slot in needed],
    }


def enter(
    batch: Batch,
    appointment: Appointment,
    patient: Patient,
    minutes_before: Sequence[int],
    news: NotificationKind | None = None,
) -> None:
    """All that comes with a new appointment: access for its doctor, reminders for its patient."""
    batch.create(appointment.path, appointment)
    access.visit(batch, patient, appointment.doctor_id, appointment.end)
    if minutes_before or news:
        reminders.put_plan(batch, appointment, minutes_before, news, is_new=True)
