"""Notes: drafted from what was said, edited, signed, and then part of the history."""

import asyncio
from typing import Any

import httpx
import pytest

from common import crypto, egress
from local.platform import Platform
from local.ports import HOST
from tests.client import A_PATIENT, Api, Person, a_listed_doctor, a_patient, admit
from tests.recorded import A_NOTE, a_transcription

TALK = (
    "I have had chest pain since Monday. My name is Ana García.",
    "Your blood pressure is 150 over 95. I think this is high blood pressure.",
    "I have no fever. You can call me at +34 612 345 678.",
    "Take lisinopril 10 mg once a day, and come back in two weeks.",
)


@pytest.fixture(scope="module")
async def doctor(api: Api, admin: Person) -> Person:
    return await a_listed_doctor(api, admin)


@pytest.fixture(scope="module")
async def patient(api: Api, doctor: Person) -> Person:
    person = await a_patient(api)
    await admit(api, person, doctor)
    return person


@pytest.fixture
async def recorded(patient: Person, doctor: Person) -> str:
    return await a_transcription(patient, doctor, *TALK)


def sentences(note: dict[str, Any]) -> list[dict[str, Any]]:
    return [sentence for section in note["note"].values() for sentence in section]


async def test_every_sentence_of_a_draft_cites_what_was_said(
    api: Api, doctor: Person, recorded: str
) -> None:
    answer = await api.post(f"/v1/transcriptions/{recorded}/note", doctor)
    assert answer.status_code == 201, answer.text
    note = answer.json()
    assert (note["state"], note["version"], note["unsupported_count"]) == ("draft", 1, 0)
    assert note["model"]
    found = sentences(note)
    assert len(found) >= 4
    assert all(set(each["segment_ids"]) <= {"s1", "s2", "s3", "s4"} for each in found)
    assert all(each["segment_ids"] for each in found)
    plan = " ".join(each["text"] for each in note["note"]["plan"])
    assert "lisinopril 10 mg" in plan


async def test_p37_no_identifier_leaves_and_every_prompt_is_in_the_ledger(
    api: Api, platform: Platform, doctor: Person, patient: Person, recorded: str, figure: Any
) -> None:
    url = f"http://{HOST}:{platform.ports.openai}/dev/prompts"
    async with httpx.AsyncClient() as http:
        await http.delete(url)
        answer = await api.post(f"/v1/transcriptions/{recorded}/note", doctor)
        prompts = (await http.get(url)).json()["items"]
    sent = str(prompts)
    planted = ("Ana", "García", "612", "345 678", "canary", A_PATIENT["birth_date"], "Inés")
    misses = [word for word in planted if word in sent]
    figure("misses", len(misses))
    assert misses == []
    assert "[PERSON_1]" in sent
    assert "[PHONE_1]" in sent
    (prompt,) = prompts
    assert prompt["body"]["store"] is False
    restored = " ".join(each["text"] for each in sentences(answer.json()))
    assert "[PERSON" not in restored
    ledger = [each async for each in egress.prompts.all_(patient.uid)]
    line = max(ledger, key=lambda each: each.create_time)
    vault = await crypto.vault_of(patient.uid)
    assert vault.open(line.path, "data", line.sealed["data"]) == prompt["body"]["input"]
    assert (line.outcome, line.purpose, line.actor_uid) == ("answered", "note", doctor.uid)
    assert line.replaced["PERSON"] >= 1
    assert line.input_tokens > 0
    log = (await api.get(f"/v1/patients/{patient.uid}/access-log", patient)).json()["items"]
    assert any("to a language model" in entry["text"] for entry in log)


async def test_edits_keep_versions_and_are_checked_anew(
    api: Api, doctor: Person, recorded: str
) -> None:
    path = f"/v1/transcriptions/{recorded}/note"
    await api.post(path, doctor)
    edited = {
        **A_NOTE,
        "subjective": [{"text": "Chest pain since Monday.", "segment_ids": ["s1"]}],
        "plan": [{"text": "Lisinopril 40 mg once a day.", "segment_ids": ["s4"]}],
    }
    answer = await api.put(path, doctor, json=edited)
    note = answer.json()
    assert (note["state"], note["version"], note["model"]) == ("edited", 2, None)
    assert note["unsupported_count"] == 1
    (mark,) = note["note"]["plan"][0]["unsupported"]
    assert (mark["kind"], mark["text"]) == ("dose", "40 mg")
    versions = (await api.get(f"{path}/versions", doctor)).json()["items"]
    assert [each["version"] for each in versions] == [2, 1]
    refused = await api.post(f"{path}/sign", doctor)
    assert (refused.status_code, refused.json()["title"]) == (409, "Note unsupported")


