"""Reminders over the wire: from the booking to the phone, the mailbox and the app, each once."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import httpx
import pytest

from common.clinical import Notification
from common.firestore import Batch, Collection
from common.reminders import messages, plans
from local.platform import Platform
from local.ports import HOST
from tests.client import Api, Person, a_bookable_doctor, a_patient, book, free_starts
from tests.recorder import Recorder

notifications = Collection(Notification, "users/{}/notifications")


class Clock:
    """Fires the function, and sees what it sent."""

    def __init__(self, platform: Platform, http: httpx.AsyncClient) -> None:
        self._function = platform.functions["send_reminders"] + "/"
        self._stand_in = f"http://{HOST}:{platform.ports.fcm}"
        self._http = http

    async def fire(self) -> int:
        return (await self._http.post(self._function)).status_code

    async def sent(self, person: Person, token: str = "") -> list[dict[str, Any]]:
        """What went to this person, in the order in which it went out."""
        items = (await self._http.get(f"{self._stand_in}/dev/outbox")).json()["items"]
        return [each for each in reversed(items) if each["to"] in (person.email, token)]

    async def break_(self, **faults: str) -> None:
        await self._http.put(f"{self._stand_in}/dev/faults", json=faults)


@pytest.fixture
async def clock(platform: Platform) -> AsyncIterator[Clock]:
    async with httpx.AsyncClient(timeout=120) as http:
        clock = Clock(platform, http)
        yield clock
        await clock.break_()


@pytest.fixture(scope="session")
async def doctor(api: Api, admin: Person) -> Person:
    """With slots enough for every test here."""
    return await a_bookable_doctor(api, admin, slot_minutes=10)


async def booked(api: Api, doctor: Person, patient: Person, someone: Person | None = None) -> str:
    """An appointment, of the next free slot; its id."""
    fields = {"patient_id": patient.uid} if someone else {}
    start = (await free_starts(api, doctor))[0]
    made = await book(api, someone or patient, doctor, start, **fields)
    return str(made["appointment_id"])


async def let_it_be_due(appointment_id: str, minutes_before: int = 90 * 24 * 60) -> None:
    """As if the time of a reminder had come: one that is so early that it has."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    fields = {"minutes_before": [minutes_before, 1], "next_time": past}
    batch = Batch()
    batch.update(plans.path(appointment_id), fields)
    await batch.commit()


async def with_a_phone(api: Api, patient: Person, token: str = "") -> str:
    token = token or f"phone-of-{secrets.token_hex(12)}"
    body = {"token": token, "platform": "ios"}
    answer = await api.post("/v1/users/me/devices", patient, json=body)
    assert answer.status_code == 201, answer.text
    return token


async def prefers(api: Api, patient: Person, **fields: Any) -> None:
    answer = await api.put(f"/v1/users/{patient.uid}", patient, json=fields)
    assert answer.status_code == 200, answer.text


async def test_a_reminder_reaches_app_phone_and_mailbox(
    api: Api, doctor: Person, clock: Clock
) -> None:
    patient = await a_patient(api)
    token = await with_a_phone(api, patient)
    appointment_id = await booked(api, doctor, patient)
    assert await clock.fire() == 204
    assert await clock.sent(patient, token) == []  # it is not time yet
    await let_it_be_due(appointment_id)
    assert await clock.fire() == 204
    sent = await clock.sent(patient, token)
    assert sorted(each["channel"] for each in sent) == ["mail", "push"]
    assert all("Dr. Inés García" in each["text"] for each in sent)
    assert all("canary" not in str(each) for each in sent)  # nothing of why they come
    (shown,) = await notifications.find(patient.uid, limit=5)
    assert (shown.kind, shown.appointment_id) == ("reminder", appointment_id)


