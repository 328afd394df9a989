"""Calendars: as JSON, and as a feed that other programs' parsers read alike."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import vobject

from tests.client import Api, Person, a_bookable_doctor, a_patient, book, free_starts


@pytest.fixture
async def doctor(api: Api, admin: Person) -> Person:
    return await a_bookable_doctor(api, admin, time_zone="America/New_York")


@pytest.fixture
async def ill(api: Api) -> Person:
    return await a_patient(api)


async def feed_of(api: Api, person: Person) -> str:
    answer = await api.post(f"/v1/appointments/calendar/{person.uid}/feed", person)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


async def three(api: Api, doctor: Person, ill: Person) -> list[dict[str, Any]]:
    """One that stays, one that is moved, one that is cancelled."""
    starts = await free_starts(api, doctor)
    made = [await book(api, ill, doctor, starts[n]) for n in (0, 2, 4)]
    path = f"/v1/appointments/reschedule/{made[1]['appointment_id']}"
    moved = await api.post(path, ill, json={"start": starts[30]})
    assert moved.status_code == 200
    cancelled = await api.delete(f"/v1/appointments/{made[2]['appointment_id']}", ill)
    assert cancelled.status_code == 204
    return [made[0], moved.json(), made[2]]


async def test_the_calendar_holds_ones_own_appointments(
    api: Api, doctor: Person, ill: Person, admin: Person
) -> None:
    made = await three(api, doctor, ill)
    for who, whose in ((ill, ill), (doctor, doctor), (admin, ill), (admin, doctor)):
        answer = await api.get(f"/v1/appointments/calendar/{whose.uid}", who)
        assert answer.status_code == 200
        items = answer.json()["items"]
        assert {i["appointment_id"] for i in items} == {m["appointment_id"] for m in made}
        assert "canary" not in answer.text
    too_long = {"from": "2026-01-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    path = f"/v1/appointments/calendar/{ill.uid}"
    assert (await api.get(path, ill, params=too_long)).status_code == 422


async def test_the_feed_says_the_same_to_icalendar_and_to_vobject(
    api: Api, doctor: Person, ill: Person
) -> None:
    made = await three(api, doctor, ill)
    answer = await api.get(await feed_of(api, ill))
    assert answer.headers["content-type"].startswith("text/calendar")
    by_icalendar = {
        str(event["UID"]): (
            event["DTSTART"].dt.astimezone(UTC),
            event["DTEND"].dt.astimezone(UTC),
            str(event["SUMMARY"]),
            str(event["STATUS"]),
            int(event["SEQUENCE"]),
        )
        for event in icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    }
    by_vobject = {
        event.uid.value: (
            event.dtstart.value.astimezone(UTC),
            event.dtend.value.astimezone(UTC),
            event.summary.value,
            event.status.value,
            int(event.sequence.value),
        )
        for event in vobject.readOne(answer.text).vevent_list
    }
    assert by_icalendar == by_vobject
    stays, moved, cancelled = (by_icalendar[f"{m['appointment_id']}@healthhub"] for m in made)
    assert stays[0] == datetime.fromisoformat(made[0]["start"])
    assert stays[2:] == ("Appointment with Dr. Inés García", "CONFIRMED", 0)
    assert (moved[0], moved[4]) == (datetime.fromisoformat(made[1]["start"]), 1)
    assert cancelled[3:] == ("CANCELLED", 1)


async def test_the_feed_brings_its_time_zone_with_it(api: Api, doctor: Person, ill: Person) -> None:
    await three(api, doctor, ill)
    calendar = icalendar.Calendar.from_ical((await api.get(await feed_of(api, ill))).content)
    (zone,) = calendar.walk("VTIMEZONE")
    assert str(zone["TZID"]) == "America/New_York"
    event = calendar.walk("VEVENT")[0]
    assert event["DTSTART"].params["TZID"] == "America/New_York"
    assert event["DTSTART"].dt.hour == 9
    as_said = zone.to_tz()  # by the rules in the file alone
    summer, winter = datetime(2027, 7, 1, 9), datetime(2027, 1, 15, 9)  # noqa: DTZ001
    for local in (summer, winter):
        known = local.replace(tzinfo=ZoneInfo("America/New_York")).utcoffset()
        assert local.replace(tzinfo=as_said).utcoffset() == known


async def test_nothing_clinical_and_for_doctors_no_patient_is_in_a_feed(
    api: Api, doctor: Person, ill: Person
) -> None:
    await three(api, doctor, ill)
    for person in (ill, doctor):
        text = (await api.get(await feed_of(api, person))).text
        assert text.count("BEGIN:VEVENT") == 3
        assert "canary" not in text
        assert "Ana" not in text
        assert ("1 High Street" in text.replace("\\", "")) == (person is ill)


async def test_a_new_secret_ends_the_old_address(api: Api, ill: Person) -> None:
    old = await feed_of(api, ill)
    assert (await api.get(old)).status_code == 200
    new = await feed_of(api, ill)
    assert (await api.get(old)).status_code == 404
    assert (await api.get(new)).status_code == 200


async def test_whatever_is_wrong_with_an_address_is_answered_alike(api: Api, ill: Person) -> None:
    await feed_of(api, ill)
    wrong = secrets.token_urlsafe(32)
    answers = [
        await api.get(f"/v1/appointments/calendar/{uid}.ics?token={wrong}")
        for uid in (ill.uid, "nobody-of-that-name")
    ]
    assert {a.status_code for a in answers} == {404}
    assert answers[0].json() | {"instance": ""} == answers[1].json() | {"instance": ""}
    assert (await api.get(f"/v1/appointments/calendar/{ill.uid}.ics")).status_code == 422


async def test_a_closed_account_has_no_feed(api: Api, ill: Person) -> None:
    address = await feed_of(api, ill)
    assert (await api.delete(f"/v1/users/{ill.uid}", ill)).status_code == 204
    assert (await api.get(address)).status_code == 404


async def test_an_unchanged_feed_is_not_sent_again(api: Api, doctor: Person, ill: Person) -> None:
    await three(api, doctor, ill)
    address = await feed_of(api, ill)
    etag = (await api.get(address)).headers["etag"]
    answer = await api.get(address, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_an_empty_calendar_is_a_calendar(api: Api, ill: Person) -> None:
    answer = await api.get(await feed_of(api, ill))
    assert vobject.readOne(answer.text).name == "VCALENDAR"
    start = datetime.now(UTC) + timedelta(days=1)
    items = await api.get(
        f"/v1/appointments/calendar/{ill.uid}", ill, params={"from": start.isoformat()}
    )
    assert items.json()["items"] == []