async def test_an_edit_on_top_of_another_is_told(api: Api, doctor: Person, recorded: str) -> None:
    path = f"/v1/transcriptions/{recorded}/note"
    first = await api.put(path, doctor, json=A_NOTE)
    tag = {"If-Match": first.headers["etag"]}
    assert (await api.put(path, doctor, json=A_NOTE, headers=tag)).status_code == 200
    assert (await api.put(path, doctor, json=A_NOTE, headers=tag)).status_code == 412
    assert (await api.post(f"{path}/sign", doctor, headers=tag)).status_code == 412


async def test_a_signed_note_enters_the_history_and_changes_no_more(
    api: Api, doctor: Person, patient: Person, recorded: str
) -> None:
    path = f"/v1/transcriptions/{recorded}"
    await api.post(f"{path}/note", doctor)
    hidden = (await api.get(path, patient)).json()
    assert hidden["note"] is None  # a draft is the doctors'
    answer = await api.post(f"{path}/note/sign", doctor)
    assert answer.status_code == 200, answer.text
    signed = answer.json()
    assert (signed["state"], signed["version"]) == ("signed", 2)
    record = f"/v1/patients/{patient.uid}/history/{signed['history_id']}"
    entered = (await api.get(record, patient)).json()
    assert (entered["type"], entered["author_id"]) == ("note", doctor.uid)
    assert "lisinopril 10 mg" in entered["description"]
    assert entered["attachments"][0]["id"] == recorded
    shown = (await api.get(path, patient)).json()["note"]
    assert shown["state"] == "signed"
    for again in (
        await api.post(f"{path}/note", doctor),
        await api.put(f"{path}/note", doctor, json=A_NOTE),
        await api.post(f"{path}/note/sign", doctor),
    ):
        assert (again.status_code, again.json()["title"]) == (409, "Status conflict")


async def test_a_draft_is_made_of_what_can_be_redacted_only(
    api: Api, doctor: Person, patient: Person
) -> None:
    id = await a_transcription(patient, doctor, "Ich heisse Hans.", language="de-DE")
    answer = await api.post(f"/v1/transcriptions/{id}/note", doctor)
    assert (answer.status_code, answer.json()["title"]) == (409, "Redaction incomplete")


async def test_a_draft_is_not_given_again_to_who_may_see_it_no_more(
    api: Api, admin: Person, doctor: Person
) -> None:
    person = await a_patient(api)
    await admit(api, person, doctor)
    path = f"/v1/transcriptions/{await a_transcription(person, doctor, *TALK)}"
    headers = {"Idempotency-Key": "a-draft-that-outlives"}
    assert (await api.post(f"{path}/note", doctor, headers=headers)).status_code == 201
    assert (await api.delete(path, doctor)).status_code == 204
    assert (await api.post(f"{path}/note", doctor, headers=headers)).status_code == 404


async def test_there_is_nothing_to_sign_before_there_is_a_note(
    api: Api, doctor: Person, recorded: str
) -> None:
    answer = await api.post(f"/v1/transcriptions/{recorded}/note/sign", doctor)
    assert answer.status_code == 409
    empty: dict[str, list[Any]] = {name: [] for name in A_NOTE}
    await api.put(f"/v1/transcriptions/{recorded}/note", doctor, json=empty)
    answer = await api.post(f"/v1/transcriptions/{recorded}/note/sign", doctor)
    assert (answer.status_code, answer.json()["detail"]) == (409, "This note is empty.")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"plan": "take it"}, "/plan"),
        ({"plan": [{"text": "A"}]}, "/plan/0/segment_ids"),
        ({"plan": [{"text": "", "segment_ids": ["s1"]}]}, "/plan/0/text"),
        ({"plan": [{"text": "A", "segment_ids": ["../x"]}]}, "/plan/0/segment_ids/0"),
        ({"plan": [{"text": "A", "segment_ids": [], "unsupported": []}]}, "/plan/0/unsupported"),
        ({"state": "signed"}, "/state"),
    ],
)
async def test_a_note_that_is_wrong_is_told_what_is(
    api: Api, doctor: Person, recorded: str, change: dict[str, Any], pointer: str
) -> None:
    path = f"/v1/transcriptions/{recorded}/note"
    answer = await api.put(path, doctor, json={**A_NOTE, **change})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_two_drafts_at_once_are_two_versions_or_one_is_told(
    api: Api, doctor: Person, recorded: str
) -> None:
    path = f"/v1/transcriptions/{recorded}/note"
    answers = await asyncio.gather(*(api.post(path, doctor) for _ in range(4)))
    made = [answer.json()["version"] for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409, 412}
    assert made
    versions = (await api.get(f"{path}/versions", doctor)).json()["items"]
    assert sorted(each["version"] for each in versions) == sorted(made)


async def test_p11_a_draft_that_is_asked_for_twice_is_made_once(
    api: Api, doctor: Person, recorded: str
) -> None:
    path = f"/v1/transcriptions/{recorded}/note"
    headers = {"Idempotency-Key": "a-draft-of-mine-001"}
    first = await api.post(path, doctor, headers=headers)
    again = await api.post(path, doctor, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