async def test_p36_a_reminder_goes_out_once_however_often_the_clock_fires(
    api: Api, doctor: Person, clock: Clock, figure: Any
) -> None:
    patients = [await a_patient(api) for _ in range(5)]
    tokens = [await with_a_phone(api, patient) for patient in patients]
    for patient in patients:
        await let_it_be_due(await booked(api, doctor, patient))
    assert await asyncio.gather(*(clock.fire() for _ in range(10))) == [204] * 10
    assert await clock.fire() == 204
    sent = [await clock.sent(*each) for each in zip(patients, tokens, strict=True)]
    figure("doubled", sum(max(0, len(each) - 2) for each in sent))
    figure("missed", sum(max(0, 2 - len(each)) for each in sent))
    assert [len(each) for each in sent] == [2] * 5
    for patient in patients:
        assert len(await notifications.find(patient.uid, limit=5)) == 1


async def test_p36_nothing_goes_out_after_a_cancel_or_a_reschedule(
    api: Api, doctor: Person, clock: Clock, figure: Any
) -> None:
    cancelled, moved = await a_patient(api), await a_patient(api)
    first, second = await booked(api, doctor, cancelled), await booked(api, doctor, moved)
    for appointment_id in (first, second):
        await let_it_be_due(appointment_id)
    later = (await free_starts(api, doctor))[50]
    assert (await api.delete(f"/v1/appointments/{first}", cancelled)).status_code == 204
    path = f"/v1/appointments/reschedule/{second}"
    assert (await api.post(path, moved, json={"start": later})).status_code == 200
    assert await clock.fire() == 204
    stale = [*await clock.sent(cancelled), *await clock.sent(moved)]
    figure("stale", len(stale))
    assert stale == []
    await let_it_be_due(second)
    assert await clock.fire() == 204
    assert len(await clock.sent(moved)) == 1  # of the new time


async def test_p36_what_waits_for_a_retry_is_void_once_its_appointment_is_cancelled(
    api: Api, doctor: Person, clock: Clock
) -> None:
    patient = await a_patient(api)
    appointment_id = await booked(api, doctor, patient)
    await let_it_be_due(appointment_id)
    await clock.break_(smtp="fail")
    await clock.fire()
    assert (await api.delete(f"/v1/appointments/{appointment_id}", patient)).status_code == 204
    await clock.break_()
    await let_retries_be_due(patient)
    assert await clock.fire() == 204
    assert await clock.sent(patient) == []


async def let_retries_be_due(patient: Person) -> None:
    batch = Batch()
    waiting = await messages.find(where=[("uid", "==", patient.uid)], limit=20)
    for message in waiting:
        if message.next_time is not None:
            batch.update(message.path, {"next_time": datetime.now(UTC)})
    assert len(batch), "no message waits for a retry"
    await batch.commit()


@pytest.mark.parametrize("fault", ["fail", "garbage", "hangup"])
async def test_p35_a_relay_that_fails_is_tried_again_and_nothing_is_lost(
    api: Api, doctor: Person, clock: Clock, fault: str
) -> None:
    patient = await a_patient(api)
    token = await with_a_phone(api, patient)
    await let_it_be_due(await booked(api, doctor, patient))
    await clock.break_(smtp=fault)
    assert await clock.fire() == 204
    await clock.break_()
    await let_retries_be_due(patient)
    assert await clock.fire() == 204
    sent = await clock.sent(patient, token)
    mails = [each for each in sent if each["channel"] == "mail"]
    assert len(mails) >= 1
    assert len({mail["id"] for mail in mails}) == 1  # a mailbox knows the second for the first
    assert len([each for each in sent if each["channel"] == "push"]) == 1


@pytest.mark.parametrize("fault", ["fail", "garbage"])
async def test_p35_a_push_service_that_fails_is_tried_again_and_mail_is_not_doubled(
    api: Api, doctor: Person, clock: Clock, fault: str
) -> None:
    patient = await a_patient(api)
    token = await with_a_phone(api, patient)
    await let_it_be_due(await booked(api, doctor, patient))
    await clock.break_(fcm=fault)
    assert await clock.fire() == 204
    await clock.break_()
    await let_retries_be_due(patient)
    assert await clock.fire() == 204
    channels = sorted(each["channel"] for each in await clock.sent(patient, token))
    assert channels == ["mail", "push"]


