"""Promises 10, 11, 12 and 14: limits, idempotency and updates when many come at once."""

import asyncio
import secrets
from collections import Counter
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import sampled_from

from common.auth import users
from common.firestore import Collection
from common.models import Device, Doctor
from local.platform import Platform
from tests.client import A_PROFILE, PASSWORD, Api, Person, an_email, register, sign_in
from tests.recorder import Recorder

doctors = Collection(Doctor, "doctors")
devices = Collection(Device, "users/{}/devices")


# ---------------------------------------------------------------- promise 10


@pytest.mark.usefixtures("within_a_window")
async def test_p10_of_50_parallel_sign_in_attempts_exactly_the_allowed_ones_pass(
    api: Api, patient: Person, figure: Any
) -> None:
    body = {"email": patient.email, "password": "wrong password"}
    async with api.from_elsewhere() as elsewhere:
        answers = await asyncio.gather(*(elsewhere.post("/v1/login", json=body) for _ in range(50)))
        right = await elsewhere.post("/v1/login", json={**body, "password": PASSWORD})
    counts = Counter(answer.status_code for answer in answers)
    figure("overshoot %", (counts[401] - 10) * 10)
    assert counts == {401: 10, 429: 40}
    assert right.status_code == 429  # the address is stopped, right password or not
    assert int(right.headers["retry-after"]) >= 1
    await sign_in(api, patient.email)  # the owner, from elsewhere, is not locked out


@pytest.mark.usefixtures("within_a_window")
async def test_p10_who_is_stopped_uses_up_nothing_of_the_accounts_owner(
    api: Api, patient: Person
) -> None:
    """The owner signs in from elsewhere in the very middle of the attempts, and after them."""
    body = {"email": patient.email, "password": "wrong password"}
    async with api.from_elsewhere() as elsewhere:
        attempts = [asyncio.create_task(elsewhere.post("/v1/login", json=body)) for _ in range(150)]
        await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
        await sign_in(api, patient.email)
        counts = Counter(answer.status_code for answer in await asyncio.gather(*attempts))
    assert counts[401] == 10
    await sign_in(api, patient.email)


async def test_p10_successful_sign_ins_are_not_counted(api: Api, patient: Person) -> None:
    body = {"email": patient.email, "password": PASSWORD}
    async with api.from_elsewhere() as elsewhere:
        for _ in range(12):
            assert (await elsewhere.post("/v1/login", json=body)).status_code == 200


async def test_p10_sign_in_fails_closed_when_attempts_cannot_be_counted(
    api: Api, patient: Person, recorder: Recorder
) -> None:
    with recorder.broken("Commit"):
        answer = await api.post("/v1/login", json={"email": patient.email, "password": PASSWORD})
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


# ---------------------------------------------------------------- promise 11


async def test_p11_a_hundred_racing_requests_with_one_key_have_one_effect(
    api: Api, doctor: Person, figure: Any
) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    answers = await asyncio.gather(
        *(api.post("/v1/doctors", doctor, json=A_PROFILE, headers=headers) for _ in range(100))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1
    replayed = sum("idempotent-replayed" in answer.headers for answer in answers)
    figure("effects per key", 100 - replayed)
    assert replayed == 99


async def test_p11_a_hundred_racing_registrations_with_one_key_make_one_account(
    api: Api, figure: Any
) -> None:
    email = an_email()
    body = {"email": email, "password": PASSWORD, "display_name": "García", "role": "patient"}
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    async with api.from_elsewhere() as elsewhere:
        answers = await asyncio.gather(
            *(elsewhere.post("/v1/register", json=body, headers=headers) for _ in range(40))
        )
        later = await elsewhere.post("/v1/register", json=body, headers=headers)
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) <= {201, 409}
    assert later.status_code == 201
    made = {answer.json()["user"]["user_id"] for answer in [*answers, later] if answer.is_success}
    figure("accounts per key", len(made))
    assert len(made) == 1
    assert len(await users.find(where=[("email", "==", email)], limit=5)) == 1
    in_flight = [a.json()["type"] for a in answers if a.status_code == 409]
    assert set(in_flight) <= {"urn:healthhub:problem:idempotency-in-flight"}


async def test_p11_a_key_is_refused_for_another_body(api: Api, doctor: Person) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    await api.post("/v1/doctors", doctor, json=A_PROFILE, headers=headers)
    other = {**A_PROFILE, "name": "Somebody Else"}
    answer = await api.post("/v1/doctors", doctor, json=other, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":idempotency-key-reused")


async def test_p11_one_key_of_two_people_is_two_keys(api: Api) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    for person in (await register(api, "doctor"), await register(api, "doctor")):
        answer = await api.post("/v1/doctors", person, json=A_PROFILE, headers=headers)
        assert answer.json()["doctor_id"] == person.uid


async def test_p11_an_answer_lost_after_the_commit_is_replayed(
    api: Api, doctor: Person, recorder: Recorder
) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    with recorder.broken("Commit", is_after=True):
        lost = await api.post("/v1/doctors", doctor, json=A_PROFILE, headers=headers)
    again = await api.post("/v1/doctors", doctor, json=A_PROFILE, headers=headers)
    assert lost.status_code == 503
    assert again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    current = await api.get(f"/v1/doctors/{doctor.uid}", doctor)
    assert again.headers["etag"] == current.headers["etag"]


