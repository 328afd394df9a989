"""Doctors' profiles: entering, changing, verifying, removing."""

import asyncio
import secrets
from typing import Any

import pytest

from common.auth import Principal
from common.firestore import now
from common.models import Doctor, Location, Role
from functions.doctors import policy
from tests.client import A_PROFILE, Api, Person, a_listed_doctor, register


def a_doctor(uid: str = "d1", *, is_verified: bool = True, is_active: bool = True) -> Doctor:
    doctor = Doctor(
        create_time=now(),
        update_time=now(),
        name="Dr. X",
        specialties=[],
        qualifications=[],
        languages=["en"],
        location=Location(address="a", city="b", country="DE"),
        is_verified=is_verified,
        is_active=is_active,
    )
    doctor.stored_as(uid, "")
    return doctor


OWNER, OTHER = Principal("d1", Role.DOCTOR), Principal("d2", Role.DOCTOR)
PATIENT, ADMIN = Principal("p1", Role.PATIENT), Principal("a1", Role.ADMIN)
DEMOTED = Principal("d1", Role.PATIENT)
LISTED, UNVERIFIED, REMOVED = a_doctor(), a_doctor(is_verified=False), a_doctor(is_active=False)


@pytest.mark.parametrize(
    ("who", "doctor", "may_read", "may_update"),
    [
        (None, LISTED, True, None),
        (None, UNVERIFIED, False, None),
        (None, REMOVED, False, None),
        (PATIENT, LISTED, True, False),
        (PATIENT, UNVERIFIED, False, False),
        (OTHER, UNVERIFIED, False, False),
        (OTHER, LISTED, True, False),
        (OWNER, LISTED, True, True),
        (OWNER, UNVERIFIED, True, True),
        (OWNER, REMOVED, True, False),
        (DEMOTED, LISTED, True, False),
        (ADMIN, UNVERIFIED, True, True),
        (ADMIN, REMOVED, True, True),
    ],
)
def test_who_may_read_and_change_which_profile(
    who: Principal | None, doctor: Doctor, may_read: bool, may_update: bool | None
) -> None:
    assert policy.can_read(who, doctor) is may_read
    if who is not None:
        assert policy.can_update(who, doctor) is may_update


@pytest.mark.parametrize(
    ("who", "uid", "allowed"),
    [
        (OWNER, None, True),
        (OWNER, "d1", True),
        (OWNER, "d2", False),
        (PATIENT, None, False),
        (ADMIN, "d1", True),
        (ADMIN, None, False),
    ],
)
def test_who_may_enter_a_profile_for_whom(who: Principal, uid: str | None, allowed: bool) -> None:
    assert policy.can_create(who, uid) is allowed


FULL: dict[str, Any] = {
    **A_PROFILE,
    "qualifications": [
        {
            "degree": "MD",
            "institution": "UNAM",
            "year": 2004,
            "license_number": "123",
            "license_country": "MX",
        }
    ],
    "biography": "First line.\n\nSecond paragraph.",
    "fee": {"amount": "80.00", "currency": "MXN"},
    "is_accepting_patients": False,
}


async def test_a_profile_is_entered_verified_and_then_public(
    api: Api, admin: Person, doctor: Person
) -> None:
    answer = await api.post("/v1/doctors", doctor, json=FULL)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/doctors/{doctor.uid}"
    path = f"/v1/doctors/{doctor.uid}"
    assert (await api.get(path)).status_code == 404
    assert (await api.get(path, doctor)).json()["is_verified"] is False
    verdict = {"is_verified": True, "note": "licence seen"}
    assert (await api.put(f"{path}/verification", admin, json=verdict)).status_code == 200
    public = (await api.get(path)).json()
    assert {name: public[name] for name in FULL if name != "location"} == {
        name: FULL[name] for name in FULL if name != "location"
    }
    assert public["location"]["city"] == "Oaxaca"
    assert public["rating"] == {"average": None, "count": 0}
    assert "verification_note" not in public
    own = await api.get(path, doctor)
    assert own.json()["verification_note"] == "licence seen"
    assert own.headers["cache-control"] == "private, no-cache"


