"""Whether nobody is booked twice: the invariant of bookings, looked up in what is stored."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from common.appointments import appointments, booked_days, booked_slots, waitlist
from common.scheduling import Appointment, BookedDay, Span
from tests.client import Person


async def broken_rules(doctors: Iterable[Person], patients: Iterable[Person]) -> list[str]:
    """Where the invariant does not hold, in words: between what is stored of these people."""
    found: list[str] = []
    owned: dict[str, set[str]] = {}
    for doctor in doctors:
        live = await live_of("doctor_id", doctor.uid)
        found += _overlaps(f"doctor {doctor.uid}", live)
        found += await _slots_of(doctor.uid, live)
    for patient in patients:
        live = await live_of("patient_id", patient.uid)
        found += _overlaps(f"patient {patient.uid}", live)
        owned[patient.uid] = {each.id for each in live}
        found += await _days_of(patient.uid, live)
    return found


async def live_of(party: str, uid: str) -> list[Appointment]:
    every = appointments.all_(where=[(party, "==", uid)])
    return sorted([a async for a in every if a.status.is_live], key=lambda a: a.start)


def _overlaps(whose: str, live: Sequence[Appointment]) -> list[str]:
    return [
        f"{whose}: {first.id} and {second.id} overlap at {second.start}"
        for first, second in pairwise(live)
        if second.start < first.end
    ]


async def _slots_of(doctor_id: str, live: Sequence[Appointment]) -> list[str]:
    """Each live appointment has its slots; no slot is there without an appointment or an offer."""
    stored = {slot.id: slot async for slot in booked_slots.all_(doctor_id)}
    wrong = []
    for appointment in live:
        for name in appointment.slots:
            slot = stored.pop(name, None)
            if slot is None or slot.appointment_id != appointment.id:
                wrong.append(f"{appointment.id} has not its slot {name}")
    for name, slot in stored.items():
        entry = await waitlist.get(slot.waitlist_id) if slot.waitlist_id else None
        if entry is None or entry.offer is None or entry.offer.slot != name:
            wrong.append(f"slot {name} of {doctor_id} is nobody's")
    return wrong


async def _days_of(patient_id: str, live: Sequence[Appointment]) -> list[str]:
    expected: dict[str, dict[str, Span]] = {}
    for each in live:
        for name in BookedDay.names(each.start, each.end):
            expected.setdefault(name, {})[each.id] = Span(start=each.start, end=each.end)
    stored = {day.id: day.spans async for day in booked_days.all_(patient_id)}
    return [] if stored == expected else [f"days of {patient_id}: {stored} for {expected}"]
