"""A patient's history: entering, listing, reading, amending; and what stays of earlier versions."""

import asyncio
import secrets
from typing import Any

import pytest

from common.clinical import HistoryType
from common.patients import history, versions
from tests.client import A_RECORD, Api, Person, a_listed_doctor, a_patient, a_record, admit


@pytest.fixture(scope="module")
async def patient(api: Api) -> Person:
    return await a_patient(api)


@pytest.fixture(scope="module")
async def author(api: Api, admin: Person, patient: Person) -> Person:
    doctor = await a_listed_doctor(api, admin)
    await admit(api, patient, doctor)
    return doctor


@pytest.fixture(scope="module")
async def colleague(api: Api, admin: Person, patient: Person) -> Person:
    doctor = await a_listed_doctor(api, admin)
    await admit(api, patient, doctor)
    return doctor


def entry(patient: Person, record: dict[str, Any]) -> str:
    return f"/v1/patients/{patient.uid}/history/{record['record_id']}"


# ---------------------------------------------------------------- entering and reading


@pytest.mark.parametrize("type", list(HistoryType))
async def test_a_record_of_each_type_is_read_as_it_was_entered(
    api: Api, patient: Person, author: Person, type: HistoryType
) -> None:
    is_measured = type in (HistoryType.OBSERVATION, HistoryType.LAB_RESULT)
    fields = {"type": type, "values": A_RECORD["values"] if is_measured else []}
    made = await a_record(api, patient, author, **fields)
    for who in (patient, author):
        shown = await api.get(entry(patient, made), who)
        assert shown.status_code == 200
        assert {**shown.json(), "etag": shown.headers["etag"]} == made
    assert made["version"] == 1
    assert made["author_id"] == made["editor_id"] == author.uid


async def test_a_value_keeps_the_digits_that_were_measured(
    api: Api, patient: Person, author: Person
) -> None:
    values = [{"name": "A", "value": "7.00", "unit": "mmol/L"}, {"name": "B", "text": "negative"}]
    made = await a_record(api, patient, author, values=values)
    shown = (await api.get(entry(patient, made), author)).json()["values"]
    assert [(value["value"], value["text"]) for value in shown] == [
        ("7.00", None),
        (None, "negative"),
    ]


async def test_an_attachment_refers_to_another_record_of_the_patient(
    api: Api, patient: Person, author: Person
) -> None:
    attached = [{"kind": "medical_image", "id": "image-1", "title": "X-ray of the chest"}]
    made = await a_record(api, patient, author, attachments=attached)
    assert made["attachments"] == attached


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"type": "diagnosis"}, "/type"),
        ({"title": ""}, "/title"),
        ({"description": "x" * 20_001}, "/description"),
        ({"description": "a\u0000b"}, "/description"),
        ({"occurred_on": "2199-01-01"}, "/occurred_on"),
        ({"occurred_on": None}, "/occurred_on"),
        ({"code": {"system": "loinc", "value": "4548-5"}}, "/code"),
        ({"code": {"system": "icd-9", "value": "250"}}, "/code/system"),
        ({"code": {"system": "icd-10", "value": "e11.9"}}, "/code"),
        ({"code": {"system": "rxnorm", "value": "12a"}}, "/code"),
        ({"values": [{"name": "A", "value": "1"}]}, "/values/0"),
        ({"values": [{"name": "A", "value": "1", "text": "b", "unit": "1"}]}, "/values/0"),
        ({"values": [{"name": "A"}]}, "/values/0"),
        ({"values": [{"name": "A", "value": "NaN", "unit": "1"}]}, "/values/0/value"),
        ({"values": [{"name": "A", "value": "1e999999", "unit": "1"}]}, "/values/0/value"),
        ({"values": [{"name": "A", "value": "1", "unit": "mg / dl"}]}, "/values/0/unit"),
        ({"values": [{"name": "A", "value": "1", "unit": "1", "low": "3", "high": "2"}]}, "/values/0"),
        ({"type": "note"}, ""),
        ({"attachments": [{"kind": "url", "id": "a", "title": "b"}]}, "/attachments/0/kind"),
        ({"author_uid": "me"}, "/author_uid"),
        ({"version": 7}, "/version"),
    ],
)  # fmt: skip
async def test_what_can_not_be_is_refused_by_its_place(
    api: Api, patient: Person, author: Person, change: dict[str, Any], pointer: str
) -> None:
    path = f"/v1/patients/{patient.uid}/history"
    answer = await api.post(path, author, json={**A_RECORD, **change})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer or pointer in answer.text


