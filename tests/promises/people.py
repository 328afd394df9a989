"""The six identities of the matrix, and what each is answered by every operation."""

import json
import secrets
from dataclasses import dataclass

import httpx

from tests.client import (
    Api,
    Person,
    a_listed_doctor,
    a_patient,
    a_record,
    admit,
    an_email,
    make_admin,
    register,
)
from tests.promises.matrix import IDENTITIES, ROWS, Row


@dataclass
class Six:
    """One person of each identity, and what exists between them."""

    people: dict[str, Person | None]
    record_id: str

    def __getitem__(self, identity: str) -> Person:
        person = self.people[identity]
        assert person
        return person


async def six(api: Api, row: Row | None = None) -> Six:
    """For a row that is no patient's, without the patients' records."""
    admin = await make_admin(api)
    is_clinical = row is None or "/patients" in row.operation
    a_person = a_patient if is_clinical else register
    people: dict[str, Person | None] = {
        "anonymous": None,
        "patient": await a_person(api),
        "other patient": await a_person(api),
        "doctor": await a_listed_doctor(api, admin),
        "other doctor": await a_listed_doctor(api, admin),
        "admin": admin,
    }
    found = Six(people, "")
    if is_clinical:
        await admit(api, found["patient"], found["doctor"])
        record = await a_record(api, found["patient"], found["doctor"])
        found.record_id = record["record_id"]
    return found


async def ask(api: Api, row: Row, identity: str, six: Six) -> httpx.Response:
    """What this identity is answered for this operation."""
    patient, doctor = six["patient"], six["doctor"]
    words = {
        "user_id": patient.uid,
        "patient_id": patient.uid,
        "record_id": six.record_id,
        "doctor_id": doctor.uid,
        "specialty": "cardiology",
        "token": f"token-{secrets.token_hex(12)}",
        "push_token": f"token-{secrets.token_hex(12)}",
        "email": an_email(),
        "patient_email": patient.email,
        "refresh_token": patient.refresh_token,
    }
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
        **({} if row.body is None else {"json": json.loads(body)}),
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
