"""The six identities of the matrix, and what each is answered by every operation."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

import httpx

from common.appointments import appointments
from common.firestore import Batch
from tests.asked import a_conversation, an_entry
from tests.client import (
    Api,
    Person,
    a_listed_doctor,
    a_patient,
    a_record,
    admit,
    an_email,
    book,
    free_starts,
    make_admin,
    put_schedule,
    register,
)
from tests.pictured import an_image, announce_image
from tests.promises.matrix import IDENTITIES, ROWS, Row
from tests.recorded import A_NOTE, a_transcription, announce


@dataclass
class Six:
    """One person of each identity, and what exists between them."""

    people: dict[str, Person | None]
    words: dict[str, str]
    """What stands in braces in the matrix, of what exists between them."""

    def __getitem__(self, identity: str) -> Person:
        person = self.people[identity]
        assert person
        return person


async def six(api: Api, row: Row | None = None) -> Six:
    """For a row that is no patient's, without the patients' records."""
    admin = await make_admin(api)
    is_clinical = row is None or any(
        name in row.operation
        for name in (
            "/patients",
            "/appointments",
            "/reviews",
            "/transcriptions",
            "/medical-images",
            "/ai-interactions",
        )
    )
    a_person = a_patient if is_clinical else register
    people: dict[str, Person | None] = {
        "anonymous": None,
        "patient": await a_person(api),
        "other patient": await a_person(api),
        "doctor": await a_listed_doctor(api, admin),
        "other doctor": await a_listed_doctor(api, admin),
        "admin": admin,
    }
    found = Six(people, {})
    await put_schedule(api, found["doctor"])
    if is_clinical:
        await admit(api, found["patient"], found["doctor"])
        record = await a_record(api, found["patient"], found["doctor"])
        found.words["record_id"] = record["record_id"]
    if row is None or any(name in row.operation for name in ("/appointments", "/reviews")):
        await _meet(api, found)
    if row is None or "/transcriptions" in row.operation:
        await _record(api, found)
    if row is None or "/medical-images" in row.operation:
        await _picture(api, found)
    if row is None or "/ai-interactions" in row.operation:
        await _talk(api, found)
    return found


async def _picture(api: Api, six: Six) -> None:
    """An image that was analysed, and one whose file has not come."""
    patient, doctor = six["patient"], six["doctor"]
    awaited = await announce_image(api, doctor, patient, size_bytes=1000)
    six.words |= {
        "image_id": await an_image(patient, doctor),
        "awaited_id": awaited["image"]["image_id"],
    }


async def _talk(api: Api, six: Six) -> None:
    """A conversation of the patient's, and an entry that an answer may cite."""
    await an_entry("matrix-entry")
    six.words |= {
        "conversation_id": await a_conversation(six["patient"]),
        "entry_id": "matrix-entry",
        "new_entry_id": f"matrix-{secrets.token_hex(6)}",
    }


async def _record(api: Api, six: Six) -> None:
    """A consultation that was recorded and noted, and one whose file has not come."""
    patient, doctor = six["patient"], six["doctor"]
    recorded = await a_transcription(patient, doctor, "I have had a cough for two weeks.")
    path = f"/v1/transcriptions/{recorded}/note"
    assert (await api.put(path, doctor, json=A_NOTE)).status_code == 200
    announced = await announce(api, doctor, patient, size_bytes=1000)
    six.words |= {
        "transcription_id": recorded,
        "pending_id": announced["transcription"]["transcription_id"],
    }


async def _meet(api: Api, six: Six) -> None:
    """A visit that is over, one that lies ahead, and an offer from the waitlist."""
    patient, doctor = six["patient"], six["doctor"]
    starts = await free_starts(api, doctor)
    over, ahead = [await book(api, patient, doctor, start) for start in starts[:2]]
    given_up = await book(api, six["other patient"], doctor, starts[2])
    batch = Batch()  # as if its time had come
    batch.update(appointments.path(over["appointment_id"]), {"status": "fulfilled"})
    await batch.commit()
    wish = {"doctor_id": doctor.uid, "from": starts[2], "to": starts[4]}
    joined = await api.post("/v1/appointments/waitlist", patient, json=wish)
    path = f"/v1/appointments/{given_up['appointment_id']}"
    assert (await api.delete(path, six["other patient"])).status_code == 204
    feed = await api.post(f"/v1/appointments/calendar/{patient.uid}/feed", patient)
    six.words |= {
        "fulfilled_id": over["appointment_id"],
        "appointment_id": ahead["appointment_id"],
        "offered_id": joined.json()["waitlist_id"],
        "feed_secret": feed.json()["url"].partition("token=")[2],
        "free_start": starts[
            14
        ],  # on another day: one that has something booked costs a second try
        "later": starts[-1],
    }


async def ask(api: Api, row: Row, identity: str, six: Six) -> httpx.Response:
    """What this identity is answered for this operation."""
    patient, doctor = six["patient"], six["doctor"]
    words = {
        "user_id": patient.uid,
        "patient_id": patient.uid,
        "doctor_id": doctor.uid,
        "specialty": "cardiology",
        "token": f"token-{secrets.token_hex(12)}",
        "push_token": f"token-{secrets.token_hex(12)}",
        "email": an_email(),
        "patient_email": patient.email,
        "refresh_token": patient.refresh_token,
        **six.words,
    }
    sent: dict[str, Any] = {}
    if row.sound is not None:
        sent = {"content": bytes(32_000), "headers": {"Content-Type": row.sound}}
    body = json.dumps(row.body_for(identity))
    if "{new_doctor_id}" in body:
        words["new_doctor_id"] = (await register(api, "doctor")).uid
    for word, value in words.items():
        body = body.replace("{" + word + "}", value)
    method, path = row.operation.split()
    return await api.call(
        method,
        "/v1" + path.format(**words),
        six.people[identity],
        **(sent if row.body is None else {"json": json.loads(body)}),
    )


@dataclass(frozen=True)
class Cell:
    """One operation asked by one identity."""

    operation: str
    identity: str
    expected: int
    status: int
    request_id: str


async def ask_everything(api: Api) -> list[Cell]:
    cells = []
    shared = await six(api)
    for row in ROWS:
        for identity, expected in zip(IDENTITIES, row.statuses, strict=True):
            # Who is refused destroys nothing; if that is wrong, these tests fail anyway.
            destroys = row.is_destructive and expected < 300
            people = await six(api, row) if destroys else shared
            async with api.from_elsewhere() as elsewhere:
                answer = await ask(elsewhere, row, identity, people)
            request_id = answer.headers["x-request-id"]
            cells.append(Cell(row.operation, identity, expected, answer.status_code, request_id))
    return cells
