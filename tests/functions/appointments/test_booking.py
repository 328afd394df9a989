"""Booking over the wire: from a free slot to an appointment, and to the visit that took place."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.access import access_grants
from common.appointments import appointments, booked_slots
from common.audit import audit_events
from common.firestore import Batch
from common.reminders import plans
from tests.client import (
    A_PROFILE,
    Api,
    Person,
    a_bookable_doctor,
    a_listed_doctor,
    a_patient,
    admit,
    book,
    free_starts,
    put_schedule,
    register,
    try_to_book,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.fixture
async def doctor(api: Api, admin: Person) -> Person:
    return await a_bookable_doctor(api, admin)


@pytest.fixture
async def ill(api: Api) -> Person:
    """A patient with a record."""
    return await a_patient(api)


def path_of(booked: dict[str, Any]) -> str:
    return f"/v1/appointments/{booked['appointment_id']}"


async def move_to(appointment_id: str, **fields: Any) -> None:
    """Change what is stored, as if time had passed."""
    batch = Batch()
    batch.update(appointments.path(appointment_id), fields)
    await batch.commit()


# ---------------------------------------------------------------- booking


async def test_a_patient_books_a_free_slot_and_it_is_no_longer_free(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    booked = await book(api, ill, doctor, starts[0])
    assert (booked["status"], booked["start"]) == ("booked", starts[0])
    assert booked["reason"].startswith("canary")
    assert booked["local_start"].endswith("T09:00")
    assert booked["place"] == "1 High Street, Oaxaca"
    assert await free_starts(api, doctor) == starts[1:]
    shown = await api.get(path_of(booked), ill)
    assert {**shown.json(), "etag": shown.headers["etag"]} == booked


async def test_a_taken_slot_is_answered_with_the_next_three_free_ones(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    await book(api, await a_patient(api), doctor, starts[0])
    answer = await try_to_book(api, ill, doctor, starts[0])
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("slot-taken")
    assert [slot["start"] for slot in answer.json()["next_free"]] == starts[1:4]
    assert answer.json()["next_free"][0]["local_start"].endswith("T09:30:00+01:00")


async def test_an_offset_other_than_utc_names_the_same_slot(
    api: Api, doctor: Person, ill: Person
) -> None:
    start = (await free_starts(api, doctor))[0]
    local = datetime.fromisoformat(start).astimezone().isoformat()
    elsewhere = (datetime.fromisoformat(start) + timedelta(hours=5, minutes=45)).replace(
        tzinfo=None
    ).isoformat() + "+05:45"
    booked = await book(api, ill, doctor, elsewhere)
    assert booked["start"] == start
    answer = await try_to_book(api, await a_patient(api), doctor, local)
    assert answer.json()["type"].endswith("slot-taken")
    (slot,) = await booked_slots.find(doctor.uid, limit=5)
    assert slot.id == datetime.fromisoformat(start).strftime("%Y%m%dT%H%MZ")


async def test_an_appointment_longer_than_a_slot_takes_several(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    booked = await book(api, ill, doctor, starts[0], duration_minutes=75)
    length = datetime.fromisoformat(booked["end"]) - datetime.fromisoformat(booked["start"])
    assert length == timedelta(minutes=75)
    assert await free_starts(api, doctor) == starts[3:]
    free = await free_starts(api, doctor, duration_minutes=75)
    assert free[0] == starts[3]
    assert starts[4] not in free  # the morning ends before that
    taken = await try_to_book(api, await a_patient(api), doctor, starts[2])
    assert taken.status_code == 409
    assert (await api.delete(path_of(booked), ill)).status_code == 204
    assert await free_starts(api, doctor) == starts


@pytest.mark.parametrize(
    ("wish", "pointer", "says"),
    [
        ({"start": "2020-01-01T09:00:00Z"}, "/start", "past"),
        ({"start": "2199-01-01T09:00:00Z"}, "/start", "90 days"),
        ({"start": "9999-12-31T23:59:59Z"}, "/start", "century"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "/start", ""),
        ({"start": "2026-12-01T09:00:00"}, "/start", "timezone"),
        ({"start": "tomorrow"}, "/start", ""),
        ({"reason": ""}, "/reason", ""),
        ({"reason": "x" * 2001}, "/reason", "2000"),
        ({"type": "telepathy"}, "/type", ""),
        ({"duration_minutes": 500}, "/duration_minutes", "hours end"),
        ({"duration_minutes": 0}, "/duration_minutes", ""),
        ({"doctor_id": "../x"}, "/doctor_id", ""),
        ({"status": "fulfilled"}, "/status", "not known"),
    ],
)
async def test_what_can_not_be_booked_is_named(
    api: Api, doctor: Person, ill: Person, wish: dict[str, Any], pointer: str, says: str
) -> None:
    body = {"start": (await free_starts(api, doctor))[0], **wish}
    answer = await try_to_book(api, ill, doctor, body.pop("start"), **body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]


@pytest.mark.parametrize("shift", [timedelta(minutes=1), timedelta(seconds=1), timedelta(hours=12)])
async def test_what_is_no_slot_is_refused(
    api: Api, doctor: Person, ill: Person, shift: timedelta
) -> None:
    start = datetime.fromisoformat((await free_starts(api, doctor))[0]) + shift
    answer = await try_to_book(api, ill, doctor, start.isoformat())
    assert answer.json()["errors"][0]["detail"] == "Not the start of a slot of this doctor"


async def test_patients_need_notice_and_who_runs_the_practice_does_not(
    api: Api, admin: Person, ill: Person
) -> None:
    hours = {day: [{"start": "00:00", "end": "24:00"}] for day in DAYS}
    doctor = await a_bookable_doctor(
        api, admin, time_zone="UTC", weekly=hours, min_notice_hours=72, slot_minutes=60
    )
    await admit(api, ill, doctor)
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=5)
    starts = [(soon + timedelta(hours=n)).isoformat() for n in range(2)]
    refused = await try_to_book(api, ill, doctor, starts[0])
    assert "72 hours" in refused.json()["errors"][0]["detail"]
    await book(api, doctor, doctor, starts[0], patient_id=ill.uid)
    await book(api, admin, doctor, starts[1], patient_id=ill.uid)


async def test_a_doctor_books_for_a_patient_they_see_and_for_nobody_else(
    api: Api, doctor: Person, ill: Person
) -> None:
    start = (await free_starts(api, doctor))[0]
    refused = await try_to_book(api, doctor, doctor, start, patient_id=ill.uid)
    unknown = await try_to_book(api, doctor, doctor, start, patient_id="nobody")
    assert (refused.status_code, unknown.status_code) == (404, 404)
    await admit(api, ill, doctor)
    booked = await book(api, doctor, doctor, start, patient_id=ill.uid)
    assert booked["patient_name"] == "Ana García"


async def test_a_patient_without_a_record_is_told_to_enter_it(
    api: Api, doctor: Person, patient: Person
) -> None:
    answer = await try_to_book(api, patient, doctor, (await free_starts(api, doctor))[0])
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("patient-record-missing")


async def test_an_archived_patient_is_not_booked(api: Api, doctor: Person, ill: Person) -> None:
    assert (await api.delete(f"/v1/patients/{ill.uid}", ill)).status_code == 204
    answer = await try_to_book(api, ill, doctor, (await free_starts(api, doctor))[0])
    assert answer.json()["type"].endswith("patient-archived")


async def test_who_is_not_listed_can_not_be_booked(api: Api, ill: Person) -> None:
    unlisted = await register(api, "doctor")
    await api.post("/v1/doctors", unlisted, json=A_PROFILE)
    await put_schedule(api, unlisted)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    answer = await try_to_book(api, ill, unlisted, f"{tomorrow}T09:00:00Z")
    assert answer.status_code == 404
    free = await api.get(f"/v1/appointments/available/{unlisted.uid}")
    assert free.status_code == 404


async def test_a_doctor_without_a_schedule_says_so(api: Api, admin: Person, ill: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    free = await api.get(f"/v1/appointments/available/{doctor.uid}")
    assert (free.status_code, "no schedule" in free.json()["detail"]) == (404, True)
    answer = await try_to_book(api, ill, doctor, "2026-12-01T09:00:00Z")
    assert answer.json()["errors"][0]["pointer"] == "/start"


async def test_a_doctor_who_takes_no_new_patients_still_sees_their_own(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    await book(api, ill, doctor, starts[0])
    closed = {"is_accepting_patients": False}
    assert (await api.put(f"/v1/doctors/{doctor.uid}", doctor, json=closed)).status_code == 200
    stranger = await try_to_book(api, await a_patient(api), doctor, starts[1])
    assert stranger.json()["type"].endswith("not-accepting")
    await book(api, ill, doctor, starts[2])


async def test_two_appointments_of_one_patient_do_not_overlap_whoever_they_are_with(
    api: Api, doctor: Person, admin: Person, ill: Person
) -> None:
    other = await a_bookable_doctor(api, admin, slot_minutes=45)
    start = (await free_starts(api, doctor))[1]  # 09:30; the other's slots: 09:00, 09:45
    await book(api, ill, doctor, start)
    near = (await free_starts(api, other))[:3]
    answers = [await try_to_book(api, ill, other, each) for each in near]
    assert [answer.status_code for answer in answers] == [409, 409, 201]
    assert answers[0].json()["type"].endswith("patient-busy")


# ---------------------------------------------------------------- reading


async def test_lists_hold_the_callers_own_and_are_filtered(
    api: Api, doctor: Person, admin: Person, ill: Person
) -> None:
    other = await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = [await book(api, ill, doctor, start) for start in (starts[0], starts[5])]
    await book(api, other, doctor, starts[2])
    assert (await api.delete(path_of(booked[1]), ill)).status_code == 204

    async def listed(who: Person, **query: str) -> list[str]:
        answer = await api.get("/v1/appointments", who, params=query)
        assert answer.status_code == 200, answer.text
        assert all("reason" not in item for item in answer.json()["items"])
        return [item["start"] for item in answer.json()["items"]]

    assert await listed(ill) == [starts[0], starts[5]]
    assert await listed(ill, sort="-start") == [starts[5], starts[0]]
    assert await listed(ill, status="cancelled") == [starts[5]]
    assert await listed(doctor) == [starts[0], starts[2], starts[5]]
    assert await listed(doctor, patient_id=other.uid) == [starts[2]]
    assert await listed(doctor, to=starts[2]) == [starts[0]]
    assert await listed(doctor, **{"from": starts[2]}) == [starts[2], starts[5]]
    assert await listed(admin, doctor_id=doctor.uid, status="booked") == [starts[0], starts[2]]
    assert await listed(ill, patient_id=other.uid) == []
    assert await listed(ill, doctor_id="nobody") == []


async def test_lists_come_in_pages(api: Api, doctor: Person, ill: Person) -> None:
    starts = (await free_starts(api, doctor))[:5]
    for start in starts:
        await book(api, ill, doctor, start)
    found, token = [], None
    for _ in range(3):
        query = {"page_size": 2} | ({"page_token": token} if token else {})
        page = (await api.get("/v1/appointments", ill, params=query)).json()
        found += [item["start"] for item in page["items"]]
        token = page["next_page_token"]
    assert (found, token) == (starts, None)


async def test_an_unverified_doctor_sees_no_appointment_any_more(
    api: Api, doctor: Person, admin: Person, ill: Person
) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    path = f"/v1/doctors/{doctor.uid}/verification"
    body = {"is_verified": False, "note": "Licence withdrawn"}
    assert (await api.put(path, admin, json=body)).status_code == 200
    assert (await api.get(path_of(booked), doctor)).status_code == 404
    assert (await api.get("/v1/appointments", doctor)).json()["items"] == []
    assert (await api.get(f"/v1/appointments/calendar/{doctor.uid}", doctor)).status_code == 404


async def test_a_visit_to_an_appointment_is_audited_once(
    api: Api, doctor: Person, ill: Person
) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    answer = await api.get(path_of(booked), doctor)
    where = [("request_id", "==", answer.headers["x-request-id"])]
    (event,) = await audit_events.find(where=where, limit=5)
    assert (event.action, event.subject_uid) == ("appointments.read", ill.uid)
    log = (await api.get(f"/v1/patients/{ill.uid}/access-log", ill)).json()["items"]
    assert any("looked at an appointment of yours" in entry["text"] for entry in log)
    assert all("did something with" not in entry["text"] for entry in log)


# ---------------------------------------------------------------- changing


async def test_notes_are_for_both_and_private_notes_for_their_doctor_alone(
    api: Api, doctor: Person, admin: Person, ill: Person
) -> None:
    path = path_of(await book(api, ill, doctor, (await free_starts(api, doctor))[0]))
    notes = {"notes": "canary: bring the letter", "private_notes": "canary: anxious"}
    mine = await api.put(path, doctor, json=notes)
    assert mine.json()["private_notes"] == "canary: anxious"
    for someone in (ill, admin):
        shown = (await api.get(path, someone)).json()
        assert (shown["notes"], shown["private_notes"]) == ("canary: bring the letter", None)
        refused = await api.put(path, someone, json={"private_notes": "canary"})
        assert refused.status_code == 403
    assert (await api.put(path, ill, json={"notes": None})).json()["notes"] is None
    assert (await api.get(path, doctor)).json()["private_notes"] == "canary: anxious"


async def test_private_notes_do_not_go_to_the_doctor_who_takes_over(
    api: Api, doctor: Person, admin: Person, ill: Person
) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    await api.put(path_of(booked), doctor, json={"private_notes": "canary: anxious"})
    other = await a_bookable_doctor(api, admin)
    body = {"start": (await free_starts(api, other))[0], "doctor_id": other.uid}
    path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
    moved = await api.post(path, ill, json=body)
    assert moved.status_code == 200, moved.text
    assert (await api.get(path_of(booked), other)).json()["private_notes"] is None
    assert (await api.get(path_of(booked), doctor)).status_code == 404


async def test_what_is_offered_then_can_be_changed_to(api: Api, admin: Person, ill: Person) -> None:
    spell = {"start": "09:00", "end": "12:00", "types": ["in_person", "video"]}
    doctor = await a_bookable_doctor(api, admin, weekly={day: [spell] for day in DAYS})
    path = path_of(await book(api, ill, doctor, (await free_starts(api, doctor))[0]))
    by_video = (await api.put(path, ill, json={"type": "video"})).json()
    assert (by_video["type"], by_video["place"]) == ("video", None)
    plan = await plans.get(by_video["appointment_id"])
    assert plan
    assert plan.type == "video"
    assert (await api.put(path, ill, json={"type": "in_person"})).json()["place"]
    refused = await api.put(path, ill, json={"type": "phone"})
    assert refused.json()["errors"][0]["pointer"] == "/type"


async def test_a_cancelled_slot_can_be_booked_again(api: Api, doctor: Person, ill: Person) -> None:
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, ill, doctor, start)
    for _ in range(2):  # again is no harm
        reason = {"reason": "canary: better now"}
        answer = await api.call("DELETE", path_of(booked), ill, json=reason)
        assert answer.status_code == 204, answer.text
    shown = (await api.get(path_of(booked), ill)).json()
    assert (shown["status"], shown["cancelled_by"]) == ("cancelled", "patient")
    assert shown["cancellation_reason"] == "canary: better now"
    await book(api, ill, doctor, start)


async def test_ten_cancellations_at_once_are_one(api: Api, doctor: Person, ill: Person) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    answers = await asyncio.gather(*(api.delete(path_of(booked), who) for who in [ill, doctor] * 5))
    assert {answer.status_code for answer in answers} == {204}
    stored = await appointments.get(booked["appointment_id"])
    assert stored
    assert stored.version == 1


async def test_a_cancellation_insists_on_what_was_read(
    api: Api, doctor: Person, ill: Person
) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    await api.put(path_of(booked), doctor, json={"notes": "canary"})
    headers = {"If-Match": booked["etag"]}
    assert (await api.delete(path_of(booked), ill, headers=headers)).status_code == 412


async def test_a_rescheduled_appointment_frees_its_old_slot(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    booked = await book(api, ill, doctor, starts[0])
    path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
    answer = await api.post(path, ill, json={"start": starts[1]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["start"] == starts[1]
    assert answer.json()["reason"] == booked["reason"]
    assert await free_starts(api, doctor) == [starts[0], *starts[2:]]


async def test_a_long_appointment_moves_by_one_slot_over_itself(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    booked = await book(api, ill, doctor, starts[0], duration_minutes=60)
    path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
    answer = await api.post(path, ill, json={"start": starts[1]})
    assert answer.status_code == 200, answer.text
    assert await free_starts(api, doctor) == [starts[0], *starts[3:]]


async def test_if_the_new_time_is_taken_the_old_one_is_kept(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    booked = await book(api, ill, doctor, starts[0])
    await book(api, await a_patient(api), doctor, starts[1])
    path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
    answer = await api.post(path, ill, json={"start": starts[1]})
    assert answer.json()["type"].endswith("slot-taken")
    assert (await api.get(path_of(booked), ill)).json()["start"] == starts[0]
    assert starts[0] not in await free_starts(api, doctor)


# ---------------------------------------------------------------- the state machine


async def set_status(api: Api, who: Person, booked: dict[str, Any], status: str) -> int:
    answer = await api.post(f"{path_of(booked)}/status", who, json={"status": status})
    return answer.status_code


async def test_a_visit_goes_from_booked_to_arrived_to_fulfilled_and_no_other_way(
    api: Api, doctor: Person, ill: Person
) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    assert await set_status(api, ill, booked, "arrived") == 403
    assert await set_status(api, doctor, booked, "fulfilled") == 409
    assert await set_status(api, doctor, booked, "noshow") == 409  # it has not begun
    soon = datetime.now(UTC) + timedelta(minutes=20)
    await move_to(booked["appointment_id"], start=soon, end=soon + timedelta(minutes=30))
    assert await set_status(api, doctor, booked, "arrived") == 200
    assert await set_status(api, doctor, booked, "arrived") == 200  # again is no harm
    assert await set_status(api, doctor, booked, "noshow") == 409
    assert await set_status(api, doctor, booked, "fulfilled") == 200
    for status in ("arrived", "noshow"):
        assert await set_status(api, doctor, booked, status) == 409
    assert (await api.delete(path_of(booked), ill)).status_code == 409
    assert (await api.put(path_of(booked), ill, json={"reason": "canary"})).status_code == 409
    assert (await api.put(path_of(booked), doctor, json={"notes": "canary"})).status_code == 200


async def test_who_did_not_come_is_a_no_show(api: Api, doctor: Person, ill: Person) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    past = datetime.now(UTC) - timedelta(minutes=20)
    await move_to(booked["appointment_id"], start=past, end=past + timedelta(minutes=30))
    assert await set_status(api, doctor, booked, "noshow") == 200
    assert await set_status(api, doctor, booked, "arrived") == 409


@pytest.mark.parametrize("status", ["booked", "cancelled", "proposed", ""])
async def test_other_words_for_a_status_are_refused(
    api: Api, doctor: Person, ill: Person, status: str
) -> None:
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    assert await set_status(api, doctor, booked, status) == 422


# ---------------------------------------------------------------- the care team


async def test_a_booking_lets_the_doctor_see_the_record_until_90_days_after_the_visit(
    api: Api, doctor: Person, ill: Person
) -> None:
    path = f"/v1/patients/{ill.uid}"
    assert (await api.get(path, doctor)).status_code == 404
    booked = await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    assert (await api.get(path, doctor)).status_code == 200
    (member,) = (await api.get(f"{path}/care-team", ill)).json()
    end = datetime.fromisoformat(booked["end"]) + timedelta(days=90)
    assert datetime.fromisoformat(member["expires_at"]) == end
    assert (member["doctor_id"], member["is_granted"]) == (doctor.uid, False)
    listed = (await api.get("/v1/patients", doctor)).json()["items"]
    assert [each["patient_id"] for each in listed] == [ill.uid]
    batch = Batch()  # as if those days had passed
    past = int((datetime.now(UTC) - timedelta(seconds=1)).timestamp())
    batch.update(access_grants.path(ill.uid, doctor.uid), {"visits_until": past})
    await batch.commit()
    await asyncio.sleep(0)
    assert (await api.get("/v1/patients", doctor)).json()["items"] == []


async def test_a_cancelled_appointment_gives_no_access_and_a_grant_stays(
    api: Api, doctor: Person, admin: Person, ill: Person
) -> None:
    granted = await a_bookable_doctor(api, admin)
    await admit(api, ill, granted)
    for each in (doctor, granted):
        booked = await book(api, ill, each, (await free_starts(api, each))[0])
        assert (await api.delete(path_of(booked), ill)).status_code == 204
    team = (await api.get(f"/v1/patients/{ill.uid}/care-team", ill)).json()
    assert [member["doctor_id"] for member in team] == [granted.uid]


async def test_of_two_appointments_the_later_one_counts_and_then_the_one_that_is_left(
    api: Api, doctor: Person, ill: Person
) -> None:
    starts = await free_starts(api, doctor)
    later = await book(api, ill, doctor, starts[30])
    sooner = await book(api, ill, doctor, starts[0])

    async def until() -> datetime:
        grant = await access_grants.get(ill.uid, doctor.uid)
        assert grant
        return grant.visits_end - timedelta(days=90)

    assert await until() == datetime.fromisoformat(later["end"])
    assert (await api.delete(path_of(later), ill)).status_code == 204
    assert await until() == datetime.fromisoformat(sooner["end"])


async def test_a_patient_takes_off_their_care_team_who_is_there_by_an_appointment(
    api: Api, doctor: Person, ill: Person
) -> None:
    await book(api, ill, doctor, (await free_starts(api, doctor))[0])
    path = f"/v1/patients/{ill.uid}/care-team/{doctor.uid}"
    assert (await api.delete(path, ill)).status_code == 204
    assert (await api.get(f"/v1/patients/{ill.uid}", doctor)).status_code == 404


# ---------------------------------------------------------------- what is free


async def test_availability_is_asked_by_day_or_by_moment_and_for_31_days_at_most(
    api: Api, doctor: Person
) -> None:
    path = f"/v1/appointments/available/{doctor.uid}"
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    one = await api.get(path, params={"from": str(day), "to": str(day)})
    assert len(one.json()["items"]) == 12
    assert one.json()["time_zone"] == "Europe/Berlin"
    by_moment = {"from": f"{day}T00:00:00Z", "to": f"{day}T10:00:00Z"}
    assert 0 < len((await api.get(path, params=by_moment)).json()["items"]) < 12
    for wrong in (
        {"from": str(day), "to": str(day - timedelta(days=1))},
        {"from": str(day), "to": str(day + timedelta(days=31))},
        {"from": "0001-01-01"},
        {"from": "9999-12-31"},
        {"from": "9999-12-31T23:59:59Z"},
        {"from": "soon"},
        {"until": "2026-01-01"},
    ):
        assert (await api.get(path, params=wrong)).status_code == 422, wrong


async def test_when_nothing_is_free_the_next_free_slot_is_named(api: Api, admin: Person) -> None:
    closed = [
        {"date": str((datetime.now(UTC) + timedelta(days=n)).date()), "closed": True}
        for n in range(12)
    ]
    doctor = await a_bookable_doctor(api, admin, exceptions=closed)
    answer = (await api.get(f"/v1/appointments/available/{doctor.uid}")).json()
    assert answer["items"] == []
    assert answer["next_free"]["start"] > str((datetime.now(UTC) + timedelta(days=11)).date())


async def test_a_week_without_a_schedule_for_it_is_simply_empty(api: Api, doctor: Person) -> None:
    await put_schedule(api, doctor, weekly={})
    answer = (await api.get(f"/v1/appointments/available/{doctor.uid}")).json()
    assert (answer["items"], answer["next_free"]) == ([], None)
