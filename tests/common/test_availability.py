"""Availability as a pure function, on the days on which clocks change above all (promise 42)."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.availability import Slot, bookable, free, grid_of, is_askew, run, slots
from common.scheduling import AppointmentType, Schedule, Span, minute_of
from common.zones import VERSION, instant, wall_clock, zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def a_schedule(*spells: tuple[str, str], **fields: Any) -> Schedule:
    """The same spells every day."""
    hours = [{"start": start, "end": end} for start, end in spells or [("09:00", "12:00")]]
    whole = {"time_zone": "UTC", "weekly": dict.fromkeys(DAYS, hours), **fields}
    return Schedule.model_validate(whole)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(schedule: Schedule, first: str, last: str) -> list[str]:
    return [f"{s.start:%m-%d %H:%M}" for s in slots(schedule, at(first), at(last))]


# ---------------------------------------------------------------- ordinary days


def test_slots_follow_each_other_from_the_start_of_a_spell() -> None:
    schedule = a_schedule(("09:00", "10:40"), ("14:00", "14:30"))
    found = starts(schedule, "2026-03-02", "2026-03-03")
    assert found == ["03-02 09:00", "03-02 09:30", "03-02 10:00", "03-02 14:00"]


def test_a_buffer_lies_between_slots() -> None:
    schedule = a_schedule(("09:00", "10:40"), buffer_minutes=5)
    found = starts(schedule, "2026-03-02", "2026-03-03")
    assert found == ["03-02 09:00", "03-02 09:35", "03-02 10:10"]


def test_an_exception_takes_the_place_of_its_day() -> None:
    schedule = a_schedule(
        exceptions=[
            {"date": "2026-03-02", "closed": True},
            {"date": "2026-03-03", "hours": [{"start": "20:00", "end": "21:00"}]},
        ]
    )
    found = starts(schedule, "2026-03-02", "2026-03-04")
    assert found == ["03-03 20:00", "03-03 20:30"]


def test_a_spell_may_last_until_midnight_and_go_on_after_it() -> None:
    schedule = a_schedule(("00:00", "00:30"), ("23:30", "24:00"))
    found = starts(schedule, "2026-03-02 12:00", "2026-03-03 12:00")
    assert found == ["03-02 23:30", "03-03 00:00"]


def test_what_is_taken_is_not_free_whatever_slots_it_was_taken_by() -> None:
    schedule = a_schedule(("09:00", "11:00"))
    window = Span(start=at("2026-03-02"), end=at("2026-03-03"))
    taken = [Span(start=at("2026-03-02 09:20"), end=at("2026-03-02 09:40"))]
    found = [f"{s.start:%H:%M}" for s in free(schedule, taken, window)]
    assert found == ["10:00", "10:30"]


def test_an_appointment_of_several_slots_needs_them_in_one_spell() -> None:
    schedule = a_schedule(("09:00", "10:30"), ("10:30", "11:30"))
    window = Span(start=at("2026-03-02"), end=at("2026-03-03"))
    found = [f"{s.start:%H:%M}-{s.end:%H:%M}" for s in free(schedule, [], window, minutes=45)]
    assert found == ["09:00-09:45", "09:30-10:15", "10:30-11:15"]
    assert len(run(schedule, at("2026-03-02 09:00"), 45)) == 2
    assert run(schedule, at("2026-03-02 10:00"), 45) == []
    assert run(schedule, at("2026-03-02 09:15")) == []


def test_only_slots_of_the_type_are_free_for_it() -> None:
    spells = [
        {"start": "09:00", "end": "09:30", "types": ["in_person"]},
        {"start": "09:30", "end": "10:00", "types": ["video", "phone"]},
    ]
    weekly = dict.fromkeys(DAYS, spells)
    schedule = Schedule.model_validate({"time_zone": "UTC", "weekly": weekly})
    window = Span(start=at("2026-03-02"), end=at("2026-03-03"))
    found = [s.start.minute for s in free(schedule, [], window, AppointmentType.VIDEO)]
    assert found == [30]


def test_notice_and_horizon_bound_what_patients_may_book() -> None:
    schedule = a_schedule(min_notice_hours=24, max_days_ahead=2)
    moment = at("2026-03-02 09:15")
    window = bookable(schedule, moment)
    assert (window.start, window.end) == (at("2026-03-03 09:15"), at("2026-03-04 09:15"))
    assert bookable(schedule, moment, with_notice=False).start == moment


@given(
    spells=st.lists(st.integers(0, 287), min_size=2, max_size=8, unique=True),
    minutes=st.sampled_from([5, 10, 15, 20, 30, 45, 60]),
    buffer=st.sampled_from([0, 5, 10]),
    taken=st.lists(st.tuples(st.integers(0, 1440), st.integers(1, 90)), max_size=8),
    length=st.sampled_from([None, 20, 45, 90]),
)
def test_what_is_free_overlaps_nothing_and_lies_within_the_hours(
    spells: list[int],
    minutes: int,
    buffer: int,
    taken: list[tuple[int, int]],
    length: int | None,
) -> None:
    marks = sorted(spells)[: len(spells) // 2 * 2]
    hours = [
        (f"{a * 5 // 60:02}:{a * 5 % 60:02}", f"{b * 5 // 60:02}:{b * 5 % 60:02}")
        for a, b in zip(marks[::2], marks[1::2], strict=True)
    ]
    schedule = a_schedule(*hours, slot_minutes=minutes, buffer_minutes=buffer)
    day = at("2026-03-02")
    spans = [
        Span(start=day + timedelta(minutes=s), end=day + timedelta(minutes=s + n)) for s, n in taken
    ]
    window = Span(start=day, end=day + timedelta(days=1))
    found = list(free(schedule, spans, window, minutes=length))
    for slot in found:
        assert not any(span.overlaps(slot.start, slot.end) for span in spans)
        assert any(
            minute_of(a) <= (slot.start - day).seconds // 60
            and (slot.end - day).total_seconds() / 60 <= minute_of(b)
            for a, b in hours
        )
    whole = list(slots(schedule, window.start, window.end))
    assert all(first.end <= second.start for first, second in pairwise(whole))
    if length is None:
        missing = [slot for slot in whole if slot not in found]
        assert all(any(s.overlaps(m.start, m.end) for s in spans) for m in missing)


# ---------------------------------------------------------------- clocks that change


def transitions(key: str, first: int, last: int) -> Iterator[datetime]:
    """Every change of the offset in these years, found by walking through them in UTC."""
    where = zoneinfo.ZoneInfo(key)
    moment, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    step = timedelta(hours=12)
    offset = moment.astimezone(where).utcoffset()
    while moment < end:
        after = (moment + step).astimezone(where).utcoffset()
        if after != offset:
            low, high = moment, moment + step
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                if middle.astimezone(where).utcoffset() == offset:
                    low = middle
                else:
                    high = middle
            yield high.replace(second=0, microsecond=0)
            offset = after
        moment += step


def reckoned(key: str, day: date, spells: list[tuple[str, str]], minutes: int) -> list[datetime]:
    """Slots' starts by another way: walk through real time, and look at the wall clock at each minute.

    A spell opens when the clock first shows its start, or what follows it if
    that is skipped, and closes when it first shows its end, or what follows.
    """
    where = zoneinfo.ZoneInfo(key)
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=27)
    walk = [begin + timedelta(minutes=n) for n in range(80 * 60)]
    shown = [moment.astimezone(where).replace(tzinfo=None) for moment in walk]
    midnight = datetime.combine(day, time())

    def first_at_or_after(minute: int) -> datetime:
        wanted = midnight + timedelta(minutes=minute)
        return next(m for m, clock in zip(walk, shown, strict=True) if clock >= wanted)

    found = []
    for start, end in spells:
        moment, closes = first_at_or_after(minute_of(start)), first_at_or_after(minute_of(end))
        while moment + timedelta(minutes=minutes) <= closes:
            found.append(moment)
            moment += timedelta(minutes=minutes)
    return found


SPELLS = [("00:00", "00:30"), ("00:30", "03:30"), ("04:00", "12:00"), ("22:00", "24:00")]


def test_p42_slots_are_right_on_every_change_of_the_clocks_in_every_zone(figure: Any) -> None:
    """Of 2026 and 2027, and the years that skipped a day."""
    wrong, looked_at = [], 0
    every = sorted(zoneinfo.available_timezones() - {"localtime"})
    changes = [(key, moment) for key in every for moment in transitions(key, 2026, 2027)]
    changes += [("Pacific/Apia", m) for m in transitions("Pacific/Apia", 2011, 2011)]
    changes += [("Pacific/Kwajalein", m) for m in transitions("Pacific/Kwajalein", 1993, 1993)]
    # Zones that change together are one reckoning; each is still looked up by its own name.
    known: dict[tuple[Any, ...], list[datetime]] = {}
    for key, moment in changes:
        where = zone(key)
        for days in (-1, 0, 1):
            day = (moment.astimezone(where) + timedelta(days=days)).date()
            near = (moment - timedelta(days=2), moment - timedelta(minutes=1), moment)
            offsets = tuple(m.astimezone(where).utcoffset() for m in near)
            name = (day, moment, *offsets)
            if name not in known:
                known[name] = reckoned(key, day, SPELLS, 15)
            schedule = a_schedule(*SPELLS, time_zone=key, slot_minutes=15)
            window = (instant(where, day, 0), instant(where, day, 1440))
            found = [slot.start for slot in slots(schedule, *window)]
            wanted = [start for start in known[name] if window[0] <= start < window[1]]
            looked_at += len(wanted)
            if found != wanted:
                wrong.append((key, day))
    figure("wrong slots", len(wrong))
    figure("slots looked at, of changes", f"{looked_at}, {len(changes)}")
    assert len(changes) > 400
    assert wrong == []


def test_p42_a_day_that_a_zone_skips_has_no_slots() -> None:
    schedule = a_schedule(time_zone="Pacific/Apia")
    around = list(slots(schedule, at("2011-12-29"), at("2012-01-01")))
    days = {wall_clock(zone("Pacific/Apia"), slot.start)[:10] for slot in around}
    assert "2011-12-30" not in days
    assert {"2011-12-29", "2011-12-31"} <= days
    assert len({slot.start for slot in around}) == len(around)


def test_an_hour_that_is_skipped_holds_no_slots_and_one_that_comes_twice_holds_twice_as_many() -> (
    None
):
    schedule = a_schedule(("01:00", "04:00"), time_zone="Europe/Berlin")

    def on(day: str) -> list[Slot]:
        return list(slots(schedule, at(day) - timedelta(hours=2), at(day) + timedelta(hours=12)))

    assert len(on("2026-03-28")) == 6
    assert len(on("2026-03-29")) == 4
    assert len(on("2026-10-25")) == 8


@pytest.mark.parametrize("key", ["Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_slots_of_half_hour_zones_begin_on_their_own_clocks(key: str) -> None:
    schedule = a_schedule(time_zone=key)
    found = [
        wall_clock(zone(key), s.start) for s in slots(schedule, at("2026-05-05"), at("2026-05-06"))
    ]
    assert {clock[11:] for clock in found} >= {"10:30", "11:00", "11:30"}
    assert {clock[-2:] for clock in found} == {"00", "30"}


# ---------------------------------------------------------------- where slots lie


NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"spells": [("14:00", "18:00")]}),
        (
            {"time_zone": "Europe/Berlin"},
            {"time_zone": "Asia/Kathmandu", "spells": [("08:45", "12:15")]},
        ),
        ({"slot_minutes": 60}, {"slot_minutes": 60, "spells": [("10:00", "12:00")]}),
    ],
)
def test_schedules_whose_slots_fall_together_have_one_grid(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    first, second = (a_schedule(*each.pop("spells", []), **each) for each in (dict(old), dict(new)))
    assert grid_of(first, NOW) == grid_of(second, NOW)
    assert not is_askew(grid_of(first, NOW))


@pytest.mark.parametrize(
    "new",
    [
        {"slot_minutes": 20},
        {"buffer_minutes": 5},
        {"spells": [("09:10", "12:10")]},
        {"time_zone": "Asia/Kathmandu"},
        {"spells": [("09:00", "12:00"), ("14:15", "17:15")]},
    ],
)
def test_schedules_whose_slots_can_lie_askew_have_not(new: dict[str, Any]) -> None:
    second = a_schedule(*new.pop("spells", []), **new)
    assert grid_of(a_schedule(), NOW) != grid_of(second, NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {"slot_minutes": 45, "time_zone": "Europe/Berlin"},
        {"slot_minutes": 60, "time_zone": "Australia/Lord_Howe"},
        {"spells": [("09:00", "12:00"), ("14:15", "17:15")]},
    ],
)
def test_a_schedule_askew_in_itself_is_named_by_its_zone_database(fields: dict[str, Any]) -> None:
    schedule = a_schedule(*fields.pop("spells", []), **fields)
    assert is_askew(grid_of(schedule, NOW))
    assert grid_of(schedule, NOW).endswith(VERSION)
