"""Images whose message comes often, late or never, whose reader dies, whose services are away."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import grpc
import httpx
import psutil
import pytest

from common import audit, storage
from common.firestore import Batch, now
from common.images import MedicalImage, medical_images, object_name
from common.problems import Unavailable
from common.storage import Bucket
from common.uploads import MAX_ATTEMPTS
from local.platform import PROJECT, Platform
from local.ports import HOST
from ops.replay import NotFailed, retry_image
from tests.client import Api, Person, a_patient
from tests.pictured import a_picture, a_scan, announce_image, opened, put_image, worked_on
from tests.processes import quiet, until, worker
from tests.recorder import Recorder

Fail = Callable[[str], Awaitable[None]]


@pytest.fixture(scope="module")
async def patient(api: Api) -> Person:
    return await a_patient(api)


@pytest.fixture
async def vision(platform: Platform) -> AsyncIterator[Fail]:
    """Tell the stand-in how to fail; at the end it does not."""

    async def fail(mode: str) -> None:
        wanted = json.dumps({"BatchAnnotateImages": mode} if mode else {}).encode()
        async with grpc.aio.insecure_channel(f"{HOST}:{platform.ports.vision}") as channel:
            await channel.unary_unary("/healthhub.dev.Faults/Set")(wanted)

    yield fail
    await fail("")


async def record(id: str) -> MedicalImage:
    found = await medical_images.get(id)
    assert found is not None
    return found


async def deliver(platform: Platform, name: str, generation: int, message: str) -> int:
    attributes = {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": f"{PROJECT}-uploads",
        "objectId": name,
        "objectGeneration": str(generation),
    }
    body = {
        "message": {"messageId": message, "attributes": attributes, "data": ""},
        "subscription": "analyze_image",
    }
    async with httpx.AsyncClient(timeout=60) as http:
        return (await http.post(platform.functions["analyze_image"] + "/", json=body)).status_code


async def make(id: str, **fields: Any) -> None:
    """As if that had come to pass."""
    batch = Batch()
    batch.update(medical_images.path(id), {"due_time": now(), **fields})
    await batch.commit()


async def swept(platform: Platform, id: str) -> MedicalImage:
    """The record, once a sweep has looked at it."""
    before = await record(id)
    platform.fire("sweep_stuck_work")

    async def has_changed() -> bool:
        return (await record(id)).revision != before.revision

    await until(has_changed)
    return await record(id)


async def test_p26_an_image_is_analysed_once_however_often_it_is_told(
    api: Api, platform: Platform, patient: Person
) -> None:
    id = await put_image(api, patient, patient, a_scan())
    await worked_on(api, patient, id)
    done = await record(id)
    statuses = await asyncio.gather(
        *(deliver(platform, done.object_name, done.generation, str(n)) for n in range(5)),
        deliver(platform, done.object_name, done.generation - 1, "older"),
    )
    assert set(statuses) == {204}
    assert (await record(id)).revision == done.revision
    events = await audit.audit_events.find(
        where=[("resource", "==", done.path), ("action", "==", "medical-images.store")], limit=5
    )
    assert len(events) == 1


async def test_p26_of_two_copies_that_come_together_one_is_taken(api: Api, patient: Person) -> None:
    scan = a_scan()
    ids = await asyncio.gather(*(put_image(api, patient, patient, scan) for _ in range(3)))
    ends = [await worked_on(api, patient, id) for id in ids]
    assert sorted(end["state"] for end in ends) == ["completed", "rejected", "rejected"]
    assert {end["reason"] for end in ends} == {None, "duplicate"}


async def test_p30_a_file_that_is_not_the_announced_one_is_refused(
    api: Api, patient: Person
) -> None:
    scan = a_scan()
    announced = await announce_image(api, patient, patient, size_bytes=len(scan), sha256="0" * 64)
    id = announced["image"]["image_id"]
    await storage.create(Bucket.UPLOADS, object_name(patient.uid, id), scan, "application/dicom")
    assert (await worked_on(api, patient, id))["reason"] == "hash_mismatch"
    short = await announce_image(api, patient, patient, size_bytes=99)
    id = short["image"]["image_id"]
    await storage.create(Bucket.UPLOADS, object_name(patient.uid, id), scan, "application/dicom")
    assert (await worked_on(api, patient, id))["reason"] == "size_mismatch"


async def test_p31_malware_in_an_image_is_quarantined(api: Api, patient: Person) -> None:
    eicar = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    id = await put_image(api, patient, patient, a_scan() + eicar)
    assert (await worked_on(api, patient, id))["reason"] == "malware"
    name = object_name(patient.uid, id)
    assert await storage.find(Bucket.UPLOADS, name) is None
    assert await storage.find(Bucket.QUARANTINE, name) is not None
    assert await storage.find_all(Bucket.PREVIEWS, name) == []


async def test_p34_what_can_still_be_read_is_never_shared(
    api: Api, patient: Person, vision: Fail
) -> None:
    await vision("lasting")
    id = await put_image(api, patient, patient, a_scan())
    image = await worked_on(api, patient, id)
    assert (image["state"], image["deidentification"]) == ("completed", "text_left")
    answer = await api.get(f"/v1/medical-images/{id}/deidentified", patient)
    assert answer.status_code == 409
    assert "could not be removed" in answer.json()["detail"]
    assert await storage.find(Bucket.DEIDENTIFIED, object_name(patient.uid, id)) is None
    found = (await api.get(f"/v1/medical-images/analysis/{id}", patient)).json()
    assert found["report"]["residual_count"] > 0
    assert found["labels"] == []  # nobody else was shown it


@pytest.mark.parametrize("mode", ["fail", "busy", "partial", "garbage"])
async def test_p35_while_vision_is_away_nothing_is_lost(
    api: Api, patient: Person, vision: Fail, mode: str
) -> None:
    await vision(mode)
    id = await put_image(api, patient, patient, a_scan(a_picture("García")))

    async def has_met_it() -> bool:
        return (await record(id)).attempts > 1 or (await record(id)).state.is_final

    await until(has_met_it)
    await vision("")
    image = await worked_on(api, patient, id)
    if image["state"] == "failed":  # the emulator delivers again without a pause
        assert image["reason"] == "vision_failed"
        await retry_image(id)

        async def is_done() -> bool:
            return (await record(id)).state == "completed"

        await until(is_done)
    with pytest.raises(NotFailed):
        await retry_image(id)
    assert (await api.get(f"/v1/medical-images/{id}", patient)).json()["deidentification"] == "done"


async def test_p35_what_vision_refuses_fails_with_its_reason(
    api: Api, patient: Person, vision: Fail
) -> None:
    await vision("refuse")
    id = await put_image(api, patient, patient, a_scan())
    image = await worked_on(api, patient, id)
    assert (image["state"], image["reason"]) == ("failed", "vision_failed")
    with pytest.raises(NotFailed):
        await retry_image("nothing-of-this-name")


async def test_p13_a_reader_that_is_killed_is_not_the_files_fault(platform: Platform) -> None:
    async with opened(a_scan()) as picture:
        await picture.examine()
        (reader,) = [
            each for each in psutil.Process().children() if "common.picture" in each.cmdline()
        ]
        reader.kill()
        with pytest.raises(Unavailable):
            await picture.examine()


@pytest.mark.parametrize("step", ["claimed", "shown", "read", "cleaned", "completed"])
async def test_p13_an_image_whose_worker_is_killed_at_any_step_is_analysed_once(
    api: Api, platform: Platform, patient: Person, recorder: Recorder, step: str, figure: Any
) -> None:
    """kill -9 while the step's commit is on its way; Pub/Sub delivers again, and it ends once."""
    scan = a_scan(a_picture("García"))
    announced = await announce_image(api, patient, patient, size_bytes=len(scan))
    id = announced["image"]["image_id"]
    wanted = {"shown": 30, "read": 60, "cleaned": 80, "completed": 100}

    def is_the_step(commit: Any) -> bool:
        for write in commit.writes:
            if write.update.name.endswith(f"medical_images/{id}"):
                fields = write.update.fields
                if step == "claimed":
                    return "claimed_by" in fields
                return bool(fields["progress"].integer_value == wanted[step])
        return False

    with recorder.held("Commit", is_the_step) as held:
        name = object_name(patient.uid, id)
        await storage.create(Bucket.UPLOADS, name, scan, "application/dicom")
        await held.met()
        worker(platform, "analyze_image").kill()
    image = await worked_on(api, patient, id)
    figure(f"killed while {step}", image["state"])
    assert (image["state"], image["deidentification"]) == ("completed", "done")
    events = await audit.audit_events.find(
        where=[
            ("resource", "==", (await record(id)).path),
            ("action", "==", "medical-images.store"),
        ],
        limit=5,
    )
    assert len(events) == 1
    names = set(await storage.find_all(Bucket.PREVIEWS, name))
    assert names == {f"{name}/preview.png", f"{name}/thumbnail.png"}


