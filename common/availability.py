"""From a schedule, what is taken, and the time now, to the slots that are free. Pure.

A slot is so many minutes of real time. Slots follow each other from the start
of a spell on, so on a day on which clocks change, a spell that lies across the
change holds an hour's slots more or fewer, and none that does not exist.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice

from common.scheduling import AppointmentType, Schedule, Span, Spell, minute_of
from common.zones import VERSION, instant, zone


@dataclass(frozen=True, slots=True)
class Slot:
    start: datetime
    """UTC, as is `end`."""
    end: datetime
    types: tuple[AppointmentType, ...]
    spell: datetime
    """When its spell begins: slots of one spell can be booked together."""


def slots(schedule: Schedule, start: datetime, end: datetime) -> Iterator[Slot]:
    """Every slot that begins in this time, taken or not, in order."""
    where = zone(schedule.time_zone)
    day, last = start.astimezone(where).date(), end.astimezone(where).date()
    while day <= last:
        for slot in _slots_of(schedule, day):
            if start <= slot.start < end:
                yield slot
        day += timedelta(days=1)


def _slots_of(schedule: Schedule, day: date) -> Iterator[Slot]:
    where = zone(schedule.time_zone)
    length = timedelta(minutes=schedule.slot_minutes)
    step = length + timedelta(minutes=schedule.buffer_minutes)
    for spell in schedule.on(day):
        begin = start = instant(where, day, minute_of(spell.start))
        end = instant(where, day, minute_of(spell.end))
        while start + length <= end:
            yield Slot(start, start + length, tuple(spell.types), begin)
            start += step


def open_minutes(schedule: Schedule, first: date, last: date) -> int:
    """How much of these days can be booked, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return sum(schedule.slot_minutes for day in days for _ in _slots_of(schedule, day))


def run(schedule: Schedule, start: datetime, minutes: int | None = None) -> list[Slot]:
    """The slots that an appointment from `start` on takes; none if it can't begin or last there."""
    length = timedelta(minutes=minutes or schedule.slot_minutes)
    found = list(slots(schedule, start, start + length))
    return _run(found, 0, length) if found and found[0].start == start else []


def _run(found: Sequence[Slot], first: int, length: timedelta) -> list[Slot]:
    """From that one on, as many slots of its spell as the length takes; none if it has too few."""
    end = found[first].start + length
    needed: list[Slot] = []
    for slot in islice(found, first, None):
        if slot.spell != found[first].spell or slot.start >= end:
            break
        needed.append(slot)
    return needed if needed[-1].end >= end else []


def bookable(schedule: Schedule, now: datetime, with_notice: bool = True) -> Span:
    """From when to when patients may book now; who works there needs no notice."""
    notice = timedelta(hours=schedule.min_notice_hours if with_notice else 0)
    return Span(start=now + notice, end=now + timedelta(days=schedule.max_days_ahead))


def free(
    schedule: Schedule,
    taken: Iterable[Span],
    window: Span,
    type_: AppointmentType | None = None,
    minutes: int | None = None,
) -> Iterator[Slot]:
    """The slots, or runs of them as one, that begin in the window and that nothing taken overlaps."""
    length = timedelta(minutes=minutes or schedule.slot_minutes)
    spans = sorted(taken, key=lambda span: span.start)
    found = list(slots(schedule, window.start, window.end + length))
    for index, slot in enumerate(found):
        if slot.start >= window.end:
            return
        needed = _run(found, index, length)
        if not needed or (type_ is not None and type_ not in slot.types):
            continue
        while spans and spans[0].end <= slot.start:
            spans.pop(0)
        if not any(span.overlaps(slot.start, needed[-1].end) for span in spans[: len(needed)]):
            yield Slot(slot.start, slot.start + length, slot.types, slot.spell)


def is_open(schedule: Schedule, span: Span, type_: AppointmentType) -> bool:
    """Whether all of this lies within hours in which the type is offered, on a slot or not."""
    where = zone(schedule.time_zone)
    day = span.start.astimezone(where).date()
    return any(
        instant(where, day, minute_of(spell.start)) <= span.start
        and span.end <= instant(where, day, minute_of(spell.end))
        for spell in schedule.on(day)
        if type_ in spell.types
    )


def is_a_slot(schedule: Schedule, start: datetime, end: datetime) -> bool:
    """Whether exactly this is a slot of the schedule."""
    return any(slot.end == end for slot in slots(schedule, start, start + timedelta(seconds=1)))


def grid_of(schedule: Schedule, now: datetime) -> str:
    """Names where slots lie in real time: two schedules of one name have no slots askew.

    A schedule whose slots lie askew among themselves, at other spells or after
    the clocks change, has a name of its own for each zone database.
    """
    step = schedule.slot_minutes + schedule.buffer_minutes
    where = zone(schedule.time_zone)
    months = ((now + timedelta(days=30 * n)).astimezone(where) for n in range(14))
    offsets = {int((m.utcoffset() or timedelta()).total_seconds()) // 60 for m in months}
    starts = {minute_of(spell.start) for spell in schedule.every_spell()}
    residues = {(start - offset) % step for start in starts for offset in offsets}
    if len(residues) == 1:
        return f"{schedule.slot_minutes}/{step}/{residues.pop()}"
    return f"{_ASKEW}{VERSION}"


_ASKEW = "askew/"


def is_askew(grid: str) -> bool:
    return grid.startswith(_ASKEW)


def holds_a_slot(schedule: Schedule, spell: Spell) -> bool:
    return minute_of(spell.end) - minute_of(spell.start) >= schedule.slot_minutes
