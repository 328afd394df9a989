"""Profiles, roles, lists and devices, through the gateway."""

import secrets
from typing import Any

import pytest

from common import identity
from common.auth import Principal
from common.firestore import Collection
from common.models import Device, Role
from functions.users import policy
from tests.client import Api, Person, a_listed_doctor, make_admin, register, sign_in
from tests.recorder import Recorder

devices = Collection(Device, "users/{}/devices")

PATIENT, DOCTOR, ADMIN = (Principal(role.value, role) for role in Role)


@pytest.mark.parametrize(
    ("who", "uid", "allowed"),
    [
        (PATIENT, "patient", True),
        (PATIENT, "doctor", False),
        (DOCTOR, "doctor", True),
        (DOCTOR, "patient", False),
        (ADMIN, "patient", True),
        (ADMIN, "admin", True),
    ],
)
def test_people_read_change_and_close_their_own_account_and_admins_any(
    who: Principal, uid: str, allowed: bool
) -> None:
    assert policy.can_read(who, uid) is allowed
    assert policy.can_update(who, uid) is allowed
    assert policy.can_deactivate(who, uid) is allowed


@pytest.mark.parametrize(
    ("who", "uid", "allowed"),
    [(ADMIN, "patient", True), (ADMIN, "admin", False), (DOCTOR, "patient", False)],
)
def test_admins_change_roles_but_not_their_own(who: Principal, uid: str, allowed: bool) -> None:
    assert policy.can_change_role(who, uid) is allowed


async def test_a_profile_costs_one_read_and_its_audit_write(
    api: Api, patient: Person, recorder: Recorder
) -> None:
    await api.get("/v1/users/me", patient)  # so that the account is known to the instance
    with recorder.counting() as counted:
        await api.get("/v1/users/me", patient)
    assert (counted.reads, counted.writes) == (1, 1)


@pytest.mark.parametrize(
    "wish",
    [
        {"display_name": "محمد الأحمد"},
        {"display_name": "王小明"},
        {"display_name": "Zoë d’Arcy-O’Neill"},
        {"phone": "+491701234567"},
        {"phone": None},
        {"language": "zh-Hant-TW"},
        {"time_zone": "Asia/Kolkata"},
        {"reminders": {"channels": ["push"], "minutes_before": [2880, 15]}},
        {},
    ],
)
async def test_what_is_changed_is_what_is_read_and_the_rest_stays(
    api: Api, patient: Person, wish: dict[str, Any]
) -> None:
    before = (await api.get("/v1/users/me", patient)).json()
    answer = await api.put(f"/v1/users/{patient.uid}", patient, json=wish)
    after = (await api.get("/v1/users/me", patient)).json()
    assert answer.status_code == 200
    assert answer.json() == after
    assert after == {**before, **wish, "update_time": after["update_time"]}


async def test_two_spellings_of_one_name_are_stored_as_one(api: Api, patient: Person) -> None:
    decomposed = "Jose\u0301 Mun\u0303oz"
    answer = await api.put(f"/v1/users/{patient.uid}", patient, json={"display_name": decomposed})
    assert answer.json()["display_name"] == "José Muñoz"


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"display_name": ""}, "/display_name"),
        ({"display_name": " \t "}, "/display_name"),
        ({"display_name": "two\nlines"}, "/display_name"),
        ({"display_name": "nul\x00"}, "/display_name"),
        ({"display_name": "x" * 201}, "/display_name"),
        ({"display_name": None}, "/display_name"),
        ({"display_name": 5}, "/display_name"),
        ({"phone": "12"}, "/phone"),
        ({"phone": "not a number"}, "/phone"),
        ({"language": "Klingon"}, "/language"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone"),
        ({"reminders": {"channels": ["smoke"]}}, "/reminders/channels/0"),
        ({"reminders": {"minutes_before": [1]}}, "/reminders/minutes_before/0"),
        ({"reminders": {"colour": "red"}}, "/reminders/colour"),
        ({"dispaly_name": "typo"}, "/dispaly_name"),
    ],
)
async def test_a_bad_field_is_named(
    api: Api, patient: Person, wish: dict[str, Any], pointer: str
) -> None:
    answer = await api.put(f"/v1/users/{patient.uid}", patient, json=wish)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert all(error["detail"] for error in answer.json()["errors"])


async def test_a_new_role_counts_at_once_and_is_in_the_next_token(
    api: Api, admin: Person, patient: Person
) -> None:
    answer = await api.put(f"/v1/users/{patient.uid}/role", admin, json={"role": "admin"})
    assert answer.json()["role"] == "admin"
    assert (await api.get("/v1/users", patient)).status_code == 200  # with the old token
    session = await identity.sign_in(patient.email, "correct horse battery")
    import jwt

    claims = jwt.decode(session.id_token, options={"verify_signature": False})
    assert claims["role"] == "admin"