@pytest.mark.parametrize("fault", ["smtp", "fcm"])
async def test_p35_a_service_that_hangs_holds_nothing_up_for_longer_than_its_deadline(
    api: Api, doctor: Person, clock: Clock, fault: str, figure: Any
) -> None:
    patient = await a_patient(api)
    token = await with_a_phone(api, patient)
    await let_it_be_due(await booked(api, doctor, patient))
    await clock.break_(**{fault: "stall"})
    begun = time.monotonic()
    assert await clock.fire() == 204
    took = time.monotonic() - begun
    figure(f"seconds with {fault} hanging", f"{took:.1f}")
    assert took < 10  # the deadline is six, and the other channel goes out meanwhile
    await clock.break_()
    assert len(await clock.sent(patient, token)) == 1
    await let_retries_be_due(patient)
    assert await clock.fire() == 204
    assert len(await clock.sent(patient, token)) == 2


@pytest.mark.parametrize(("fault", "arrives"), [("smtp", "push"), ("fcm", "mail")])
async def test_what_a_service_refuses_for_good_is_not_tried_again(
    api: Api, doctor: Person, clock: Clock, fault: str, arrives: str
) -> None:
    patient = await a_patient(api)
    token = await with_a_phone(api, patient)
    await let_it_be_due(await booked(api, doctor, patient))
    await clock.break_(**{fault: "refuse"})
    assert await clock.fire() == 204
    await clock.break_()
    assert [each["channel"] for each in await clock.sent(patient, token)] == [arrives]
    (message,) = await messages.find(where=[("uid", "==", patient.uid)], limit=5)
    assert message.next_time is None


async def test_a_device_that_is_gone_is_forgotten(api: Api, doctor: Person, clock: Clock) -> None:
    patient = await a_patient(api)
    gone = await with_a_phone(api, patient, f"unregistered-{secrets.token_hex(12)}")
    token = await with_a_phone(api, patient)
    await let_it_be_due(await booked(api, doctor, patient))
    assert await clock.fire() == 204
    assert len(await clock.sent(patient, token)) == 2
    devices = Collection(Notification, "users/{}/devices")
    assert await devices.count(patient.uid) == 1
    assert gone != token


async def test_a_phone_that_changed_hands_gets_its_new_owners_messages_only(
    api: Api, doctor: Person, clock: Clock
) -> None:
    before, after = await a_patient(api), await a_patient(api)
    token = await with_a_phone(api, before)
    stored = Collection(Notification, "users/{}/devices")  # written by the app itself, as rules let
    moment = datetime.now(UTC) + timedelta(seconds=1)
    batch = Batch()
    device = {"token": token, "platform": "ios", "create_time": moment, "update_time": moment}
    batch.merge(stored.path(after.uid, token), device)
    await batch.commit()
    await let_it_be_due(await booked(api, doctor, before))
    assert await clock.fire() == 204
    assert [each["channel"] for each in await clock.sent(before, token)] == ["mail"]


async def test_the_person_chooses_channels(api: Api, doctor: Person, clock: Clock) -> None:
    patient = await a_patient(api)
    token = await with_a_phone(api, patient)
    await prefers(api, patient, reminders={"channels": ["push"], "minutes_before": [60]})
    await let_it_be_due(await booked(api, doctor, patient))
    assert await clock.fire() == 204
    assert [each["channel"] for each in await clock.sent(patient, token)] == ["push"]
    assert await notifications.find(patient.uid, limit=5) == []


async def test_reminders_are_planned_as_the_person_likes_them(api: Api, doctor: Person) -> None:
    patient = await a_patient(api)
    plan = await plans.get(await booked(api, doctor, patient))
    assert plan
    assert set(plan.minutes_before) <= {60, 1440}
    assert 60 in plan.minutes_before
    assert plan.next_time == plan.start - timedelta(minutes=max(plan.minutes_before))


async def test_who_changes_when_to_be_reminded_changes_it_for_what_is_booked(
    api: Api, doctor: Person
) -> None:
    patient = await a_patient(api)
    appointment_id = await booked(api, doctor, patient)
    await prefers(api, patient, reminders={"channels": ["email"], "minutes_before": [15, 30]})
    plan = await plans.get(appointment_id)
    assert plan
    assert plan.minutes_before == [15, 30]
    assert plan.next_time == plan.start - timedelta(minutes=30)


