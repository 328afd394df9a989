"""What a mobile app would do, in one word each, for tests."""

import itertools
import secrets
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import httpx

from common.models import Role

PASSWORD = "correct horse battery"
EMAIL_DOMAIN = "@example.test"

# Shared, and never used: to make one for each of thousands of clients would take minutes.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

ADDRESSES = (f"127.{a}.{b}.{c}" for a, b, c in itertools.product(range(1, 250), repeat=3))
"""Loopback ones; whoever takes the next meets no limit that another used up."""


@dataclass
class Person:
    uid: str
    email: str
    role: str
    id_token: str
    refresh_token: str
    user: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.id_token}"}


class Api:
    """Requests through the gateway; each new one comes from a loopback address of its own.

    So no test meets the limits that another test used up.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        transport = httpx.AsyncHTTPTransport(local_address=next(ADDRESSES), verify=_NO_TLS)
        self.http = httpx.AsyncClient(base_url=url, transport=transport, timeout=30)

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.http.aclose()

    def from_elsewhere(self) -> "Api":
        """The same platform, asked from another address."""
        return Api(self.url)

    async def call(
        self, method: str, path: str, person: Person | None = None, **kwargs: Any
    ) -> httpx.Response:
        headers = {**(person.headers if person else {}), **kwargs.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **kwargs)

    async def get(self, path: str, person: Person | None = None, **kwargs: Any) -> httpx.Response:
        return await self.call("GET", path, person, **kwargs)

    async def post(self, path: str, person: Person | None = None, **kwargs: Any) -> httpx.Response:
        return await self.call("POST", path, person, **kwargs)

    async def put(self, path: str, person: Person | None = None, **kwargs: Any) -> httpx.Response:
        return await self.call("PUT", path, person, **kwargs)

    async def delete(
        self, path: str, person: Person | None = None, **kwargs: Any
    ) -> httpx.Response:
        return await self.call("DELETE", path, person, **kwargs)


def an_email() -> str:
    return f"{secrets.token_hex(6)}{EMAIL_DOMAIN}"


async def register(api: Api, role: str = "patient", **fields: Any) -> Person:
    """A new person, from an address of their own."""
    async with api.from_elsewhere() as elsewhere:
        body = {
            "email": an_email(),
            "password": PASSWORD,
            "display_name": "Ana García",
            "role": role,
            **fields,
        }
        answer = await elsewhere.post("/v1/register", json=body)
    assert answer.status_code == 201, answer.text
    return person_of(answer.json())


async def make_admin(api: Api) -> Person:
    """An administrator, made as the operator's command makes the first one."""
    from ops.grant_role import grant_role

    person = await register(api, "patient")
    await grant_role(person.email, Role.ADMIN)
    return await sign_in(api, person.email)


A_PROFILE: dict[str, Any] = {
    "name": "Dr. Inés García",
    "specialties": ["cardiology"],
    "languages": ["es-MX", "en"],
    "location": {"address": "1 High Street", "city": "Oaxaca", "country": "MX"},
}


async def a_listed_doctor(api: Api, admin: Person, **fields: Any) -> Person:
    """A doctor whose profile is entered and verified."""
    person = await register(api, "doctor")
    answer = await api.post("/v1/doctors", person, json={**A_PROFILE, **fields})
    assert answer.status_code == 201, answer.text
    verified = {"is_verified": True, "note": "licence seen"}
    answer = await api.put(f"/v1/doctors/{person.uid}/verification", admin, json=verified)
    assert answer.status_code == 200, answer.text
    return person


A_PATIENT: dict[str, Any] = {
    "name": "Ana García",
    "birth_date": "1984-05-06",
    "sex": "female",
    "national_id": "canary-id-1",
    "blood_type": "O+",
    "contacts": {"phone": "+34 612 345 678", "email": "canary@example.test"},
    "address": {"lines": ["canary street 1"], "city": "Oaxaca", "country": "MX"},
    "allergies": [{"substance": "canary penicillin", "reaction": "hives", "severity": "severe"}],
    "conditions": [{"name": "Asthma", "code": {"system": "snomed", "value": "195967001"}}],
    "medications": [{"name": "Salbutamol", "dosage": "2 puffs", "started_on": "2020-01-02"}],
    "insurance": [{"provider": "AOK", "member_id": "canary-member"}],
    "emergency_contacts": [{"name": "canary", "relationship": "mother", "phone": "+34612345679"}],
}

