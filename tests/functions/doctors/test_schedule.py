"""Schedules over the wire: what is accepted, what is refused by name, what happens to what is booked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.client import (
    A_SCHEDULE,
    Api,
    Person,
    a_bookable_doctor,
    a_listed_doctor,
    a_patient,
    book,
    free_starts,
    put_schedule,
)


@pytest.fixture(scope="module")
async def doctor(api: Api, admin: Person) -> Person:
    return await a_listed_doctor(api, admin)


async def test_a_schedule_is_read_as_it_was_written(api: Api, doctor: Person) -> None:
    wish = {
        "time_zone": "Asia/Kathmandu",
        "slot_minutes": 20,
        "buffer_minutes": 10,
        "weekly": {"mon": [{"start": "13:00", "end": "24:00"}, {"start": "09:00", "end": "12:30"}]},
        "exceptions": [
            {
                "date": "2026-12-24",
                "hours": [{"start": "09:00", "end": "10:00", "types": ["phone"]}],
            },
            {"date": "2026-12-25", "closed": True},
        ],
        "min_notice_hours": 0,
        "max_days_ahead": 365,
    }
    saved = await put_schedule(api, doctor, **wish)
    answer = await api.get(f"/v1/doctors/{doctor.uid}/schedule", doctor)
    shown = answer.json()
    for name in ("time_zone", "slot_minutes", "buffer_minutes", "min_notice_hours"):
        assert shown[name] == wish[name] == saved[name]
    assert [spell["start"] for spell in shown["weekly"]["mon"]] == ["09:00", "13:00"]
    assert shown["weekly"]["tue"] == []
    assert [day["date"] for day in shown["exceptions"]] == ["2026-12-24", "2026-12-25"]
    assert shown["exceptions"][0]["hours"][0]["types"] == ["phone"]


async def test_before_the_first_schedule_there_is_none(api: Api, admin: Person) -> None:
    new = await a_listed_doctor(api, admin)
    answer = await api.get(f"/v1/doctors/{new.uid}/schedule", new)
    assert answer.status_code == 404
    assert "no schedule yet" in answer.json()["detail"]


def on_monday(*spells: tuple[str, str]) -> dict[str, Any]:
    return {"weekly": {"mon": [{"start": start, "end": end} for start, end in spells]}}


@pytest.mark.parametrize(
    ("wish", "pointer", "says"),
    [
        ({"time_zone": "Mars/Olympus"}, "/time_zone", "IANA"),
        ({"time_zone": "../etc/passwd"}, "/time_zone", "IANA"),
        ({"time_zone": ""}, "/time_zone", ""),
        ({"slot_minutes": 4}, "/slot_minutes", ""),
        ({"slot_minutes": 481}, "/slot_minutes", ""),
        ({"slot_minutes": 400}, "/slot_minutes", "shorter than one slot"),
        ({"buffer_minutes": -1}, "/buffer_minutes", ""),
        ({"min_notice_hours": 721}, "/min_notice_hours", ""),
        ({"max_days_ahead": 0}, "/max_days_ahead", ""),
        (on_monday(("12:00", "09:00")), "/weekly/mon/0", "not after start"),
        (on_monday(("09:00", "09:00")), "/weekly/mon/0", "not after start"),
        (on_monday(("09:00", "12:00"), ("11:30", "13:00")), "/weekly/mon", "overlaps"),
        (on_monday(("9:00", "12:00")), "/weekly/mon/0/start", ""),
        (on_monday(("09:00", "25:00")), "/weekly/mon/0/end", ""),
        (on_monday(*[("09:00", "09:30")] * 13), "/weekly/mon", "12"),
        ({"weekly": {"monday": []}}, "/weekly/monday", "not known"),
        ({"exceptions": [{"date": "2026-12-24"}]}, "/exceptions/0", "either closed or hours"),
        ({"exceptions": [{"date": "2026-13-24", "closed": True}]}, "/exceptions/0/date", ""),
        (
            {"exceptions": [{"date": "2026-12-24", "closed": True}] * 2},
            "/exceptions",
            "named twice",
        ),
        ({"settle_time": None}, "/settle_time", "not known"),
    ],
)
async def test_what_can_not_be_a_schedule_is_named(
    api: Api, doctor: Person, wish: dict[str, Any], pointer: str, says: str
) -> None:
    path = f"/v1/doctors/{doctor.uid}/schedule"
    answer = await api.put(path, doctor, json={**A_SCHEDULE, **wish})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]


async def test_what_is_booked_and_no_longer_fits_is_kept_and_listed(
    api: Api, admin: Person
) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    starts = await free_starts(api, doctor)
    morning = await book(api, patient, doctor, starts[0])
    afternoon = await book(api, patient, doctor, starts[-1])
    hours = [{"start": "14:00", "end": "17:00"}]
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    saved = await put_schedule(api, doctor, weekly=dict.fromkeys(days, hours))
    assert saved["conflict_count"] == 1
    (conflict,) = saved["conflicts"]
    assert conflict["appointment_id"] == morning["appointment_id"]
    assert conflict["start"] == morning["start"]
    assert saved["bookable_from"] is None  # slots lie where they lay
    for each in (morning, afternoon):
        shown = await api.get(f"/v1/appointments/{each['appointment_id']}", patient)
        assert shown.json()["status"] == "booked"


async def test_a_type_that_is_no_longer_offered_is_a_conflict(api: Api, admin: Person) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    await book(api, patient, doctor, (await free_starts(api, doctor))[0], type="phone")
    hours = [{"start": "09:00", "end": "17:00", "types": ["in_person"]}]
    weekly = dict.fromkeys(A_SCHEDULE["weekly"], hours)
    assert (await put_schedule(api, doctor, weekly=weekly))["conflict_count"] == 1


async def test_of_two_who_change_a_schedule_as_they_read_it_one_is_told(
    api: Api, admin: Person
) -> None:
    doctor = await a_bookable_doctor(api, admin)
    path = f"/v1/doctors/{doctor.uid}/schedule"
    headers = {"If-Match": (await api.get(path, doctor)).headers["etag"]}
    first = await api.put(path, doctor, json=A_SCHEDULE, headers=headers)
    second = await api.put(path, admin, json=A_SCHEDULE, headers=headers)
    assert (first.status_code, second.status_code) == (200, 412)
    again = {"If-Match": first.headers["etag"]}
    assert (await api.put(path, admin, json=A_SCHEDULE, headers=again)).status_code == 200


async def test_a_profile_that_is_changed_keeps_its_schedule(api: Api, admin: Person) -> None:
    doctor = await a_bookable_doctor(api, admin)
    body = {"biography": "New."}
    assert (await api.put(f"/v1/doctors/{doctor.uid}", doctor, json=body)).status_code == 200
    assert len(await free_starts(api, doctor)) > 20


async def test_a_doctor_with_appointments_ahead_is_not_removed(api: Api, admin: Person) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = [await book(api, patient, doctor, start) for start in starts[:2]]
    path = f"/v1/doctors/{doctor.uid}"
    refused = await api.delete(path, doctor)
    assert (refused.status_code, refused.json()["count"]) == (409, 2)
    for each in booked:
        await api.delete(f"/v1/appointments/{each['appointment_id']}", doctor)
    assert (await api.delete(path, doctor)).status_code == 204


async def test_an_exception_closes_its_day(api: Api, admin: Person) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    doctor = await a_bookable_doctor(api, admin, exceptions=[{"date": str(day), "closed": True}])
    days = {start[:10] for start in await free_starts(api, doctor)}
    assert str(day) not in days
    assert str(day + timedelta(days=1)) in days
