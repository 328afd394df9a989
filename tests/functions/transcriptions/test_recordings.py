"""Announcing, sending, following, reading and deleting recordings."""

import asyncio
import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from common import storage
from common.firestore import Batch
from common.patients import patients
from common.storage import Bucket
from common.transcripts import Segment, Word, object_name, said, transcriptions
from tests.client import (
    Api,
    Person,
    a_bookable_doctor,
    a_listed_doctor,
    a_patient,
    admit,
    book,
    free_starts,
    register,
)
from tests.recorded import (
    A_NOTE,
    a_transcription,
    a_visit,
    announce,
    ended,
    send,
    stored,
    upload,
)


@pytest.fixture(scope="module")
async def doctor(api: Api, admin: Person) -> Person:
    return await a_bookable_doctor(api, admin)


@pytest.fixture(scope="module")
async def patient(api: Api, doctor: Person) -> Person:
    person = await a_patient(api)
    await admit(api, person, doctor)
    return person


AN_UPLOAD: dict[str, Any] = {
    "file_name": "visit.wav",
    "content_type": "audio/wav",
    "size_bytes": 1000,
}


async def test_a_consultation_is_recorded_recognised_and_read(
    api: Api, doctor: Person, patient: Person
) -> None:
    id = await upload(api, doctor, patient, a_visit(), language="en-US")
    status = await ended(api, doctor, id)
    assert (status["state"], status["progress"], status["attempts"]) == ("completed", 100, 1)
    answer = await api.get(f"/v1/transcriptions/{id}", patient)
    found = answer.json()
    assert answer.headers["etag"]
    assert found["file_name"] == "canary visit.wav"
    assert len(found["segments"]) >= 2
    first, last = found["segments"][0], found["segments"][-1]
    assert first["start"] < first["end"] <= last["start"] < last["end"]
    assert first["words"][0]["start"] >= first["start"]
    assert 0 < first["confidence"] <= 1
    assert found["speaker_count"] == len({each["speaker"] for each in found["segments"]})
    assert "headache" in found["text"].lower() or "fever" in found["text"].lower()
    assert {term["segment_id"] for term in found["terms"]} <= {s["id"] for s in found["segments"]}
    assert "no diagnosis" in found["disclaimer"]


async def test_a_recording_of_up_to_25_mib_is_sent_at_once(api: Api, patient: Person) -> None:
    files = {"file": ("canary.wav", a_visit(), "audio/wav")}
    answer = await api.post("/v1/transcriptions/upload", patient, files=files)
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert (created["upload"], created["resumable_upload"]) == (None, None)
    assert answer.headers["location"].endswith(created["transcription"]["transcription_id"])
    id = created["transcription"]["transcription_id"]
    assert (await ended(api, patient, id))["state"] == "completed"


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"files": {"file": ("a.wav", b"", "audio/wav")}}, "/file"),
        ({"files": {"other": ("a.wav", b"x", "audio/wav")}}, "/file"),
        ({"files": {"file": ("a.txt", b"x", "text/plain")}}, "/content_type"),
        ({"files": {"file": ("a.wav", b"x", "audio/wav")}, "data": {"language": "?"}}, "/language"),
        ({"files": {"file": ("a.wav", b"x", "audio/wav")}, "data": {"author_uid": "x"}}, ""),
    ],
)
async def test_a_form_that_is_wrong_is_told_what_is(
    api: Api, patient: Person, form: dict[str, Any], pointer: str
) -> None:
    answer = await api.post("/v1/transcriptions/upload", patient, **form)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"size_bytes": 0}, "/size_bytes"),
        ({"size_bytes": 480_000_001}, "/size_bytes"),
        ({"content_type": "video/mp4"}, "/content_type"),
        ({"content_type": ""}, "/content_type"),
        ({"file_name": ""}, "/file_name"),
        ({"sha256": "abc"}, "/sha256"),
        ({"language": "english"}, "/language"),
        ({"state": "completed"}, "/state"),
        ({"author_uid": "somebody"}, "/author_uid"),
        ({"appointment_id": "nobody-has-this"}, "/appointment_id"),
    ],
)
async def test_an_announcement_that_is_wrong_is_told_what_is(
    api: Api, patient: Person, change: dict[str, Any], pointer: str
) -> None:
    answer = await api.post("/v1/transcriptions/upload", patient, json={**AN_UPLOAD, **change})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_bodies_of_another_kind_or_size_are_refused(api: Api, patient: Person) -> None:
    path = "/v1/transcriptions/upload"
    text = {"Content-Type": "text/plain"}
    assert (await api.post(path, patient, content=b"x", headers=text)).status_code == 415
    broken = {"Content-Type": "application/json"}
    assert (await api.post(path, patient, content=b"{", headers=broken)).status_code == 400
    large = {"file": ("a.wav", bytes(26 * 1024 * 1024), "audio/wav")}
    assert (await api.post(path, patient, files=large)).status_code == 413