async def test_a_repeated_entry_with_its_key_is_made_once(
    api: Api, patient: Person, author: Person
) -> None:
    mark, headers = secrets.token_hex(6), {"Idempotency-Key": secrets.token_hex(8)}
    path = f"/v1/patients/{patient.uid}/history"
    answers = await asyncio.gather(
        *(api.post(path, author, json={**A_RECORD, "title": mark}, headers=headers) for _ in range(20))
    )  # fmt: skip
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    items = (await api.get(f"{path}?page_size=100", author)).json()["items"]
    assert len([item for item in items if item["title"] == mark]) == 1


async def test_what_is_entered_can_not_be_read_in_the_store(
    api: Api, patient: Person, author: Person
) -> None:
    made = await a_record(api, patient, author)
    stored = await history.get(patient.uid, made["record_id"])
    assert stored
    assert "canary" not in repr(stored)
    assert set(stored.sealed) >= {"title", "description", "code", "values"}


# ---------------------------------------------------------------- lists


async def test_the_history_is_listed_sorted_by_time_and_filtered(api: Api, admin: Person) -> None:
    patient, doctor = await a_patient(api), await a_listed_doctor(api, admin)
    await admit(api, patient, doctor)
    entered = [
        ("note", "2026-01-01"),
        ("condition", "2026-03-01"),
        ("note", "2026-02-01"),
        ("note", "2026-02-01"),
        ("procedure", "2025-12-31"),
    ]
    ids = [
        (await a_record(api, patient, doctor, type=type, occurred_on=day, values=[]))["record_id"]
        for type, day in entered
    ]
    path = f"/v1/patients/{patient.uid}/history"

    async def found(query: str) -> list[int]:
        items: list[int] = []
        token = ""
        while token is not None:
            page_token = f"&page_token={token}" if token else ""
            page = (await api.get(f"{path}?page_size=2{query}{page_token}", patient)).json()
            items += [ids.index(item["record_id"]) for item in page["items"]]
            token = page["next_page_token"]
        return items

    assert await found("") == [1, 3, 2, 0, 4]  # of one day, the one that was entered last is first
    assert await found("&type=note") == [3, 2, 0]
    assert await found("&from=2026-02-01") == [1, 3, 2]
    assert await found("&to=2026-01-01") == [0, 4]
    assert await found("&from=2026-01-01&to=2026-02-01&type=note") == [3, 2, 0]
    assert await found("&type=allergy") == []


@pytest.mark.parametrize(
    "query", ["from=2026-02-01&to=2026-01-01", "type=x", "from=x", "page_size=0", "page_token=x", "x=1"]
)  # fmt: skip
async def test_a_list_with_a_senseless_query_is_refused(
    api: Api, patient: Person, query: str
) -> None:
    answer = await api.get(f"/v1/patients/{patient.uid}/history?{query}", patient)
    assert answer.status_code in (400, 422)


async def test_an_empty_history_is_an_empty_list(api: Api) -> None:
    patient = await a_patient(api)
    answer = await api.get(f"/v1/patients/{patient.uid}/history", patient)
    assert answer.json() == {"items": [], "next_page_token": None}


# ---------------------------------------------------------------- amending


async def test_an_amendment_keeps_every_earlier_version(
    api: Api, patient: Person, author: Person, admin: Person
) -> None:
    made = await a_record(api, patient, author)
    path = entry(patient, made)
    first = {"description": "second", "reason": "The unit was wrong"}
    second: dict[str, Any] = {
        "title": "Third",
        "code": None,
        "occurred_on": "2026-01-04",
        "values": [],
    }
    amended = await api.put(path, author, json=first)
    assert amended.status_code == 200
    by_admin = (await api.put(path, admin, json=second)).json()
    assert by_admin["version"] == 3
    assert by_admin["editor_id"] == admin.uid
    assert by_admin["author_id"] == author.uid
    assert by_admin["code"] is None
    assert by_admin["amendment_reason"] is None
    assert by_admin["description"] == "second"
    listed = (await api.get(f"{path}/versions", patient)).json()["items"]
    assert [version["version"] for version in listed] == [2, 1]
    assert listed[0] == amended.json()
    made.pop("etag")
    assert listed[1] == made