async def test_taking_verification_back_hides_the_profile_at_once(api: Api, admin: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    path = f"/v1/doctors/{doctor.uid}"
    await api.put(f"{path}/verification", admin, json={"is_verified": False, "note": "expired"})
    assert (await api.get(path)).status_code == 404


async def test_an_account_has_one_profile(api: Api, doctor: Person) -> None:
    answers = await asyncio.gather(
        *(api.post("/v1/doctors", doctor, json=A_PROFILE) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    refused = next(a for a in answers if a.status_code == 409)
    assert refused.json()["type"] == "urn:healthhub:problem:doctor-exists"


async def test_an_administrator_enters_a_profile_for_a_doctors_account_only(
    api: Api, admin: Person, doctor: Person, patient: Person
) -> None:
    for user_id in (None, patient.uid, "nobody"):
        answer = await api.post("/v1/doctors", admin, json={**A_PROFILE, "user_id": user_id})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/user_id"
    answer = await api.post("/v1/doctors", admin, json={**A_PROFILE, "user_id": doctor.uid})
    assert answer.json()["doctor_id"] == doctor.uid


async def test_changes_are_found_in_the_directory(api: Api, admin: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    unique = f"Xq{secrets.token_hex(4)}"
    await api.put(f"/v1/doctors/{doctor.uid}", admin, json={"name": f"Dr. {unique}"})
    found = (await api.get("/v1/doctors", params={"q": unique})).json()["items"]
    assert [item["doctor_id"] for item in found] == [doctor.uid]
    await api.put(f"/v1/doctors/{doctor.uid}", admin, json={"specialties": ["urology"]})
    params = {"q": unique, "specialty": "cardiology"}
    assert (await api.get("/v1/doctors", params=params)).json()["items"] == []


async def test_null_removes_what_may_be_absent(api: Api, doctor: Person) -> None:
    await api.post("/v1/doctors", doctor, json=FULL)
    path = f"/v1/doctors/{doctor.uid}"
    answer = await api.put(path, doctor, json={"fee": None, "biography": None})
    assert (answer.json()["fee"], answer.json()["biography"]) == (None, None)
    assert (await api.put(path, doctor, json={"name": None})).status_code == 422


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"specialties": []}, "/specialties"),
        ({"specialties": ["astrology"]}, "/specialties/0"),
        ({"specialties": ["cardiology"] * 6}, "/specialties"),
        ({"languages": ["en"] * 7}, "/languages"),
        ({"location": {"address": "a", "city": "b", "country": "Germany"}}, "/location/country"),
        ({"location": {**A_PROFILE["location"], "latitude": 91}}, "/location/latitude"),
        ({"fee": {"amount": "-1", "currency": "EUR"}}, "/fee/amount"),
        ({"fee": {"amount": 80.5, "currency": "EUR"}}, "/fee/amount"),
        ({"fee": {"amount": "1e9", "currency": "EUR"}}, "/fee/amount"),
        ({"qualifications": [{"degree": "MD"}]}, "/qualifications/0/institution"),
        ({"biography": "x" * 5001}, "/biography"),
        ({"biography": "\ud800"}, "/biography"),
    ],
)
async def test_a_bad_field_is_named(
    api: Api, doctor: Person, change: dict[str, Any], pointer: str
) -> None:
    import json

    body = json.dumps({**A_PROFILE, **change}).encode("utf-8", "surrogatepass")
    headers = {"Content-Type": "application/json"}
    answer = await api.post("/v1/doctors", doctor, content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_removed_doctor_is_gone_for_the_public_and_can_come_back(
    api: Api, admin: Person
) -> None:
    doctor = await a_listed_doctor(api, admin)
    path = f"/v1/doctors/{doctor.uid}"
    assert (await api.delete(path, doctor)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.put(path, doctor, json={"name": "X"})).status_code == 403
    back = await api.post("/v1/doctors", doctor, json=A_PROFILE)
    assert back.status_code == 201
    assert back.json()["is_active"] is True
    assert back.json()["is_verified"] is False  # checked anew


async def test_removal_insists_on_the_version_that_was_read(api: Api, admin: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    path = f"/v1/doctors/{doctor.uid}"
    stale = (await api.get(path, doctor)).headers["etag"]
    await api.put(path, doctor, json={"name": "Dr. Changed"})
    for bad in (stale, '"garbage"', "garbage", '"1", "2"'):
        answer = await api.delete(path, doctor, headers={"If-Match": bad})
        assert answer.status_code == 412
    current = (await api.get(path, doctor)).headers["etag"]
    assert (await api.delete(path, doctor, headers={"If-Match": current})).status_code == 204
    assert (await api.delete(path, doctor)).status_code == 204  # again is no harm


async def test_who_changes_what_was_verified_must_be_verified_anew(api: Api, admin: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    path = f"/v1/doctors/{doctor.uid}"
    same = {"name": A_PROFILE["name"], "fee": {"amount": "80.00", "currency": "EUR"}}
    assert (await api.put(path, doctor, json=same)).json()["is_verified"] is True
    by_admin = await api.put(path, admin, json={"specialties": ["urology"]})
    assert by_admin.json()["is_verified"] is True
    for change in ({"name": "Dr. Other"}, {"specialties": ["oncology"]}, {"qualifications": [QUALIFIED]}):  # fmt: skip
        changed = (await api.put(path, doctor, json=change)).json()
        assert (changed["is_verified"], changed["verification_note"]) == (False, None)
        assert (await api.get(path)).status_code == 404
        await api.put(f"{path}/verification", admin, json={"is_verified": True})


QUALIFIED = {"degree": "MD", "institution": "U", "year": 2000, "license_number": "L2"}


async def test_what_was_reviewed_is_what_is_verified(
    api: Api, admin: Person, doctor: Person
) -> None:
    await api.post("/v1/doctors", doctor, json=A_PROFILE)
    path = f"/v1/doctors/{doctor.uid}"
    reviewed = (await api.get(path, admin)).headers["etag"]
    await api.put(path, doctor, json={"qualifications": [QUALIFIED]})
    answer = await api.put(
        f"{path}/verification",
        admin,
        json={"is_verified": True},
        headers={"If-Match": reviewed},
    )
    assert answer.status_code == 412
    assert (await api.get(path, doctor)).json()["is_verified"] is False


async def test_what_the_public_sees_and_what_the_doctor_sees_have_different_tags(
    api: Api, admin: Person
) -> None:
    doctor = await a_listed_doctor(api, admin)
    path = f"/v1/doctors/{doctor.uid}"
    public, own = await api.get(path), await api.get(path, doctor)
    assert public.headers["etag"] != own.headers["etag"]
    assert "authorization" in public.headers["vary"].lower()
    held = {"If-None-Match": public.headers["etag"]}
    assert (await api.get(path, doctor, headers=held)).status_code == 200
    assert (await api.get(path, headers=held)).status_code == 304


async def test_a_public_profile_costs_one_read(api: Api, admin: Person, recorder: Any) -> None:
    doctor = await a_listed_doctor(api, admin)
    with recorder.counting() as counted:
        await api.get(f"/v1/doctors/{doctor.uid}")
    assert (counted.reads, counted.writes) == (1, 0)


async def test_a_patient_enters_no_profile(api: Api) -> None:
    patient = await register(api)
    answer = await api.post("/v1/doctors", patient, json=A_PROFILE)
    assert answer.status_code == 403