@pytest.mark.parametrize(
    ("language", "zone", "words", "clock_shows"),
    [
        ("en-US", "America/New_York", "Reminder", "AM"),
        ("es-MX", "America/Mexico_City", "Recordatorio", ":"),
        ("de", "Europe/Vienna", "Erinnerung", "MEZ"),
        ("ar", "Asia/Kathmandu", "تذكير", ":"),
        ("zh-Hant-TW", "Asia/Taipei", "提醒", ":"),
        ("fi", "Europe/Helsinki", "Reminder", ":"),
    ],
)
async def test_it_is_said_in_the_persons_language_and_zone(
    api: Api, doctor: Person, clock: Clock, language: str, zone: str, words: str, clock_shows: str
) -> None:
    patient = await a_patient(api)
    await prefers(api, patient, language=language, time_zone=zone)
    await let_it_be_due(await booked(api, doctor, patient))
    assert await clock.fire() == 204
    (mail,) = await clock.sent(patient)
    assert words in mail["text"]
    assert mail["language"] == (language[:2] if language != "fi" else "en")
    assert clock_shows in mail["text"]
    assert "{" not in mail["title"] + mail["text"]


async def test_a_patient_is_told_what_others_do_to_their_appointment_and_not_what_they_do(
    api: Api, doctor: Person, clock: Clock, admin: Person
) -> None:
    patient = await a_patient(api)
    own = await booked(api, doctor, patient)
    others = await booked(api, doctor, patient, admin)
    await clock.fire()
    assert [mail["title"] for mail in await clock.sent(patient)] == ["Appointment booked"]
    later = (await free_starts(api, doctor))[60]
    path = f"/v1/appointments/reschedule/{others}"
    assert (await api.post(path, doctor, json={"start": later})).status_code == 200
    await clock.fire()
    assert (await api.delete(f"/v1/appointments/{others}", doctor)).status_code == 204
    assert (await api.delete(f"/v1/appointments/{own}", patient)).status_code == 204
    await clock.fire()
    titles = [mail["title"] for mail in await clock.sent(patient)]
    assert titles == ["Appointment booked", "Appointment moved", "Appointment cancelled"]


async def test_a_person_whose_account_is_closed_is_told_nothing(
    api: Api, doctor: Person, clock: Clock
) -> None:
    patient = await a_patient(api)
    await let_it_be_due(await booked(api, doctor, patient))
    assert (await api.delete(f"/v1/users/{patient.uid}", patient)).status_code == 204
    assert await clock.fire() == 204
    assert await clock.sent(patient) == []


async def test_while_the_database_is_away_the_firing_fails_and_the_next_one_sends(
    api: Api, doctor: Person, clock: Clock, recorder: Recorder
) -> None:
    patient = await a_patient(api)
    await let_it_be_due(await booked(api, doctor, patient))
    with recorder.broken("Commit", grpc.StatusCode.UNAVAILABLE):
        assert await clock.fire() == 503
    assert await clock.fire() == 204
    assert len(await clock.sent(patient)) == 1


async def test_one_that_can_not_be_read_holds_no_other_up(
    api: Api, doctor: Person, clock: Clock
) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    batch = Batch()
    batch.merge(plans.path("broken"), {"next_time": past})
    batch.merge(messages.path("broken"), {"next_time": past})
    await batch.commit()
    patient = await a_patient(api)
    await let_it_be_due(await booked(api, doctor, patient))
    assert await clock.fire() == 204
    assert len(await clock.sent(patient)) == 1
    batch = Batch()
    batch.delete(plans.path("broken"))
    batch.delete(messages.path("broken"))
    await batch.commit()


async def test_the_gateway_shows_what_was_sent(api: Api, doctor: Person, clock: Clock) -> None:
    patient = await a_patient(api)
    await let_it_be_due(await booked(api, doctor, patient))
    await clock.fire()
    items = (await api.get("/dev/outbox")).json()["items"]
    assert patient.email in [each["to"] for each in items]
    page = await api.get("/dev/outbox", headers={"Accept": "text/html"})
    assert patient.email[:40] in page.text
