"""Promises 1, 2, 3, 7, 9 and 22: who may do what, what is noted of it, and what strangers can learn."""

import asyncio
import json
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.audit import audit_events
from common.auth import users
from common.firestore import Collection
from common.models import Doctor, User
from common.scheduling import Schedule
from local.platform import Platform
from tests.client import (
    A_PROFILE,
    A_RECORD,
    A_SCHEDULE,
    PASSWORD,
    Api,
    Person,
    a_bookable_doctor,
    a_patient,
    an_email,
    book,
    free_starts,
    make_admin,
    put_schedule,
    register,
)
from tests.pictured import an_image
from tests.promises.matrix import IDENTITIES, ROWS
from tests.promises.people import Cell
from tests.recorded import A_NOTE, a_transcription

doctors = Collection(Doctor, "doctors")


async def test_p01_every_operation_follows_the_declared_matrix(
    api: Api, asked: list[Cell], figure: Any
) -> None:
    document = (await api.get("/openapi.json")).json()
    operations = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert operations == {row.template for row in ROWS}
    wrong = [cell for cell in asked if cell.status != cell.expected]
    figure("cells right / all", f"{len(asked) - len(wrong)} / {len(asked)}")
    figure("leaks", sum(cell.status < 300 <= cell.expected for cell in wrong))
    assert len(asked) == len(ROWS) * len(IDENTITIES)
    assert not wrong


_EFFECTS = {
    "POST /transcriptions/{transcription_id}/note": 2,
    "POST /transcriptions/{transcription_id}/note/sign": 2,
}
"""Of what does two things: a draft sends a prompt, a signed note enters the history."""


async def test_p22_each_cell_of_the_matrix_leaves_one_event_and_no_more(
    asked: list[Cell], figure: Any
) -> None:
    """Of patients' and appointments' routes: every access, and every refusal that tells who may see what."""
    missing, extra, cells = [], [], 0
    for cell in asked:
        is_clinical = any(
            name in cell.operation
            for name in ("/patients", "/appointments", "/transcriptions", "/medical-images")
        )
        is_clinical &= "health" not in cell.operation and "available" not in cell.operation
        if not is_clinical or cell.status == 401:
            continue
        if cell.status == 409 and "erasure" not in cell.operation:
            continue  # nothing was stored or shown
        cells += 1
        events = await audit_events.find(where=[("request_id", "==", cell.request_id)], limit=5)
        outcome = "refused" if cell.status >= 400 else "allowed"
        missing += [] if any(event.outcome == outcome for event in events) else [cell]
        expected = _EFFECTS.get(cell.operation, 1) if cell.status < 300 else 1
        missing += [] if len(events) >= expected else [cell]
        extra += [cell] * (len(events) - expected)
    figure(f"missing, extra, in {cells} cells", f"{len(missing)}, {len(extra)}")
    assert cells > 100
    assert missing == []
    assert extra == []


STRANGER_ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/v1/users/{}", None),
    ("PUT", "/v1/users/{}", {"language": "de"}),
    ("DELETE", "/v1/users/{}", None),
    ("GET", "/v1/doctors/{}", None),
    ("PUT", "/v1/doctors/{}", {"is_accepting_patients": False}),
    ("DELETE", "/v1/doctors/{}", None),
    ("GET", "/v1/patients/{}", None),
    ("PUT", "/v1/patients/{}", {"blood_type": "A+"}),
    ("DELETE", "/v1/patients/{}", None),
    ("GET", "/v1/patients/{}/export", None),
    ("GET", "/v1/patients/{}/history", None),
    ("POST", "/v1/patients/{}/history", A_RECORD),
    ("GET", "/v1/patients/{}/history/anything", None),
    ("PUT", "/v1/patients/{}/history/anything", {"title": "A"}),
    ("GET", "/v1/patients/{}/history/anything/versions", None),
    ("GET", "/v1/patients/{}/care-team", None),
    ("GET", "/v1/patients/{}/care-team/anybody", None),
    ("PUT", "/v1/patients/{}/care-team/anybody", {}),
    ("DELETE", "/v1/patients/{}/care-team/anybody", None),
    ("GET", "/v1/patients/{}/access-log", None),
    ("GET", "/v1/doctors/{}/schedule", None),
    ("PUT", "/v1/doctors/{}/schedule", A_SCHEDULE),
    ("GET", "/v1/doctors/{}/reviews", None),
    ("GET", "/v1/doctors/{}/metrics", None),
    ("GET", "/v1/appointments/available/{}", None),
    ("GET", "/v1/appointments/calendar/{}", None),
    ("POST", "/v1/appointments/calendar/{}/feed", None),
    ("GET", "/v1/appointments/calendar/{}.ics?token=not-the-secret-of-anybody", None),
    ("GET", "/v1/appointments/{}", None),
    ("PUT", "/v1/appointments/{}", {"notes": "A"}),
    ("DELETE", "/v1/appointments/{}", None),
    ("POST", "/v1/appointments/reschedule/{}", {"start": "2199-01-01T09:00:00Z"}),
    ("POST", "/v1/appointments/{}/status", {"status": "arrived"}),
    ("POST", "/v1/appointments/waitlist/{}/accept", None),
    ("POST", "/v1/appointments/waitlist/{}/decline", None),
    ("DELETE", "/v1/appointments/waitlist/{}", None),
    ("GET", "/v1/transcriptions?patient_id={}", None),
    ("GET", "/v1/transcriptions/{}", None),
    ("GET", "/v1/transcriptions/status/{}", None),
    ("POST", "/v1/transcriptions/{}/upload", None),
    ("DELETE", "/v1/transcriptions/{}", None),
    ("POST", "/v1/transcriptions/{}/note", None),
    ("PUT", "/v1/transcriptions/{}/note", {**A_NOTE, "plan": []}),
    ("GET", "/v1/transcriptions/{}/note/versions", None),
    ("POST", "/v1/transcriptions/{}/note/sign", {}),
    ("GET", "/v1/medical-images?patient_id={}", None),
    ("GET", "/v1/medical-images/studies?patient_id={}", None),
    ("GET", "/v1/medical-images/{}", None),
    ("GET", "/v1/medical-images/analysis/{}", None),
    ("GET", "/v1/medical-images/{}/preview", None),
    ("GET", "/v1/medical-images/{}/content", None),
    ("GET", "/v1/medical-images/{}/deidentified", None),
    ("POST", "/v1/medical-images/{}/upload", None),
    ("DELETE", "/v1/medical-images/{}", None),
]
"""All routes with an id but `…/break-glass`: there a verified doctor may learn it, and it is told."""