A_RECORD: dict[str, Any] = {
    "type": "lab_result",
    "title": "canary HbA1c",
    "description": "canary: within the range",
    "occurred_on": "2026-01-05",
    "code": {"system": "loinc", "value": "4548-4"},
    "values": [{"name": "HbA1c", "value": "5.40", "unit": "%", "low": "4.0", "high": "5.6"}],
}


A_SCHEDULE: dict[str, Any] = {
    "time_zone": "Europe/Berlin",
    "slot_minutes": 30,
    "weekly": {
        day: [{"start": "09:00", "end": "12:00"}, {"start": "14:00", "end": "17:00"}]
        for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    },
    "min_notice_hours": 2,
    "max_days_ahead": 90,
}
"""Every day of the week, so that no test depends on the day on which it runs."""


async def a_bookable_doctor(api: Api, admin: Person, **schedule: Any) -> Person:
    """A listed doctor with a schedule."""
    doctor = await a_listed_doctor(api, admin)
    await put_schedule(api, doctor, **schedule)
    return doctor


async def put_schedule(api: Api, doctor: Person, **schedule: Any) -> dict[str, Any]:
    path = f"/v1/doctors/{doctor.uid}/schedule"
    answer = await api.put(path, doctor, json={**A_SCHEDULE, **schedule})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def free_starts(api: Api, doctor: Person, **query: Any) -> list[str]:
    """When the doctor's free slots begin; a week's, if nothing else is asked.

    From the day after tomorrow on: at night, tomorrow's first are so near that a visit could begin.
    """
    query.setdefault("from", (datetime.now(UTC).date() + timedelta(days=2)).isoformat())
    answer = await api.get(f"/v1/appointments/available/{doctor.uid}", params=query)
    assert answer.status_code == 200, answer.text
    return [slot["start"] for slot in answer.json()["items"]]


async def try_to_book(
    api: Api, someone: Person, doctor: Person, start: str, **fields: Any
) -> httpx.Response:
    body = {
        "doctor_id": doctor.uid,
        "start": start,
        "type": "in_person",
        "reason": "canary: a cough that stays",
        **fields,
    }
    headers = fields.pop("headers", {})
    body.pop("headers", None)
    return await api.post("/v1/appointments", someone, json=body, headers=headers)


async def book(
    api: Api, someone: Person, doctor: Person, start: str, **fields: Any
) -> dict[str, Any]:
    """An appointment, as the one who books it is shown it, with its `etag`."""
    answer = await try_to_book(api, someone, doctor, start, **fields)
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


async def a_patient(api: Api, **fields: Any) -> Person:
    """A patient with a record; its id is their uid."""
    person = await register(api)
    answer = await api.post("/v1/patients", person, json={**A_PATIENT, **fields})
    assert answer.status_code == 201, answer.text
    return person


async def admit(api: Api, patient: Person, doctor: Person, **fields: Any) -> None:
    """Put a doctor on the patient's care team."""
    path = f"/v1/patients/{patient.uid}/care-team/{doctor.uid}"
    answer = await api.put(path, patient, json=fields)
    assert answer.status_code == 200, answer.text


async def a_record(api: Api, patient: Person, author: Person, **fields: Any) -> dict[str, Any]:
    """An entry in the patient's history, as the author is shown it, with its `etag`."""
    path = f"/v1/patients/{patient.uid}/history"
    answer = await api.post(path, author, json={**A_RECORD, **fields})
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


async def sign_in(api: Api, email: str, password: str = PASSWORD) -> Person:
    async with api.from_elsewhere() as elsewhere:
        answer = await elsewhere.post("/v1/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return person_of(answer.json())


def person_of(signed_in: dict[str, Any]) -> Person:
    user = signed_in["user"]
    return Person(
        user["user_id"],
        user["email"],
        user["role"],
        signed_in["id_token"],
        signed_in["refresh_token"],
        user,
    )
