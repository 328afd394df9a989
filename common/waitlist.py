"""A slot that is freed goes to who waits for one: held for them for 15 minutes, or booked at once.

The offer is the slot's own document, changed in the batch that frees it, so
nobody can book it in between, and a crash leaves either the one or the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from common import audit, availability, booking, crypto, reminders, slots, visits
from common.appointments import appointments, booked_days, booked_slots, waitlist
from common.auth import accounts
from common.availability import Slot
from common.booking import Change, Place
from common.clinical import NotificationKind, Patient
from common.crypto import Vault
from common.firestore import Batch, Where, now
from common.patients import patients
from common.scheduling import (
    Appointment,
    AppointmentStatus,
    BookedDay,
    Offer,
    Practice,
    WaitlistEntry,
    WaitlistStatus,
)

OFFER_FOR = timedelta(minutes=15)

_MOST_ASKED = 50
"""Of those who wait, how many are looked at for one slot."""

Write = Callable[[Batch], None]


def wants_of(practice: Practice) -> list[str]:
    """What those wait for who may be offered a slot of this doctor."""
    return [f"doctor:{practice.id}", *(f"specialty:{each}" for each in practice.specialties)]


@dataclass
class Freed:
    """Slots that a change frees, on their way to who waits for them."""

    change: Change
    practice: Practice
    freed_by: str | None = None
    """The patient who gives the slots up: they are not offered what they just had."""
    writes: list[Write] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)

    def skip(self, entry: WaitlistEntry) -> None:
        """One who just let it go."""
        self._asked.add(entry.id)

    async def pass_on(self, name: str) -> None:
        """Offer or book one freed slot; if nobody fits, it is simply free."""
        slot = self._bookable(name)
        if slot is None:
            return
        for entry in await _in_line(self.practice):
            if entry.id in self._asked or entry.patient_id == self.freed_by:
                continue
            if not _fits(entry, slot, _place(self.practice.id, name)):
                continue
            if own := await _booked_meanwhile(entry, self.practice.id):
                self._asked.add(entry.id)
                self.writes.append(_settling(entry, own))
            elif not await _is_busy(entry.patient_id, slot):
                self._asked.add(entry.id)
                if not entry.auto_book:
                    self._offer(entry, slot)
                    return
                if await self._book(entry, slot):
                    return

    def _bookable(self, name: str) -> Slot | None:
        """The slot, if it is still one that patients may book."""
        practice, schedule = self.practice, self.practice.schedule
        if schedule is None or practice.settle_time is not None:
            return None
        if not practice.is_listed or not practice.is_accepting_patients:
            return None
        start = datetime.strptime(name, "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        window = availability.bookable(schedule, now())
        found = availability.run(schedule, start)
        if not found or not window.start <= start < window.end:
            return None
        # What was booked on earlier slots may have had another length.
        return None if slots.is_near_off_grid(practice, found) else found[0]

    def _offer(self, entry: WaitlistEntry, slot: Slot) -> None:
        moment = now()
        name = slots.name_of(slot)
        offered = entry.model_copy(
            update={
                "status": WaitlistStatus.OFFERED,
                "offer": Offer(
                    doctor_id=self.practice.id,
                    doctor_name=self.practice.name,
                    start=slot.start,
                    end=slot.end,
                    time_zone=self.practice.hours().time_zone,
                    slot=name,
                    expire_time=moment + OFFER_FOR,
                ),
                "expire_time": moment + OFFER_FOR,
            }
        )
        offered.stored_as(entry.path, entry.revision)
        path = booked_slots.path(self.practice.id, name)
        self.change.offer(path, offered)

        def write(batch: Batch) -> None:
            save(batch, entry, offered)
            reminders.put_offer(batch, offered, moment)
            event = audit.event(
                None, "waitlist.offer", offered.path, offered.patient_id, reason="waitlist"
            )
            audit.add(batch, event)

        self.writes.append(write)

    async def _book(self, entry: WaitlistEntry, slot: Slot) -> bool:
        """Whether it could be: a closed record is off the list."""
        patient = await patients.get(entry.patient_id)
        if patient is None or patient.is_archived:
            self.writes.append(_settling(entry, None))
            return False
        place, write = await appointment_for(entry, patient, self.practice, [slot], None)
        self.change.take(place)
        self.writes.append(write)
        return True


async def appointment_for(
    entry: WaitlistEntry,
    patient: Patient,
    practice: Practice,
    needed: Sequence[Slot],
    booked_by: str | None,
) -> tuple[Place, Write]:
    """The appointment of one who waited: its place, and what is to be written with it.

    `booked_by` is None when nobody acted: then the patient is told.
    """
    appointment = visits.new_appointment(practice, patient, needed, None, entry.type, booked_by)
    appointment.sealed = resealed(await crypto.vault_of(patient.id), entry, appointment)
    account = await accounts.get(patient.id)
    news = NotificationKind.BOOKED if booked_by is None and account.role else None
    place = Place(practice, appointment, needed, None, booking.read_now())
    place.is_waiting = booked_by is None
    status = {"status": WaitlistStatus.BOOKED, "offer": None, "appointment_id": appointment.id}

    def write(batch: Batch) -> None:
        visits.enter(batch, appointment, patient, account.minutes_before, news)
        save(batch, entry, entry.model_copy(update=status))
        if booked_by is None:
            event = audit.event(
                None, "appointments.create", appointment.path, patient.id, reason="waitlist"
            )
            audit.add(batch, event)

    return place, write


def resealed(vault: Vault, entry: WaitlistEntry, appointment: Appointment) -> dict[str, bytes]:
    """The reason that was given on the waitlist, sealed for its new place."""
    if "reason" not in entry.sealed:
        return {}
    reason = vault.open(entry.path, "reason", entry.sealed["reason"])
    return {"reason": vault.seal(appointment.path, "reason", reason)}


def save(batch: Batch, entry: WaitlistEntry, changed: WaitlistEntry) -> None:
    """Insists on the entry as it was read: nobody is offered two slots at a time."""
    batch.update(entry.path, {**dict(changed), "update_time": now()}, entry.revision)


def after_offer(entry: WaitlistEntry) -> WaitlistEntry:
    """The entry without its offer, which is not made to the same person again."""
    offer = entry.held()
    is_over = entry.to_time <= now()
    passed = [*entry.passed, _place(offer.doctor_id, offer.slot)][-100:]
    status = WaitlistStatus.EXPIRED if is_over else WaitlistStatus.WAITING
    changes = {"status": status, "offer": None, "expire_time": entry.to_time, "passed": passed}
    return entry.model_copy(update=changes)


async def take_back(
    entry: WaitlistEntry, practice: Practice | None, changed: WaitlistEntry, write: Write
) -> None:
    """End an entry's offer, and pass the slot on to the next in line; without an offer, only save.

    Raises `RecordChanged` when the entry is not as it was read.
    """
    change = Change()
    writes: list[Write] = []
    if entry.offer is not None:
        change.give_up(booked_slots.path(entry.offer.doctor_id, entry.offer.slot))
        if practice is not None:
            freed = Freed(change, practice)
            freed.skip(entry)
            await freed.pass_on(entry.offer.slot)
            writes = freed.writes

    def write_all(batch: Batch) -> None:
        save(batch, entry, changed)
        for each in (*writes, write):
            each(batch)

    await change.commit(write_all)


# ---------------------------------------------------------------- who is next


async def _in_line(practice: Practice) -> list[WaitlistEntry]:
    where: Where = [("status", "==", WaitlistStatus.WAITING), ("wants", "in", wants_of(practice))]
    return await waitlist.find(where=where, order=[("create_time", "ASCENDING")], limit=_MOST_ASKED)


def _fits(entry: WaitlistEntry, slot: Slot, place: str) -> bool:
    is_within = entry.from_time <= slot.start and slot.end <= entry.to_time
    return is_within and entry.type in slot.types and place not in entry.passed


def _place(doctor_id: str, name: str) -> str:
    return f"{doctor_id}/{name}"


async def _booked_meanwhile(entry: WaitlistEntry, doctor_id: str) -> Appointment | None:
    """What they wait for and have got by themselves."""
    if entry.doctor_id is None:
        return None
    where: Where = [
        ("patient_id", "==", entry.patient_id),
        ("doctor_id", "==", doctor_id),
        ("status", "==", AppointmentStatus.BOOKED),
        ("start", ">=", entry.from_time),
        ("start", "<", entry.to_time),
    ]
    found = await appointments.find(where=where, order=[("start", "ASCENDING")], limit=1)
    return found[0] if found else None


def _settling(entry: WaitlistEntry, own: Appointment | None) -> Write:
    """Take one off the list who has what they wait for, or whose record is closed."""
    changes = {"status": WaitlistStatus.BOOKED, "appointment_id": own.id} if own else {}
    changed = entry.model_copy(update=changes or {"status": WaitlistStatus.EXPIRED})

    def write(batch: Batch) -> None:
        save(batch, entry, changed)

    return write


async def _is_busy(patient_id: str, slot: Slot) -> bool:
    for name in BookedDay.names(slot.start, slot.end):
        day = await booked_days.get(patient_id, name)
        if day and any(span.overlaps(slot.start, slot.end) for span in day.spans.values()):
            return True
    return False