async def test_p02_a_strangers_record_looks_like_one_that_does_not_exist(
    api: Api, patient: Person, admin: Person, figure: Any
) -> None:
    other = await a_patient(api)
    unlisted = await register(api, "doctor")
    await api.post("/v1/doctors", unlisted, json=A_PROFILE)
    await put_schedule(api, unlisted)
    curious = await register(api, "doctor")
    listed = await a_bookable_doctor(api, admin)
    booked = await book(api, other, listed, (await free_starts(api, listed))[0])
    wish = {"doctor_id": listed.uid, "from": booked["start"], "to": "2199-01-01T00:00:00Z"}
    wish["to"] = (datetime.fromisoformat(booked["start"]) + timedelta(days=9)).isoformat()
    waiting = (await api.post("/v1/appointments/waitlist", other, json=wish)).json()
    recorded = await a_transcription(other, other, "I have had a cough for two weeks.")
    pictured = await an_image(other, other)
    told_apart = []
    for method, path, body in STRANGER_ROUTES:
        theirs = other.uid
        if "doctors" in path or "available" in path:
            theirs = unlisted.uid
        elif "waitlist" in path:
            theirs = waiting["waitlist_id"]
        elif "appointments" in path and "calendar" not in path:
            theirs = booked["appointment_id"]
        elif "transcriptions/" in path:
            theirs = recorded
        elif "medical-images/" in path and "studies" not in path:
            theirs = pictured
        for someone in (patient, curious):
            answers = [
                await api.call(method, path.format(uid), someone, json=body)
                for uid in (theirs, "nobody" + secrets.token_hex(11))
            ]
            first, second = (_without_occurrence(answer) for answer in answers)
            assert first["status"] == 404
            if first != second:
                told_apart.append((method, path, first, second))
    figure("distinguishable", len(told_apart))
    assert not told_apart


def _without_occurrence(answer: httpx.Response) -> dict[str, Any]:
    body = {**answer.json(), "instance": ""}
    headers = sorted(set(answer.headers) - {"date"})
    return {"status": answer.status_code, "body": body, "headers": headers}


# ---------------------------------------------------------------- promise 3

PROTECTED = sorted({*User.model_fields, *Doctor.model_fields, "user_id", "uid", "owner", "admin"})

_VALUES = st.sampled_from(["admin", True, False, 5, "nobody", ["x"], {"role": "admin"}, None])

_BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("PUT", "/v1/users/{uid}", {"language": "de"}),
    ("PUT", "/v1/users/{uid}", {"reminders": {"channels": ["email"], "minutes_before": [60]}}),
    ("PUT", "/v1/doctors/{uid}", {"languages": ["en"]}),
    ("PUT", "/v1/doctors/{uid}", {"location": A_PROFILE["location"]}),
    ("POST", "/v1/users/me/devices", {"token": "a-token-of-a-phone", "platform": "ios"}),
    ("POST", "/v1/doctors", A_PROFILE),
    ("PUT", "/v1/doctors/{uid}/schedule", A_SCHEDULE),
]


