"""Who has which time. Every path goes through `Change`: book, move, cancel, waitlist, administrators.

The invariant: no two live appointments of one doctor, or of one patient,
overlap. Of a doctor it is held by the slots' documents, named after their
start and made by `create` in the batch that makes the appointment: of many who
reach for one, one is served, and nobody waits. Of a patient it is held by one
document a day, created likewise, or changed as it was read.

Names guard only while slots lie where they lay: common/slots.py knows when
they do not. docs/decisions/0015 says why.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from common import slots, telemetry
from common.appointments import booked_days, booked_slots, practices
from common.availability import Slot
from common.firestore import Batch, Committed, Where, now
from common.idempotency import Once
from common.problems import (
    AlreadyExists,
    Busy,
    FreeSlot,
    NotFound,
    PatientBusy,
    RecordChanged,
    SlotTaken,
)
from common.recent import Recent
from common.scheduling import (
    Appointment,
    AppointmentType,
    BookedDay,
    BookedSlot,
    Practice,
    Span,
    WaitlistEntry,
)
from common.telemetry import Metric

READ_AGE = 4.0
"""Seconds for which a booking may rest on a schedule that it read; a commit takes five at most."""

_MOST_ATTEMPTS = 6


@dataclass
class Place:
    """An appointment and the time that it is to have."""

    practice: Practice
    appointment: Appointment
    slots: Sequence[Slot]
    minutes: int | None
    read_at: float
    """When the practice was read, by `time.monotonic()`."""
    is_held: bool = False
    """Whether the slots' documents are this change's already: an offer that is taken."""
    is_waiting: bool = False
    """Whether it is for somebody who waited, and not for who makes the change."""


@dataclass
class Days:
    """Patients' days as a change leaves them."""

    _changes: dict[str, dict[str, Span | None]] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)
    _known: dict[str, BookedDay | None] | None = None
    """None: not looked at; each is taken to be empty, which holds for nearly all."""

    def add(self, appointment: Appointment, is_waiting: bool) -> None:
        span = Span(start=appointment.start, end=appointment.end)
        self._waiting |= set(_days_of(appointment)) if is_waiting else set()
        for path in _days_of(appointment):
            self._changes.setdefault(path, {})[appointment.id] = span

    def remove(self, appointment: Appointment) -> None:
        for path in _days_of(appointment):
            self._changes.setdefault(path, {})[appointment.id] = None

    async def look(self) -> bool:
        """Read them; returns whether any differs from what was known.

        Raises `PatientBusy`; when it is somebody on the waitlist who is, `RecordChanged`.
        """
        paths = list(self._changes)
        found = await asyncio.gather(*(booked_days.get(*_ids(path)) for path in paths))
        before, self._known = self._known, dict(zip(paths, found, strict=True))
        for path, day in self._known.items():
            if day is not None and _overlaps(day, self._changes[path]):
                raise RecordChanged if path in self._waiting else PatientBusy
        if before is None:
            return any(day is not None for day in found)
        return any(_revision(before.get(path)) != _revision(self._known[path]) for path in paths)

    def write(self, batch: Batch) -> None:
        moment = now()
        for path, changes in self._changes.items():
            day = self._known.get(path) if self._known is not None else None
            spans = {**(day.spans if day else {}), **changes}
            kept = {id: span for id, span in spans.items() if span is not None}
            if day is not None and not kept:
                batch.delete(path, revision=day.revision)
            elif day is not None:
                batch.update(path, {"spans": kept, "update_time": moment}, day.revision)
            elif kept:
                batch.create(path, BookedDay(create_time=moment, update_time=moment, spans=kept))


def _overlaps(day: BookedDay, changes: dict[str, Span | None]) -> bool:
    others = [span for id, span in day.spans.items() if id not in changes]
    wanted = [span for span in changes.values() if span is not None]
    return any(other.overlaps(span.start, span.end) for span in wanted for other in others)


def _days_of(appointment: Appointment) -> list[str]:
    names = BookedDay.names(appointment.start, appointment.end)
    return [booked_days.path(appointment.patient_id, name) for name in names]


def _ids(path: str) -> tuple[str, str]:
    _, parent, _, name = path.split("/")
    return parent, name


def _revision(day: BookedDay | None) -> str | None:
    return None if day is None else day.revision