async def test_a_doctor_says_whose_consultation_it_is(api: Api, doctor: Person) -> None:
    answer = await api.post("/v1/transcriptions/upload", doctor, json=AN_UPLOAD)
    assert answer.json()["errors"][0]["pointer"] == "/patient_id"


async def test_a_patient_without_a_record_is_told_to_enter_it(api: Api) -> None:
    newcomer = await register(api)
    answer = await api.post("/v1/transcriptions/upload", newcomer, json=AN_UPLOAD)
    assert (answer.status_code, answer.json()["title"]) == (409, "Patient record missing")


async def test_nothing_is_recorded_for_an_archived_patient(api: Api) -> None:
    person = await a_patient(api)
    await api.delete(f"/v1/patients/{person.uid}", person)
    answer = await api.post("/v1/transcriptions/upload", person, json=AN_UPLOAD)
    assert (answer.status_code, answer.json()["title"]) == (409, "Patient archived")


async def test_a_recording_belongs_to_a_visit_of_the_same_patient(
    api: Api, doctor: Person, patient: Person
) -> None:
    starts = await free_starts(api, doctor)
    visit = await book(api, patient, doctor, starts[0])
    announced = await announce(
        api, doctor, patient, size_bytes=10, appointment_id=visit["appointment_id"]
    )
    assert announced["transcription"]["appointment_id"] == visit["appointment_id"]
    other = await a_patient(api)
    body = {**AN_UPLOAD, "appointment_id": visit["appointment_id"]}
    answer = await api.post("/v1/transcriptions/upload", other, json=body)
    assert answer.json()["errors"][0]["pointer"] == "/appointment_id"


