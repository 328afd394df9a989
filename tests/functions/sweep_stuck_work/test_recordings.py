"""Recordings that stand still are begun again, or ended with a reason."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from common import storage
from common.firestore import Batch, now
from common.storage import Bucket
from common.transcripts import Transcription, object_name, transcriptions
from common.uploads import MAX_ATTEMPTS
from local.platform import Platform
from tests.client import Api, Person, a_patient
from tests.recorded import FINAL, a_visit, announce, ended, upload


@pytest.fixture(scope="module")
async def patient(api: Api) -> Person:
    return await a_patient(api)


async def make(id: str, **fields: Any) -> None:
    """As if that had come to pass."""
    batch = Batch()
    batch.update(transcriptions.path(id), {"due_time": now(), **fields})
    await batch.commit()


async def record(id: str) -> Transcription:
    found = await transcriptions.get(id)
    assert found is not None
    return found


async def swept(platform: Platform, id: str) -> Transcription:
    """The record, once a sweep has looked at it."""
    before = await record(id)
    platform.fire("sweep_stuck_work")
    for _ in range(300):
        found = await record(id)
        if found.revision != before.revision:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("the sweep did nothing")


async def a_done_one(api: Api, patient: Person) -> str:
    id = await upload(api, patient, patient, a_visit())
    assert (await ended(api, patient, id))["state"] == "completed"
    return id


async def test_a_file_that_never_came_is_given_up_after_a_day(
    api: Api, platform: Platform, patient: Person
) -> None:
    announced = await announce(api, patient, patient, size_bytes=10)
    id = announced["transcription"]["transcription_id"]
    await make(id)
    waiting = await swept(platform, id)
    assert (waiting.state, waiting.reason) == ("pending_upload", None)
    assert waiting.due_time is not None
    assert waiting.due_time > now()
    await make(id, create_time=now() - timedelta(days=2))
    failed = await swept(platform, id)
    assert (failed.state, failed.reason, failed.due_time) == ("failed", "not_uploaded", None)


async def test_a_file_that_came_without_word_of_it_is_found(
    api: Api, platform: Platform, patient: Person
) -> None:
    id = await a_done_one(api, patient)
    await make(id, state="pending_upload", generation=0, attempts=0, progress=0)
    await swept(platform, id)
    assert (await ended(api, patient, id))["state"] == "completed"


async def test_a_worker_that_died_is_replaced_and_at_last_nobody_is(
    api: Api, platform: Platform, patient: Person
) -> None:
    id = await a_done_one(api, patient)
    await make(id, state="uploaded", claimed_by="a message of the dead")
    await swept(platform, id)
    status = await ended(api, patient, id)
    assert (status["state"], status["attempts"]) == ("completed", 2)
    await make(id, state="uploaded", attempts=MAX_ATTEMPTS)
    failed = await swept(platform, id)
    assert (failed.state, failed.reason) == ("failed", "processing_failed")


@pytest.mark.parametrize("operation", ["projects/p/locations/us/operations/unheard-of", "nonsense"])
async def test_a_recognition_that_nobody_knows_is_begun_again(
    api: Api, platform: Platform, patient: Person, operation: str
) -> None:
    id = await a_done_one(api, patient)
    await make(id, state="processing", operation=operation)
    await swept(platform, id)
    status = await ended(api, patient, id)
    assert (status["state"], status["attempts"]) == ("completed", 2)


async def test_a_result_that_nobody_told_of_is_found(
    api: Api, platform: Platform, patient: Person
) -> None:
    id = await a_done_one(api, patient)
    found = await record(id)
    name = f"transcripts/{patient.uid}/{id}/{found.generation}-1/x_transcript_1.json"
    result = b'{"results": [{"alternatives": [{"transcript": "I have a cough"}]}]}'
    await make(id, state="processing", operation="projects/p/locations/us/operations/gone")
    await storage.create(Bucket.RESULTS, name, result, "application/json")
    status = await ended(api, patient, id)
    assert status["state"] == "completed"
    read = (await api.get(f"/v1/transcriptions/{id}", patient)).json()
    assert read["segments"]


async def test_two_sweeps_at_once_begin_it_again_once(
    api: Api, platform: Platform, patient: Person
) -> None:
    id = await a_done_one(api, patient)
    await make(id, state="uploaded", claimed_by="")
    for _ in range(4):
        platform.fire("sweep_stuck_work")
    for _ in range(400):
        found = await record(id)
        if found.state in FINAL and found.attempts == 2:
            break
        await asyncio.sleep(0.05)
    assert (await record(id)).attempts == 2
    assert await storage.find(Bucket.UPLOADS, object_name(patient.uid, id)) is not None