async def test_only_its_author_and_administrators_amend_a_record(
    api: Api, patient: Person, author: Person, colleague: Person
) -> None:
    path = entry(patient, await a_record(api, patient, author))
    for who in (colleague, patient):
        assert (await api.put(path, who, json={"title": "B"})).status_code == 403


async def test_of_two_who_amend_at_once_one_is_told_what_the_other_changed(
    api: Api, patient: Person, author: Person, admin: Person
) -> None:
    made = await a_record(api, patient, author)
    path, headers = entry(patient, made), {"If-Match": made["etag"]}
    changes = (
        (author, {"title": "By its author", "description": "Typed for ten minutes"}),
        (admin, {"title": "By the administrator", "values": []}),
    )
    answers = await asyncio.gather(
        *(api.put(path, who, json=change, headers=headers) for who, change in changes)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    won, lost = changes[winner][1], answers[1 - winner]
    problem = lost.json()
    told = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert set(told) == {f"/{name}" for name in won}
    assert "your change touches it too" in told["/title"]
    assert all("too" not in detail for pointer, detail in told.items() if pointer != "/title")
    for typed in ("Typed for ten minutes", "By the administrator", "By its author"):
        assert typed not in lost.text
    # The loser applies what was typed to what the record says now, and nothing is lost.
    again = await api.put(
        path,
        changes[1 - winner][0],
        json=changes[1 - winner][1],
        headers={"If-Match": lost.headers["etag"]},
    )
    assert again.status_code == 200
    assert again.json()["version"] == 3


async def test_amendments_that_race_without_if_match_all_become_versions(
    api: Api, patient: Person, author: Person
) -> None:
    made = await a_record(api, patient, author)
    path = entry(patient, made)
    answers = await asyncio.gather(
        *(api.put(path, author, json={"title": f"T{number}"}) for number in range(8))
    )
    done = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert sorted(answer.json()["version"] for answer in done) == list(range(2, len(done) + 2))
    kept = (await api.get(f"{path}/versions?page_size=100", author)).json()["items"]
    current = (await api.get(path, author)).json()
    titles = {version["title"] for version in kept} | {current["title"]}
    assert titles == {made["title"], *(answer.json()["title"] for answer in done)}


async def test_a_tag_that_was_never_given_is_refused(
    api: Api, patient: Person, author: Person
) -> None:
    path = entry(patient, await a_record(api, patient, author))
    headers = {"If-Match": '"1.000000001"'}
    answer = await api.put(path, author, json={"title": "B"}, headers=headers)
    assert answer.status_code == 412
    assert "errors" not in answer.json()


async def test_a_note_gets_no_values_by_amendment(
    api: Api, patient: Person, author: Person
) -> None:
    made = await a_record(api, patient, author, type="note", values=[])
    answer = await api.put(entry(patient, made), author, json={"values": A_RECORD["values"]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/values"


async def test_a_version_can_not_be_read_in_the_store_either(
    api: Api, patient: Person, author: Person
) -> None:
    made = await a_record(api, patient, author)
    await api.put(entry(patient, made), author, json={"title": "B"})
    (stored,) = await versions.find(patient.uid, made["record_id"], limit=5)
    assert "canary" not in repr(stored)
    assert stored.replaced_revision == made["etag"].strip('"')


@pytest.mark.parametrize("id", ["nothing", "a" * 128])
async def test_a_record_that_is_not_there_is_not_found(
    api: Api, patient: Person, author: Person, id: str
) -> None:
    path = f"/v1/patients/{patient.uid}/history/{id}"
    for answer in (
        await api.get(path, author),
        await api.get(f"{path}/versions", author),
        await api.put(path, author, json={"title": "B"}),
    ):
        assert answer.status_code == 404