async def test_an_announcement_that_is_sent_twice_is_one(api: Api, patient: Person) -> None:
    headers = {"Idempotency-Key": "an-upload-of-mine-1"}
    path = "/v1/transcriptions/upload"
    first = await api.post(path, patient, json=AN_UPLOAD, headers=headers)
    again = await api.post(path, patient, json=AN_UPLOAD, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    other = await api.post(path, patient, json={**AN_UPLOAD, "size_bytes": 5}, headers=headers)
    assert other.status_code == 422


async def test_a_file_that_is_sent_twice_at_once_is_one(api: Api, patient: Person) -> None:
    headers = {"Idempotency-Key": "a-file-of-mine-0001"}

    async def post() -> Any:
        files = {"file": ("canary.wav", a_visit(), "audio/wav")}
        content, kind = _form(files)
        return await api.post(
            "/v1/transcriptions/upload",
            patient,
            content=content,
            headers={**headers, "Content-Type": kind},
        )

    answers = await asyncio.gather(*(post() for _ in range(5)))
    assert sorted({answer.status_code for answer in answers}) in ([201], [201, 409])
    created = [answer.json() for answer in answers if answer.status_code == 201]
    ids = {each["transcription"]["transcription_id"] for each in created}
    assert len(ids) == 1


def _form(files: dict[str, Any]) -> tuple[bytes, str]:
    """The same bytes each time: a boundary of chance would make another request of it."""
    (name, content, kind) = files["file"]
    head = (
        f'--same\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n--same--\r\n", "multipart/form-data; boundary=same"


async def test_an_upload_that_was_too_slow_is_asked_for_again(
    api: Api, doctor: Person, patient: Person
) -> None:
    announced = await announce(api, doctor, patient, size_bytes=len(a_visit()))
    id = announced["transcription"]["transcription_id"]
    answer = await api.post(f"/v1/transcriptions/{id}/upload", doctor)
    assert answer.status_code == 200, answer.text
    assert (await send(answer.json(), a_visit())).status_code == 200
    assert (await ended(api, doctor, id))["state"] == "completed"
    late = await api.post(f"/v1/transcriptions/{id}/upload", doctor)
    assert (late.status_code, late.json()["title"]) == (409, "Status conflict")


async def test_recordings_are_listed_by_patient_and_state_sorted_by_time(
    api: Api, admin: Person, doctor: Person
) -> None:
    person = await a_patient(api)
    await admit(api, person, doctor)
    ids = [await a_transcription(person, doctor, "I cough.") for _ in range(3)]
    waiting = (await announce(api, person, person, size_bytes=9))["transcription"]
    path = f"/v1/transcriptions?patient_id={person.uid}"
    first = (await api.get(f"{path}&page_size=2", doctor)).json()
    second = (
        await api.get(f"{path}&page_size=2&page_token={first['next_page_token']}", doctor)
    ).json()
    listed = [each["transcription_id"] for each in first["items"] + second["items"]]
    assert listed == [waiting["transcription_id"], *reversed(ids)]
    done = (await api.get(f"{path}&status=completed", person)).json()["items"]
    assert [each["transcription_id"] for each in done] == ids[::-1]
    assert done[0]["file_name"] == "canary visit.wav"
    own = (await api.get("/v1/transcriptions", person)).json()["items"]
    assert len(own) == 4
    everyones = (await api.get("/v1/transcriptions?status=completed", admin)).json()["items"]
    assert {each["file_name"] for each in everyones} == {None}
    unnamed = await api.get("/v1/transcriptions", doctor)
    assert unnamed.json()["errors"][0]["pointer"] == "?patient_id"
    nothing = await api.get(f"{path}&status=rejected", person)
    assert nothing.json() == {"items": [], "next_page_token": None}


async def test_a_deleted_recording_is_gone_from_everywhere_and_its_signed_note_stays(
    api: Api, doctor: Person, patient: Person
) -> None:
    id = await upload(api, doctor, patient, a_visit())
    await ended(api, doctor, id)
    path = f"/v1/transcriptions/{id}"
    assert (await api.put(f"{path}/note", doctor, json=A_NOTE)).status_code == 200
    signed = await api.post(f"{path}/note/sign", doctor, json={"accept_unsupported": True})
    assert signed.status_code == 200, signed.text
    assert (await api.delete(path, doctor)).status_code == 204
    assert (await api.get(path, doctor)).status_code == 404
    assert (await api.delete(path, doctor)).status_code == 404
    assert await transcriptions.get(id) is None
    assert [part async for part in said.all_(id)] == []
    name = object_name(patient.uid, id)
    assert [await storage.find(bucket, name) for bucket in Bucket] == [None] * len(Bucket)
    record = f"/v1/patients/{patient.uid}/history/{signed.json()['history_id']}"
    assert (await api.get(record, patient)).status_code == 200


async def test_a_recording_that_is_deleted_before_its_file_comes_takes_nothing(
    api: Api, doctor: Person, patient: Person
) -> None:
    announced = await announce(api, doctor, patient, size_bytes=len(a_visit()))
    id = announced["transcription"]["transcription_id"]
    assert (await api.delete(f"/v1/transcriptions/{id}", doctor)).status_code == 204
    assert (await send(announced, a_visit())).status_code == 200
    name = object_name(patient.uid, id)
    for _ in range(100):
        if await storage.find(Bucket.UPLOADS, name) is None:
            break
        await asyncio.sleep(0.1)
    assert await storage.find(Bucket.UPLOADS, name) is None


async def test_a_recording_that_is_deleted_while_it_is_recognised_leaves_nothing(
    api: Api, doctor: Person, patient: Person
) -> None:
    id = await upload(api, doctor, patient, a_visit())
    for _ in range(200):
        found = await transcriptions.get(id)
        if found is not None and found.state == "processing":
            break
        await asyncio.sleep(0.02)
    assert (await api.delete(f"/v1/transcriptions/{id}", doctor)).status_code == 204

    async def left() -> list[str]:
        places = (f"sound/{patient.uid}/{id}", f"transcripts/{patient.uid}/{id}")
        return [n for place in places for n in await storage.find_all(Bucket.RESULTS, place)]

    await asyncio.sleep(4)  # its result comes, and finds nothing that it belongs to
    assert await left() == []
    assert await transcriptions.get(id) is None
    assert [part async for part in said.all_(id)] == []


async def test_nothing_of_an_archived_patient_is_deleted(
    api: Api, admin: Person, doctor: Person
) -> None:
    person = await a_patient(api)
    await admit(api, person, doctor)
    id = await upload(api, doctor, person, a_visit())
    await ended(api, doctor, id)
    await api.delete(f"/v1/patients/{person.uid}", person)
    answer = await api.delete(f"/v1/transcriptions/{id}", doctor)
    assert (answer.status_code, answer.json()["title"]) == (409, "Patient archived")
    assert await storage.find(Bucket.UPLOADS, object_name(person.uid, id)) is not None


async def test_an_upload_without_any_body_is_told_so(api: Api, doctor: Person) -> None:
    assert (await api.post("/v1/transcriptions/upload", doctor)).status_code == 415


async def test_nothing_is_deleted_under_legal_hold(api: Api, admin: Person, doctor: Person) -> None:
    person = await a_patient(api)
    await admit(api, person, doctor)
    id = await a_transcription(person, doctor, "I cough.")
    hold = {"is_held": True, "reason": "a claim"}
    await api.put(f"/v1/patients/{person.uid}/legal-hold", admin, json=hold)
    answer = await api.delete(f"/v1/transcriptions/{id}", doctor)
    assert (answer.status_code, answer.json()["title"]) == (409, "Legal hold")
    assert (await api.get(f"/v1/transcriptions/{id}", doctor)).status_code == 200


async def test_p17_eight_hours_of_talk_fit_and_are_read_whole(
    api: Api, doctor: Person, figure: Any
) -> None:
    person = await a_patient(api)
    await admit(api, person, doctor)
    segments = [
        Segment(
            id=f"s{number}",
            speaker=str(1 + number % 2),
            start=number * 6.0,
            end=number * 6.0 + 5,
            text="I have had chest pain and a cough for about two weeks now, and no fever at all",
            words=[
                Word(text="something", start=number * 6 + at / 4, end=number * 6 + at / 4 + 0.2)
                for at in range(16)
            ],
        )
        for number in range(1, 4801)
    ]
    id = await stored(person, doctor, segments)
    sizes = [sum(len(value) for value in part.sealed.values()) async for part in said.all_(id)]
    figure("largest part of an eight-hour transcript (KB)", max(sizes) // 1000)
    assert len(sizes) > 5
    assert max(sizes) < 900_000
    found = (await api.get(f"/v1/transcriptions/{id}", doctor)).json()
    assert [each["id"] for each in found["segments"]] == [each.id for each in segments]
    assert len(found["terms"]) > 4800


async def test_the_export_holds_what_was_said_and_erasure_leaves_nothing(
    api: Api, admin: Person, doctor: Person
) -> None:
    person = await a_patient(api)
    await admit(api, person, doctor)
    id = await upload(api, person, person, a_visit())
    await ended(api, person, id)
    text = (await api.get(f"/v1/transcriptions/{id}", person)).json()["text"]
    bundle = (await api.get(f"/v1/patients/{person.uid}/export", person)).json()
    (document,) = [
        entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "DocumentReference"
    ]
    data = document["content"][0]["attachment"]["data"]
    assert base64.b64decode(data).decode() == text
    answer = await api.post(f"/v1/patients/{person.uid}/erasure", admin)
    assert answer.status_code == 409  # it must still be kept
    batch = Batch()
    record = await transcriptions.get(id)
    moment = datetime(2010, 1, 1, tzinfo=UTC)
    batch.update(transcriptions.path(id), {"update_time": moment})
    batch.update(patients.path(person.uid), {"clinical_time": moment})
    await batch.commit()
    assert record is not None
    answer = await api.post(f"/v1/patients/{person.uid}/erasure", admin)
    assert answer.status_code == 204, answer.text
    assert await transcriptions.get(id) is None
    assert [part async for part in said.all_(id)] == []
    assert await storage.find(Bucket.UPLOADS, record.object_name) is None


async def test_a_doctor_who_is_off_the_team_reads_nothing_more(api: Api, admin: Person) -> None:
    person, author = await a_patient(api), await a_listed_doctor(api, admin)
    await admit(api, person, author)
    id = await a_transcription(person, author, "I cough.")
    assert (await api.get(f"/v1/transcriptions/{id}", author)).status_code == 200
    await api.delete(f"/v1/patients/{person.uid}/care-team/{author.uid}", person)

    async def is_refused() -> bool:
        return (await api.get(f"/v1/transcriptions/{id}", author)).status_code == 404

    for _ in range(150):
        if await is_refused():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it is still read")