async def test_p28_what_is_made_of_an_image_triggers_nothing_more(
    api: Api, platform: Platform, patient: Person, figure: Any
) -> None:
    functions = ("analyze_image", "transcribe_audio", "store_transcript")
    counts = []
    for _ in range(2):
        before = await quiet(platform, *functions)
        id = await put_image(api, patient, patient, a_scan())
        assert (await worked_on(api, patient, id))["state"] == "completed"
        counts.append(await quiet(platform, *functions) - before)
    figure("invocations per image", counts)
    assert counts == [1, 1]


async def test_an_image_that_is_deleted_before_its_file_comes_takes_nothing(
    api: Api, platform: Platform, patient: Person, admin: Person
) -> None:
    announced = await announce_image(api, patient, patient, size_bytes=10)
    id = announced["image"]["image_id"]
    assert (await api.delete(f"/v1/medical-images/{id}", admin)).status_code == 204
    name = object_name(patient.uid, id)
    await storage.create(Bucket.UPLOADS, name, b"0123456789", "application/dicom")

    async def is_gone() -> bool:
        return await storage.find(Bucket.UPLOADS, name) is None

    await until(is_gone)
    assert await deliver(platform, "images/without-an-id", 1, "1") == 204  # it is of no use


async def test_images_that_stand_still_are_begun_again_or_ended(
    api: Api, platform: Platform, patient: Person
) -> None:
    announced = await announce_image(api, patient, patient, size_bytes=10)
    id = announced["image"]["image_id"]
    await make(id)
    assert (await swept(platform, id)).state == "pending_upload"
    await make(id, create_time=now() - timedelta(days=2))
    assert (await swept(platform, id)).reason == "not_uploaded"

    id = await put_image(api, patient, patient, a_scan())
    await worked_on(api, patient, id)
    await make(id, state="processing", claimed_by="a worker that was killed", attempts=1)
    await swept(platform, id)
    assert (await worked_on(api, patient, id))["state"] == "completed"
    await make(id, state="processing", claimed_by="another", attempts=MAX_ATTEMPTS)
    given_up = await swept(platform, id)
    assert (given_up.state, given_up.reason) == ("failed", "processing_failed")