class Change:
    """One change to who has which time: it happens whole, in one batch, or not at all."""

    def __init__(self, once: Once | None = None) -> None:
        self._once = once or Once()
        self._places: list[Place] = []
        self._freed: set[str] = set()
        self._offered: dict[str, BookedSlot] = {}
        self._days = Days()
        self._must_look = False

    def take(self, place: Place) -> None:
        self._places.append(place)
        self._days.add(place.appointment, place.is_waiting)

    def free(self, appointment: Appointment) -> None:
        """Before the `take` of what the same appointment is moved to."""
        for name in appointment.slots:
            self._freed.add(booked_slots.path(appointment.doctor_id, name))
        self._days.remove(appointment)
        self._must_look = True

    def give_up(self, path: str) -> None:
        """Free a slot that was held for an offer."""
        self._freed.add(path)

    def offer(self, path: str, entry: WaitlistEntry) -> None:
        """Hold a slot that this change frees for somebody on the waitlist."""
        offer = entry.held()
        moment = now()
        self._offered[path] = BookedSlot(
            create_time=moment,
            update_time=moment,
            start=offer.start,
            end=offer.end,
            waitlist_id=entry.id,
        )

    async def commit(self, write: Callable[[Batch], None]) -> Committed:
        """Make it happen, with all that `write` adds to the batch.

        Raises `SlotTaken` with the next free ones, `PatientBusy`, and
        `RecordChanged` when what `write` rests on is not as it was read.
        """
        for place in self._places:
            await self._look_beside(place)
        if self._must_look:
            await self._days.look()
        for attempt in range(_MOST_ATTEMPTS):
            if any(time.monotonic() - place.read_at > READ_AGE for place in self._places):
                raise RecordChanged
            batch = Batch()
            self._write_slots(batch)
            self._days.write(batch)
            write(batch)
            new = sum(not place.appointment.revision for place in self._places)
            try:
                committed = await batch.commit()
            except (AlreadyExists, NotFound, RecordChanged):
                await self._find_out_why()
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
                continue
            if new:
                telemetry.count(Metric.BOOKINGS, new)
            return committed
        raise Busy

    async def _look_beside(self, place: Place) -> None:
        """Near what was booked on earlier slots, names do not guard: look what is there."""
        if not slots.is_near_off_grid(place.practice, place.slots):
            return
        start, end = place.slots[0].start, place.slots[-1].end
        until = end + timedelta(minutes=slots.LONGEST)
        where: Where = [("end", ">", start), ("end", "<", until)]
        async for slot in booked_slots.all_(place.practice.id, where=where, order=slots.BY_END):
            if slot.start < end and slot.path not in self._freed and not place.is_held:
                raise await _slot_taken(place)

    def _write_slots(self, batch: Batch) -> None:
        moment = now()
        kept = set()
        for place in self._places:
            for slot in place.slots:
                path = booked_slots.path(place.practice.id, slots.name_of(slot))
                document = BookedSlot(
                    create_time=moment,
                    update_time=moment,
                    start=slot.start,
                    end=slot.end,
                    appointment_id=place.appointment.id,
                )
                if place.is_held or path in self._freed:
                    batch.update(path, dict(document))
                    kept.add(path)
                else:
                    batch.create(path, document)
        for path in self._freed:
            if path in self._offered:
                batch.update(path, dict(self._offered[path]))
            elif path not in kept:
                batch.delete(path, must_exist=True)

    async def _find_out_why(self) -> None:
        """Raise what made the commit fail, or return when it is worth another try."""
        await self._once.replay()
        for place in self._places:
            if not place.is_held and await self._is_taken(place):
                raise await _slot_taken(place)
        if not await self._days.look():
            raise RecordChanged

    async def _is_taken(self, place: Place) -> bool:
        names = [slots.name_of(slot) for slot in place.slots]
        wanted = [n for n in names if booked_slots.path(place.practice.id, n) not in self._freed]
        found = await asyncio.gather(*(booked_slots.get(place.practice.id, n) for n in wanted))
        return any(slot is not None for slot in found)


_lost: dict[str, float] = {}
"""Slots that somebody has just lost on this instance, and until when that counts as just now."""

_LOST_FOR = 2.0
_MOST_LOST = 10_000

_lately_read: Recent[Practice | None] = Recent(practices.get, max_age=0.5, most=1_000)


async def look_if_contended(
    once: Once, doctor_id: str, start: datetime, type_: AppointmentType, minutes: int | None
) -> None:
    """Where others lost a slot a moment ago, look at it before all is prepared to lose it too.

    Raises `SlotTaken`, or what the first request with this key was answered.
    """
    name = BookedSlot.name(start)
    if _lost.get(booked_slots.path(doctor_id, name), 0.0) < time.monotonic():
        return
    if await booked_slots.get(doctor_id, name) is None:
        return
    await once.replay()
    practice = await _lately_read.get(doctor_id)
    if practice is not None and practice.schedule is not None:
        raise _taken_but_for(await slots.next_free(practice, start, type_, minutes))


async def _slot_taken(place: Place) -> SlotTaken:
    if len(_lost) >= _MOST_LOST:
        _lost.clear()
    for slot in place.slots:
        path = booked_slots.path(place.practice.id, slots.name_of(slot))
        _lost[path] = time.monotonic() + _LOST_FOR
    free = await slots.next_free(
        place.practice, place.appointment.start, place.appointment.type, place.minutes
    )
    return _taken_but_for(free)


def _taken_but_for(free: Sequence[FreeSlot]) -> SlotTaken:
    telemetry.count(Metric.RACES_LOST)
    return SlotTaken(members={"next_free": [slot.model_dump(mode="json") for slot in free]})


def read_now() -> float:
    """For `Place.read_at`."""
    return time.monotonic()