async def test_p11_a_device_is_added_once_however_often_it_is_sent(
    api: Api, patient: Person
) -> None:
    body = {"token": f"phone-{secrets.token_hex(10)}", "platform": "android"}
    answers = await asyncio.gather(
        *(api.post("/v1/users/me/devices", patient, json=body) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert await devices.count(patient.uid) == 1


# ---------------------------------------------------------------- promise 12


async def test_p12_of_many_edits_on_one_version_one_is_taken(
    api: Api, patient: Person, figure: Any
) -> None:
    read = await api.get("/v1/users/me", patient)
    if_match = {"If-Match": read.headers["etag"]}
    path = f"/v1/users/{patient.uid}"
    answers = await asyncio.gather(
        *(
            api.put(path, patient, json={"display_name": f"Editor {n}"}, headers=if_match)
            for n in range(30)
        )
    )
    taken = [answer for answer in answers if answer.status_code == 200]
    # Under contention the database may turn some away before it compares: 503 takes no edit either.
    assert len(taken) == 1
    assert {a.status_code for a in answers} <= {200, 412, 503}
    now = (await api.get("/v1/users/me", patient)).json()
    figure("lost", int(now["display_name"] != taken[0].json()["display_name"]))
    assert now["display_name"] == taken[0].json()["display_name"]


async def test_p12_edits_of_different_fields_without_if_match_are_all_kept(
    api: Api, doctor: Person
) -> None:
    await api.post("/v1/doctors", doctor, json=A_PROFILE)
    wishes: list[dict[str, Any]] = [
        {"name": "Dr. New Name"},
        {"biography": "A new text."},
        {"languages": ["de"]},
        {"fee": {"amount": "12.50", "currency": "EUR"}},
    ]
    path = f"/v1/doctors/{doctor.uid}"
    answers = await asyncio.gather(*(api.put(path, doctor, json=wish) for wish in wishes))
    assert {answer.status_code for answer in answers} == {200}
    now = (await api.get(path, doctor)).json()
    for wish in wishes:
        assert {name: now[name] for name in wish} == wish


class ConcurrentEditors(RuleBasedStateMachine):
    """Two people with a profile open; each saves on what they read, in any order."""

    platform: Platform
    owner: Person

    @initialize()
    def open_(self) -> None:
        self.path = f"{self.platform.url}/v1/doctors/{self.owner.uid}"
        self.http = httpx.Client(headers=self.owner.headers)
        self.tags: dict[str, str] = {}
        self.current = self.http.get(self.path).headers["etag"]
        self.expected = self.http.get(self.path).json()

    editors = sampled_from(["ana", "bo"])

    @rule(editor=editors)
    def read(self, editor: str) -> None:
        answer = self.http.get(self.path)
        assert answer.json()["biography"] == self.expected["biography"]
        self.tags[editor] = answer.headers["etag"]

    @precondition(lambda self: self.tags)
    @rule(editor=editors, text=sampled_from(["one", "two", "three"]))
    def save(self, editor: str, text: str) -> None:
        if editor not in self.tags:
            return
        headers = {"If-Match": self.tags[editor]}
        answer = self.http.put(self.path, json={"biography": text}, headers=headers)
        assert answer.status_code == (200 if self.tags[editor] == self.current else 412)
        if answer.status_code == 200:
            self.expected["biography"] = text
            self.current = self.tags[editor] = answer.headers["etag"]

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "http"):
            assert self.http.get(self.path).json()["biography"] == self.expected["biography"]

    def teardown(self) -> None:
        if hasattr(self, "http"):
            self.http.close()


async def test_p12_concurrent_editors_never_overwrite_what_they_have_not_seen(
    api: Api, platform: Platform, doctor: Person
) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    await api.post("/v1/doctors", doctor, json=A_PROFILE)
    machine = type("Editors", (ConcurrentEditors,), {"platform": platform, "owner": doctor})
    few = settings(max_examples=15, stateful_step_count=15, deadline=None, derandomize=True)
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=few)


# ---------------------------------------------------------------- promise 14


async def test_p14_fifty_parallel_changes_of_one_record_are_done_or_told_to_come_again(
    api: Api, doctor: Person, figure: Any
) -> None:
    await api.post("/v1/doctors", doctor, json=A_PROFILE)
    path = f"/v1/doctors/{doctor.uid}"
    answers = await asyncio.gather(
        *(api.put(path, doctor, json={"biography": f"Text {n}"}) for n in range(50))
    )
    counts = Counter(answer.status_code for answer in answers)
    figure("500s", counts[500])
    figure("answers", dict(counts))
    assert set(counts) <= {200, 503}
    assert all("retry-after" in a.headers for a in answers if a.status_code == 503)


@pytest.mark.parametrize("code", [grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED])
async def test_p14_contention_that_firestore_reports_is_503_with_retry_after(
    api: Api, patient: Person, recorder: Recorder, code: grpc.StatusCode
) -> None:
    with recorder.broken("Commit", code):
        answer = await api.put(f"/v1/users/{patient.uid}", patient, json={"language": "de"})
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:healthhub:problem:busy"
    assert int(answer.headers["retry-after"]) >= 1