@pytest.fixture(scope="module")
async def owner(api: Api) -> Person:
    person = await register(api, "doctor")
    await api.post("/v1/doctors", person, json=A_PROFILE)
    return person


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_p03_no_body_sets_what_is_not_its_senders_to_set(
    data: st.DataObject, owner: Person, platform: Platform
) -> None:
    method, path, body = data.draw(st.sampled_from(_BODIES))
    body = json.loads(json.dumps(body))
    nested = [value for value in body.values() if isinstance(value, dict)]
    where = data.draw(st.sampled_from([body, *nested]))
    name = data.draw(st.sampled_from(PROTECTED))
    if name in where or (where is body and name in _ALLOWED[path]):
        return
    where[name] = data.draw(_VALUES)
    answer = httpx.request(
        method, platform.url + path.format(uid=owner.uid), headers=owner.headers, json=body
    )
    assert answer.status_code in (403, 422), (path, body, answer.text)
    if answer.status_code == 422:
        assert answer.json()["errors"]


_ALLOWED = {
    "/v1/doctors/{uid}/schedule": set(Schedule.model_fields),
    "/v1/users/{uid}": {"display_name", "phone", "language", "time_zone", "reminders"},
    "/v1/doctors/{uid}": {
        *("name", "specialties", "languages", "location", "qualifications", "biography", "fee"),
        "is_accepting_patients",
    },
    "/v1/users/me/devices": {"token", "platform"},
    "/v1/doctors": {
        *("name", "specialties", "languages", "location", "qualifications", "biography", "fee"),
        "is_accepting_patients",
    },
}


async def test_p03_after_all_those_attempts_the_protected_fields_are_as_they_were(
    owner: Person, figure: Any
) -> None:
    user, profile = await users.get(owner.uid), await doctors.get(owner.uid)
    assert user
    assert profile
    protected = (user.role, user.is_active, user.email, profile.is_verified, profile.rating_count)
    figure("forbidden writes", int(protected != ("doctor", True, owner.email, False, 0)))
    assert protected == ("doctor", True, owner.email, False, 0)


# ---------------------------------------------------------------- promise 7


async def test_p07_a_demoted_disabled_or_signed_out_account_is_refused_within_30_seconds(
    api: Api, admin: Person, figure: Any
) -> None:
    """Asked of the doctors function, which hears of it only by reading the profile again."""
    demoted, disabled, gone = (
        await make_admin(api),
        await register(api, "doctor"),
        await register(api, "doctor"),
    )
    for person in (demoted, disabled, gone):
        answer = await api.put(
            "/v1/doctors/nobody/verification", person, json={"is_verified": True}
        )
        assert answer.status_code == (404 if person is demoted else 403)  # so it is cached there
    started = time.monotonic()
    await api.put(f"/v1/users/{demoted.uid}/role", admin, json={"role": "patient"})
    await api.delete(f"/v1/users/{disabled.uid}", admin)
    await api.post("/v1/logout", gone)

    async def until(person: Person, status: int) -> float:
        while time.monotonic() - started < 40:
            answer = await api.put(
                "/v1/doctors/nobody/verification", person, json={"is_verified": True}
            )
            if answer.status_code == status:
                return time.monotonic() - started
            await asyncio.sleep(0.25)
        return 99.0

    took = await asyncio.gather(until(demoted, 403), until(disabled, 401), until(gone, 401))
    figure("seconds (demoted, disabled, signed out)", ", ".join(f"{t:.1f}" for t in took))
    assert max(took) <= 31


# ---------------------------------------------------------------- promise 9


async def test_p09_sign_in_and_reset_do_not_tell_who_has_an_account(
    api: Api, patient: Person, figure: Any
) -> None:
    disabled = await register(api)
    await api.delete("/v1/users/me".replace("me", disabled.uid), disabled)
    unknown = an_email()
    wrong = "wrong password"
    sign_ins = [(unknown, wrong), (patient.email, wrong), (disabled.email, PASSWORD)]
    answers = []
    for email, password in sign_ins:
        async with api.from_elsewhere() as elsewhere:
            body = {"email": email, "password": password}
            answers.append(await elsewhere.post("/v1/login", json=body))
    resets = [
        await api.post("/v1/password-reset", json={"email": email})
        for email in (unknown, patient.email, disabled.email)
    ]
    assert {a.status_code for a in answers} == {401}
    assert {r.status_code for r in resets} == {202}
    first, *others = map(_without_occurrence, answers)
    figure("distinguishable", sum(other != first for other in others))
    assert all(other == first for other in others)
    assert {r.content for r in resets} == {b""}


async def test_p09_registration_tells_no_more_than_that_an_address_is_taken(
    api: Api, patient: Person
) -> None:
    body = {"email": patient.email, "display_name": "B", "role": "doctor"}
    answers = []
    for password in (PASSWORD, "another password"):
        async with api.from_elsewhere() as elsewhere:
            answers.append(
                await elsewhere.post("/v1/register", json={**body, "password": password})
            )
    with_right, with_wrong = map(_without_occurrence, answers)
    assert with_right["status"] == 409
    assert with_right == with_wrong
    user = await users.get(patient.uid)
    assert user is not None
    assert user.role == "patient"
