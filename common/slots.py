"""A doctor's slots: which are free, and what to do when they come to lie elsewhere.

Names of slots guard against overlaps only as long as slots lie where they lay.
When a doctor's slots move (other lengths, other starts) nothing is booked for
as long as a booking under the old ones may still be on its way; then what is
booked askew is noted at the doctor (`off_grid`), and who wants a slot near it
looks first. docs/decisions/0015 says why.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from common import availability
from common.appointments import booked_slots, practices
from common.availability import Slot
from common.firestore import Batch, Order, Where, now
from common.problems import Busy, FreeSlot
from common.recent import Recent
from common.scheduling import AppointmentType, BookedSlot, Practice, Schedule, Span
from common.zones import zone

SETTLE_FOR = timedelta(seconds=15)
"""No booking under a schedule that was replaced is still on its way after this."""

_SETTLE_ZONES_FOR = timedelta(seconds=60)
"""When the zone database moves slots: until instances with the older one have ended."""

LONGEST = 480
"""Minutes of a slot."""

BY_END: Order = [("end", "ASCENDING")]


def name_of(slot: Slot) -> str:
    return BookedSlot.name(slot.start)


# ---------------------------------------------------------------- what is free


async def taken(practice: Practice, window: Span) -> list[Span]:
    """What is booked or offered in this time; as many reads as that is."""
    return await _read_taken(_key(practice, window))


async def next_free(
    practice: Practice,
    start: datetime,
    type_: AppointmentType | None,
    minutes: int | None,
    most: int = 3,
) -> list[FreeSlot]:
    """The first slots that are free from then on, within a month."""
    if practice.schedule is None:
        return []
    schedule = practice.schedule
    whole = availability.bookable(schedule, now())
    found: list[FreeSlot] = []
    begin = max(start, whole.start)
    for days in (1, 6, 7, 7, 7):  # the first day is nearly always enough
        window = Span(start=begin, end=min(begin + timedelta(days=days), whole.end))
        if window.start >= window.end:
            break
        spans = await _lately.get(_key(practice, window))
        for slot in availability.free(schedule, spans, window, type_, minutes):
            found.append(shown(slot, schedule))
            if len(found) == most:
                return found
        begin = window.end
    return found


def shown(slot: Slot, schedule: Schedule) -> FreeSlot:
    where = zone(schedule.time_zone)
    return FreeSlot(
        start=slot.start,
        end=slot.end,
        local_start=slot.start.astimezone(where),
        local_end=slot.end.astimezone(where),
    )


def _key(practice: Practice, window: Span) -> str:
    longest = LONGEST if practice.off_grid else practice.hours().slot_minutes
    return f"{practice.id}/{window.start.isoformat()}/{window.end.isoformat()}/{longest}"


async def _read_taken(key: str) -> list[Span]:
    doctor_id, start, end, longest = key.split("/")
    window = Span(start=datetime.fromisoformat(start), end=datetime.fromisoformat(end))
    until = window.end + timedelta(minutes=int(longest))
    where: Where = [("end", ">", window.start), ("end", "<", until)]
    found = booked_slots.all_(doctor_id, where=where, order=BY_END)
    return [Span(start=slot.start, end=slot.end) async for slot in found]


# For who has just lost a slot: of hundreds who lose one together, one reads for all.
_lately: Recent[list[Span]] = Recent(_read_taken, max_age=0.5, most=1_000)


# ---------------------------------------------------------------- slots that moved


async def settled(practice: Practice) -> Practice:
    """The doctor, once it is known what of theirs is booked askew to their slots.

    Raises `Busy` while that can't be known, `RecordChanged` when the doctor's
    document changed meanwhile.
    """
    moment = now()
    grid = availability.grid_of(practice.hours(), moment)
    if practice.settle_time is None:
        if practice.grid == grid:
            return practice
        if availability.is_askew(grid) and (practice.grid or "") > grid:
            raise Busy  # an instance with a newer zone database has been here
        until = moment + _SETTLE_ZONES_FOR
        await _save(practice, {"settle_time": until, "grid": grid})
        raise _unsettled(until, moment)
    if moment < practice.settle_time:
        raise _unsettled(practice.settle_time, moment)
    off_grid: list[int] = []
    where: Where = [("end", ">", moment)]
    async for slot in booked_slots.all_(practice.id, where=where, order=BY_END):
        if not availability.is_a_slot(practice.hours(), slot.start, slot.end):
            off_grid += [_minute(slot.start), _minute(slot.end)]
    fields = {"off_grid": off_grid, "settle_time": None, "grid": grid}
    return await _save(practice, fields)


async def _save(practice: Practice, fields: Mapping[str, object]) -> Practice:
    batch = Batch()
    path = practices.path(practice.id)
    batch.update(path, fields, practice.revision)
    revision = (await batch.commit()).revisions[path]
    saved = practice.model_copy(update=fields)
    saved.stored_as(path, revision)
    return saved


def _unsettled(until: datetime, moment: datetime) -> Busy:
    return Busy(
        "This doctor's schedule is being changed. Nothing was booked; try again shortly.",
        retry_after=int((until - moment).total_seconds()) + 1,
    )


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def is_near_off_grid(practice: Practice, slots: Sequence[Slot]) -> bool:
    """Whether something that was booked askew may lie across these."""
    start, end = _minute(slots[0].start), _minute(slots[-1].end)
    pairs = zip(practice.off_grid[::2], practice.off_grid[1::2], strict=True)
    return any(first < end and start < last for first, last in pairs)
