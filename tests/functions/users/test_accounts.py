"""Registration, sign-in, renewal, sign-out and closing, through the gateway."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest

from common import identity
from common.auth import users
from common.problems import EmailTaken, SignInRefused
from local.platform import PROJECT, Platform
from local.ports import HOST
from local.processes import Children
from tests.client import PASSWORD, Api, Person, a_listed_doctor, an_email, register, sign_in
from tests.processes import an_instance, answers
from tests.recorder import Recorder


def registration(**fields: Any) -> dict[str, Any]:
    return {
        "email": an_email(),
        "password": PASSWORD,
        "display_name": "Ana García",
        "role": "patient",
        **fields,
    }


async def test_many_who_register_at_once_at_an_instance_that_is_new_all_can(
    platform: Platform, recorder: Recorder, tmp_path: Path
) -> None:
    children = Children(tmp_path)
    database = {"FIRESTORE_EMULATOR_HOST": recorder.address}
    _, url = an_instance(platform, children, "users", database)
    try:
        async with Api(url) as new:
            await answers(new)
            made = await asyncio.gather(*(register(new) for _ in range(8)))
    finally:
        children.end()
    assert len({person.uid for person in made}) == 8


async def test_a_patient_registers_and_is_signed_in(api: Api) -> None:
    body = registration(phone="+34 612 34 56 78")
    async with api.from_elsewhere() as elsewhere:
        answer = await elsewhere.post("/v1/register", json=body)
    signed_in = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/users/{signed_in['user']['user_id']}"
    assert signed_in["user"]["phone"] == "+34612345678"
    assert signed_in["user"]["role"] == "patient"
    assert signed_in["expires_in"] == 3600
    claims = jwt.decode(signed_in["id_token"], options={"verify_signature": False})
    assert claims["role"] == "patient"


async def test_an_address_registers_once_however_it_is_spelled(api: Api, patient: Person) -> None:
    async with api.from_elsewhere() as elsewhere:
        answer = await elsewhere.post(
            "/v1/register",
            json=registration(email=patient.email.upper(), password="something else"),
        )
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:healthhub:problem:email-taken"


async def test_of_racing_registrations_of_one_address_one_wins(api: Api) -> None:
    body = registration()
    async with api.from_elsewhere() as elsewhere:
        answers = await asyncio.gather(
            *(elsewhere.post("/v1/register", json=body) for _ in range(15))
        )
    # Each of the others tries the password to see whether it may complete a broken registration.
    # That is counted as any sign-in is, so of too many at once some are told to wait.
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1
    assert set(statuses) <= {201, 409, 429}
    assert len(await users.find(where=[("email", "==", body["email"])], limit=3)) == 1
    await sign_in(api, body["email"])


def _creates_a_profile(commit: Any) -> bool:
    return any("/documents/users/" in write.update.name for write in commit.writes)


async def test_a_registration_whose_profile_cannot_be_stored_leaves_no_account(
    api: Api, recorder: Recorder
) -> None:
    body = registration()
    async with api.from_elsewhere() as elsewhere:
        with recorder.broken("Commit", grpc.StatusCode.UNAVAILABLE, _creates_a_profile) as fault:
            broken = await elsewhere.post("/v1/register", json=body)
        assert fault.hits == 1
        assert broken.status_code == 503
        with pytest.raises(SignInRefused):
            await identity.sign_in(body["email"], PASSWORD)
        again = await elsewhere.post("/v1/register", json={**body, "password": "another one now"})
    assert again.status_code == 201


async def test_a_registration_whose_answer_from_the_store_was_lost_is_complete(
    api: Api, recorder: Recorder
) -> None:
    body = registration()
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    async with api.from_elsewhere() as elsewhere:
        with recorder.broken(
            "Commit", grpc.StatusCode.UNAVAILABLE, _creates_a_profile, is_after=True
        ):
            lost = await elsewhere.post("/v1/register", json=body, headers=headers)
        again = await elsewhere.post("/v1/register", json=body, headers=headers)
    assert lost.status_code == 503
    assert again.status_code == 201
    person = await sign_in(api, body["email"])
    assert person.uid == again.json()["user"]["user_id"]
    assert person.user["display_name"] == "Ana García"


async def test_a_registration_that_failed_can_be_repeated_with_its_key(
    api: Api, recorder: Recorder
) -> None:
    body = registration()
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    async with api.from_elsewhere() as elsewhere:
        with recorder.broken("Commit", grpc.StatusCode.UNAVAILABLE, _creates_a_profile):
            failed = await elsewhere.post("/v1/register", json=body, headers=headers)
        again = await elsewhere.post("/v1/register", json=body, headers=headers)
    assert (failed.status_code, again.status_code) == (503, 201)


async def test_a_registration_that_died_half_way_is_completed_by_its_repetition(api: Api) -> None:
    body = registration(role="doctor")
    uid = await identity.create_account(body["email"], PASSWORD, "Half Made")  # and then the crash
    async with api.from_elsewhere() as elsewhere:
        other = await elsewhere.post("/v1/register", json={**body, "password": "not the same one"})
        answer = await elsewhere.post("/v1/register", json=body)
    assert other.status_code == 409
    assert answer.status_code == 201
    assert answer.json()["user"]["user_id"] == uid
    assert answer.json()["user"]["role"] == "doctor"


async def test_an_account_without_profile_is_told_to_register(api: Api) -> None:
    email = an_email()
    await identity.create_account(email, PASSWORD, "No Profile")
    answer = await api.post("/v1/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 403
    session = await identity.sign_in(email, PASSWORD)
    headers = {"Authorization": f"Bearer {session.id_token}"}
    answer = await api.get("/v1/users/me", headers=headers)
    assert answer.json()["type"] == "urn:healthhub:problem:profile-missing"


async def test_who_has_a_second_factor_is_told_where_to_sign_in(
    api: Api, platform: Platform, patient: Person
) -> None:
    emulator = f"http://{HOST}:{platform.ports.auth}/identitytoolkit.googleapis.com"
    owner = {"Authorization": "Bearer owner"}
    phone = {"phoneInfo": "+15555550100", "mfaEnrollmentId": "phone"}
    async with httpx.AsyncClient(headers=owner) as console:
        enrolled = await console.post(
            f"{emulator}/v1/projects/{PROJECT}/accounts:update",
            json={"localId": patient.uid, "emailVerified": True, "mfa": {"enrollments": [phone]}},
        )
        assert enrolled.status_code == 200, enrolled.text
    body = {"email": patient.email, "password": PASSWORD}
    answer = await api.post("/v1/login", json=body)
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("second-factor-required")
    wrong = await api.post("/v1/login", json={**body, "password": "wrong password"})
    assert wrong.json()["type"].endswith("sign-in-refused")


async def test_sign_in_accepts_the_address_in_any_case(api: Api, patient: Person) -> None:
    person = await sign_in(api, f" {patient.email.upper()} ")
    assert person.uid == patient.uid


async def test_repeated_failures_are_slowed_down(api: Api, patient: Person) -> None:
    body = {"email": patient.email, "password": "wrong password"}
    took = []
    async with api.from_elsewhere() as elsewhere:
        for _ in range(8):
            answer = await elsewhere.post("/v1/login", json=body)
            assert answer.status_code == 401
            took.append(answer.elapsed.total_seconds())
    assert took[7] >= 0.4 * 3  # the eighth waits three steps, by the clock of the one who asks


async def test_a_session_is_renewed(api: Api, patient: Person) -> None:
    answer = await api.post("/v1/refresh-token", json={"refresh_token": patient.refresh_token})
    assert answer.status_code == 200
    renewed = {"Authorization": f"Bearer {answer.json()['id_token']}"}
    assert (await api.get("/v1/users/me", headers=renewed)).json()["user_id"] == patient.uid


async def test_garbage_does_not_renew_a_session(api: Api) -> None:
    for garbage in ("garbage", "e30", "ы", secrets.token_urlsafe(300)):
        answer = await api.post("/v1/refresh-token", json={"refresh_token": garbage})
        assert answer.status_code == 401


async def test_sign_out_ends_the_session_and_its_renewal(api: Api, patient: Person) -> None:
    assert (await api.post("/v1/logout", patient)).status_code == 204
    after = await api.get("/v1/users/me", patient)
    assert after.json()["type"] == "urn:healthhub:problem:token-revoked"
    renewed = await api.post("/v1/refresh-token", json={"refresh_token": patient.refresh_token})
    assert renewed.status_code == 401


async def test_signing_in_right_after_signing_out_gives_a_session_that_works(
    api: Api, patient: Person
) -> None:
    await api.post("/v1/logout", patient)
    again = await sign_in(api, patient.email)
    assert (await api.get("/v1/users/me", again)).status_code == 200


async def test_a_closed_account_is_out_at_once_and_cannot_sign_in(
    api: Api, patient: Person
) -> None:
    assert (await api.delete(f"/v1/users/{patient.uid}", patient)).status_code == 204
    after = await api.get("/v1/users/me", patient)
    assert after.json()["type"] == "urn:healthhub:problem:account-disabled"
    body = {"email": patient.email, "password": PASSWORD}
    assert (await api.post("/v1/login", json=body)).status_code == 401
    renewal = {"refresh_token": patient.refresh_token}
    assert (await api.post("/v1/refresh-token", json=renewal)).status_code == 401
    stored = await users.get(patient.uid)
    assert stored is not None  # kept: clinical records refer to it
    with pytest.raises(EmailTaken):
        await identity.create_account(patient.email, PASSWORD, "Somebody")


async def test_closing_a_doctors_account_takes_them_out_of_the_directory(
    api: Api, admin: Person
) -> None:
    doctor = await a_listed_doctor(api, admin, name="Dr. Leaving")
    assert (await api.delete(f"/v1/users/{doctor.uid}", doctor)).status_code == 204
    assert (await api.get(f"/v1/doctors/{doctor.uid}")).status_code == 404
    listed = (await api.get("/v1/doctors?q=leaving")).json()["items"]
    assert doctor.uid not in [item["doctor_id"] for item in listed]


async def test_closing_insists_on_the_version_that_was_read(api: Api, patient: Person) -> None:
    read = await api.get("/v1/users/me", patient)
    await api.put(f"/v1/users/{patient.uid}", patient, json={"language": "es"})
    stale = {"If-Match": read.headers["etag"]}
    answer = await api.delete(f"/v1/users/{patient.uid}", patient, headers=stale)
    assert answer.status_code == 412
    assert (await api.get("/v1/users/me", patient)).status_code == 200


async def test_a_failed_close_can_be_done_again(
    api: Api, patient: Person, recorder: Recorder
) -> None:
    with recorder.broken("Commit"):
        failed = await api.delete(f"/v1/users/{patient.uid}", patient)
    again = await api.delete(f"/v1/users/{patient.uid}", patient)
    assert (failed.status_code, again.status_code) == (503, 204)


async def test_a_reset_mail_is_sent_to_who_has_an_account(
    api: Api, patient: Person, platform: Any
) -> None:
    await api.post("/v1/password-reset", json={"email": patient.email})
    codes = f"http://127.0.0.1:{platform.ports.auth}/emulator/v1/projects/demo-healthhub/oobCodes"
    sent = (await api.get(codes)).json()["oobCodes"]
    assert [c["requestType"] for c in sent if c["email"] == patient.email] == ["PASSWORD_RESET"]


@pytest.mark.usefixtures("within_a_window")
async def test_reset_mails_to_one_address_are_limited(api: Api) -> None:
    body = {"email": an_email()}
    statuses = [(await api.post("/v1/password-reset", json=body)).status_code for _ in range(7)]
    assert statuses == [202] * 5 + [429] * 2


async def test_the_sign_in_service_being_down_is_503(api: Api, patient: Person) -> None:
    import os

    before = os.environ["FIREBASE_AUTH_EMULATOR_HOST"]
    os.environ["FIREBASE_AUTH_EMULATOR_HOST"] = "127.0.0.1:1"  # nobody listens there
    try:
        from common.problems import IdentityUnavailable

        with pytest.raises(IdentityUnavailable):
            await identity.sign_in(patient.email, PASSWORD)
        assert not await identity.is_reachable()
    finally:
        os.environ["FIREBASE_AUTH_EMULATOR_HOST"] = before


async def test_a_racing_pair_of_sign_out_and_sign_in_never_leaves_a_dead_session(api: Api) -> None:
    person = await register(api)
    for _ in range(3):
        await api.post("/v1/logout", person)
        person = await sign_in(api, person.email)
        assert (await api.get("/v1/users/me", person)).status_code == 200


@pytest.mark.usefixtures("within_a_window")
async def test_passwords_can_not_be_guessed_by_registering(api: Api, patient: Person) -> None:
    body = {"email": patient.email, "display_name": "A", "role": "patient"}
    async with api.from_elsewhere() as elsewhere:
        statuses = [
            (await elsewhere.post("/v1/register", json={**body, "password": f"guess {n} guess"})).status_code
            for n in range(12)
        ]  # fmt: skip
        assert statuses[:10] == [409] * 10
        assert statuses[10:] == [429] * 2
        right = {"email": patient.email, "password": PASSWORD}
        assert (await elsewhere.post("/v1/login", json=right)).status_code == 429
    await sign_in(api, patient.email)  # the owner, from elsewhere


@pytest.mark.parametrize("email", ["müller@example.test", "a@xn--bcher-kva.example.test"])
async def test_an_address_that_may_have_no_account_is_a_clear_refusal(api: Api, email: str) -> None:
    async with api.from_elsewhere() as elsewhere:
        answer = await elsewhere.post("/v1/register", json={**registration(), "email": email})
    assert answer.status_code in (201, 409, 422)


async def test_a_role_is_changed_only_as_it_was_read(
    api: Api, patient: Person, admin: Person
) -> None:
    path = f"/v1/users/{patient.uid}"
    stale = (await api.get(path, patient)).headers["etag"]
    await api.put(path, patient, json={"language": "de"})
    headers = {"If-Match": stale}
    answer = await api.put(f"{path}/role", admin, json={"role": "admin"}, headers=headers)
    assert answer.status_code == 412
    assert (await api.get(path, patient)).json()["role"] == "patient"


async def test_a_tag_that_firestore_could_not_have_given_is_refused(
    api: Api, patient: Person
) -> None:
    headers = {"If-Match": '"1.000000001"'}
    answer = await api.put(f"/v1/users/{patient.uid}", patient, json={}, headers=headers)
    assert answer.status_code == 412