async def test_nobody_changes_their_own_role(api: Api) -> None:
    admin = await make_admin(api)
    answer = await api.put(f"/v1/users/{admin.uid}/role", admin, json={"role": "patient"})
    assert answer.json()["type"] == "urn:healthhub:problem:own-role"


async def test_a_doctor_who_becomes_a_patient_leaves_the_directory(api: Api, admin: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    await api.put(f"/v1/users/{doctor.uid}/role", admin, json={"role": "patient"})
    assert (await api.get(f"/v1/doctors/{doctor.uid}")).status_code == 404


async def test_accounts_are_listed_page_by_page_sorted_by_time(api: Api, admin: Person) -> None:
    made = [await register(api) for _ in range(5)]
    seen: list[str] = []
    path = "/v1/users?page_size=2&role=patient"
    token = ""
    while len(seen) < 5:
        page = (await api.get(f"{path}&page_token={token}" if token else path, admin)).json()
        assert len(page["items"]) == 2
        seen += [item["user_id"] for item in page["items"]]
        token = page["next_page_token"]
    assert seen[:5] == [person.uid for person in reversed(made)]
    assert len(set(seen)) == len(seen)


async def test_accounts_are_found_by_their_address(api: Api, admin: Person) -> None:
    person = await register(api)
    found = await api.get("/v1/users", admin, params={"email": person.email.upper()})
    assert [item["user_id"] for item in found.json()["items"]] == [person.uid]
    assert found.json()["next_page_token"] is None
    nobody = await api.get("/v1/users", admin, params={"email": "nobody@example.test"})
    assert nobody.json() == {"items": [], "next_page_token": None}


async def test_a_list_page_costs_its_rows_and_one(
    api: Api, admin: Person, recorder: Recorder
) -> None:
    await register(api)
    await api.get("/v1/users?page_size=1", admin)
    with recorder.counting() as counted:
        await api.get("/v1/users?page_size=1", admin)
    assert (counted.reads, counted.writes) == (2, 1)


# ---------------------------------------------------------------- devices


def a_device(**fields: Any) -> dict[str, Any]:
    return {"token": f"phone-{secrets.token_hex(12)}", "platform": "android", **fields}


async def test_a_device_is_added_and_removed(api: Api, patient: Person) -> None:
    body = a_device()
    answer = await api.post("/v1/users/me/devices", patient, json=body)
    assert answer.status_code == 201
    assert answer.json()["platform"] == "android"
    assert await devices.get(patient.uid, body["token"]) is not None
    for _ in range(2):  # the second finds nothing, which is no error
        gone = await api.delete(f"/v1/users/me/devices/{body['token']}", patient)
        assert gone.status_code == 204
    assert await devices.get(patient.uid, body["token"]) is None


async def test_a_phone_that_changes_hands_notifies_its_new_owner_only(
    api: Api, patient: Person
) -> None:
    body = a_device()
    await api.post("/v1/users/me/devices", patient, json=body)
    new_owner = await register(api)
    await api.post("/v1/users/me/devices", new_owner, json=body)
    assert await devices.get(patient.uid, body["token"]) is None
    assert await devices.get(new_owner.uid, body["token"]) is not None


async def test_an_account_has_20_devices_at_most(api: Api, patient: Person) -> None:
    statuses = [
        (await api.post("/v1/users/me/devices", patient, json=a_device())).status_code
        for _ in range(21)
    ]
    assert statuses == [201] * 20 + [409]


async def test_a_device_can_be_added_again_even_when_there_are_20(
    api: Api, patient: Person
) -> None:
    bodies = [a_device() for _ in range(20)]
    for body in bodies:
        await api.post("/v1/users/me/devices", patient, json=body)
    again = await api.post("/v1/users/me/devices", patient, json=bodies[0])
    assert again.status_code == 201


@pytest.mark.parametrize(
    "token", ["short", "with space and more", "__reserved_name_of_docs__", "a/b" * 9]
)
async def test_a_push_token_that_is_none_is_refused(api: Api, patient: Person, token: str) -> None:
    answer = await api.post("/v1/users/me/devices", patient, json=a_device(token=token))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/token"


async def test_an_old_token_still_signs_out_its_own_person_only(api: Api) -> None:
    one, other = await register(api), await register(api)
    await api.post("/v1/logout", one)
    assert (await api.get("/v1/users/me", other)).status_code == 200
    assert (await api.get("/v1/users/me", await sign_in(api, one.email))).status_code == 200
