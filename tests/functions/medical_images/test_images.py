"""Announcing, sending, following, looking at and deleting images."""

import io
from typing import Any

import httpx
import pydicom
import pytest
from fhir.resources.R4B.bundle import Bundle
from PIL import Image

from common import storage
from common.images import image_findings, instances, medical_images, object_name
from common.storage import Bucket
from tests.client import Api, Person, a_bookable_doctor, a_patient, admit
from tests.pictured import a_photo, a_picture, a_scan, announce_image, carried, put_image, worked_on
from tests.recorded import send


@pytest.fixture(scope="module")
async def doctor(api: Api, admin: Person) -> Person:
    return await a_bookable_doctor(api, admin)


@pytest.fixture(scope="module")
async def patient(api: Api, doctor: Person) -> Person:
    person = await a_patient(api)
    await admit(api, person, doctor)
    return person


async def downloaded(api: Api, someone: Person, path: str) -> httpx.Response:
    answer = await api.get(f"/v1/medical-images/{path}", someone)
    assert answer.status_code == 200, answer.text
    async with httpx.AsyncClient() as http:
        return await http.get(answer.json()["url"])


async def test_a_scan_is_sent_described_shown_cleaned_and_looked_at(
    api: Api, doctor: Person, patient: Person
) -> None:
    scan = a_scan(a_picture("GARCIA MARIA", "MRN 4471882"), BodyPartExamined="CHEST")
    announced = await announce_image(api, doctor, patient, size_bytes=len(scan))
    assert announced["image"]["state"] == "pending_upload"
    assert (await send(announced, scan)).status_code == 200
    id = announced["image"]["image_id"]
    image = await worked_on(api, patient, id)
    assert (image["state"], image["reason"]) == ("completed", None)
    assert image["deidentification"] == "done"
    assert image["metadata"]["modality"] == "CT"
    assert image["metadata"]["body_site"] == "CHEST"
    assert image["file_name"] == "canary scan.dcm"

    preview = await downloaded(api, doctor, f"{id}/preview")
    assert preview.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(preview.content)).size == (512, 384)
    small = await downloaded(api, doctor, f"{id}/preview?size=thumbnail")
    assert Image.open(io.BytesIO(small.content)).size == (256, 192)
    original = await downloaded(api, patient, f"{id}/content")
    assert original.content == scan
    assert "attachment" in original.headers["content-disposition"]

    found = (await api.get(f"/v1/medical-images/analysis/{id}", doctor)).json()
    assert {"GARCIA", "MARIA"} <= {word["text"] for word in found["text"]}
    assert found["identifiers_in_pixels"] >= 3
    assert {"PatientName", "PatientID"} <= set(found["identifiers_in_tags"])
    assert found["report"]["residual_count"] == 0
    assert found["model"] == "google-cloud-vision"
    assert "no diagnosis" in found["disclaimer"]
    assert found["quality"]["exposure"] > 0

    copy = (await downloaded(api, doctor, f"{id}/deidentified")).content
    clean = pydicom.dcmread(io.BytesIO(copy))
    assert clean.pixel_array[20:90, 20:300].max() <= 40  # where the name was
    assert "Garc" not in str(clean)


async def test_a_photograph_is_sent_at_once(api: Api, patient: Person) -> None:
    id = await put_image(api, patient, patient, a_photo("a mole"), "image/png")
    image = await worked_on(api, patient, id)
    assert image["state"] == "completed"
    assert image["metadata"]["kind"] == "png"
    assert image["study_id"] is None


async def test_the_same_instance_is_one_record(api: Api, doctor: Person, patient: Person) -> None:
    uid = "1.2.826.0.1.3680043.8.498.77"
    scan = a_scan(SOPInstanceUID=uid)
    first = await put_image(api, doctor, patient, scan)
    assert (await worked_on(api, patient, first))["state"] == "completed"
    again = await worked_on(api, patient, await put_image(api, doctor, patient, scan))
    assert (again["state"], again["reason"]) == ("rejected", "duplicate")
    assert again["duplicate_of"] == first
    other = a_scan(a_picture("other"), SOPInstanceUID=uid)
    third = await worked_on(api, patient, await put_image(api, doctor, patient, other))
    assert third["reason"] == "conflicting_instance"

    assert (await api.delete(f"/v1/medical-images/{first}", doctor)).status_code == 204
    anew = await worked_on(api, patient, await put_image(api, doctor, patient, scan))
    assert anew["state"] == "completed"


async def test_images_of_a_study_are_found_together(
    api: Api, doctor: Person, admin: Person
) -> None:
    patient = await a_patient(api)
    await admit(api, patient, doctor)
    study = {"StudyInstanceUID": "1.2.826.0.1.3680043.8.498.5", "SeriesInstanceUID": "1.2.3.1"}
    for number in range(3):
        series = {"SeriesInstanceUID": f"1.2.3.{number % 2}"}
        image = a_picture(f"slice {number}")
        id = await put_image(api, doctor, patient, a_scan(image, **{**study, **series}))
        assert (await worked_on(api, patient, id))["state"] == "completed"
    lone = await put_image(api, doctor, patient, a_scan(Modality="MR"))
    await worked_on(api, patient, lone)
    found = (await api.get("/v1/medical-images/studies", patient)).json()["items"]
    assert [each["image_count"] for each in found] == [1, 3]
    assert found[1]["study_instance_uid"] == study["StudyInstanceUID"]
    assert len(found[1]["series"]) == 2
    assert found[1]["modalities"] == ["CT"]
    query = f"/v1/medical-images?patient_id={patient.uid}&study_id={found[1]['study_id']}"
    assert len((await api.get(query, doctor)).json()["items"]) == 3
    of_kind = (await api.get("/v1/medical-images?modality=MR", patient)).json()["items"]
    assert [each["image_id"] for each in of_kind] == [lone]
    done = (await api.get("/v1/medical-images?status=completed&page_size=3", patient)).json()
    assert len(done["items"]) == 3
    rest = f"/v1/medical-images?status=completed&page_size=3&page_token={done['next_page_token']}"
    assert len((await api.get(rest, patient)).json()["items"]) == 1
    assert (await api.get("/v1/medical-images/studies", doctor)).status_code == 422
    assert (await api.get("/v1/medical-images", doctor)).status_code == 422
    assert (await api.get("/v1/medical-images?status=completed", admin)).status_code == 200


async def test_a_deleted_image_is_gone_with_every_copy(
    api: Api, doctor: Person, patient: Person
) -> None:
    id = await put_image(api, doctor, patient, a_scan())
    await worked_on(api, patient, id)
    record = await medical_images.get(id)
    assert record is not None
    assert record.instance_key is not None
    path = f"/v1/medical-images/{id}"
    assert (await api.delete(path, patient)).status_code == 403
    assert (await api.delete(path, doctor)).status_code == 204
    for gone in (path, f"/v1/medical-images/analysis/{id}", f"{path}/preview", f"{path}/content"):
        assert (await api.get(gone, doctor)).status_code == 404
    name = object_name(patient.uid, id)
    for bucket in Bucket:
        assert await storage.find_all(bucket, name) == []
    assert [part async for part in image_findings.all_(id)] == []
    assert await instances.get(patient.uid, record.instance_key) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"MZ" + bytes(126) + a_scan()[128:], "hidden_file", id="a program"),
        pytest.param(a_scan()[:-1000], "truncated", id="cut off"),
        pytest.param(b"x" * 300, "not_image", id="no image"),
        pytest.param(carried("DICOMDIR-empty.dcm"), "directory", id="a directory"),
    ],
)
async def test_what_is_refused_says_why_and_is_not_to_be_had(
    api: Api, patient: Person, content: bytes, reason: str
) -> None:
    id = await put_image(api, patient, patient, content)
    image = await worked_on(api, patient, id)
    assert (image["state"], image["reason"]) == ("rejected", reason)
    assert image["detail"]
    for what in ("preview", "content", "deidentified"):
        assert (await api.get(f"/v1/medical-images/{id}/{what}", patient)).status_code == 409
    assert (await api.get(f"/v1/medical-images/analysis/{id}", patient)).status_code == 409


async def test_what_has_no_pixels_has_metadata_and_says_so(api: Api, patient: Person) -> None:
    id = await put_image(api, patient, patient, carried("test-SR.dcm"))
    image = await worked_on(api, patient, id)
    assert image["state"] == "completed"
    assert image["metadata"]["modality"] == "SR"
    assert image["metadata"]["has_pixels"] is False
    answer = await api.get(f"/v1/medical-images/{id}/preview", patient)
    assert answer.status_code == 409
    assert "no pixels" in answer.json()["detail"]


async def test_somebody_elses_image_is_pointed_out(
    api: Api, doctor: Person, patient: Person
) -> None:
    scan = a_scan(PatientName="Nobody^Else", PatientBirthDate="19010101")
    image = await worked_on(api, doctor, await put_image(api, doctor, patient, scan))
    assert {"birth_date", "name"} <= set(image["metadata"]["differs_from_record"])


async def test_an_export_has_studies_and_photographs(api: Api, doctor: Person) -> None:
    patient = await a_patient(api)
    await admit(api, patient, doctor)
    scan = a_scan(SeriesNumber=2, InstanceNumber=7, BodyPartExamined="CHEST")
    for content, kind in ((scan, "application/dicom"), (a_photo("a mole"), "image/png")):
        id = await put_image(api, doctor, patient, content, kind)
        assert (await worked_on(api, patient, id))["state"] == "completed"
    text = (await api.get(f"/v1/patients/{patient.uid}/export", patient)).text
    found: dict[str, Any] = {
        entry.resource.get_resource_type(): entry.resource  # type: ignore[union-attr]
        for entry in Bundle.model_validate_json(text).entry or []  # FHIR R4B
    }
    study, photo = found["ImagingStudy"], found["DocumentReference"]
    assert (study.numberOfInstances, study.description) == (1, "Chest")
    assert study.modality[0].code == "CT"
    assert study.identifier[0].value.startswith("urn:oid:")
    assert (study.series[0].number, study.series[0].instance[0].number) == (2, 7)
    assert photo.content[0].attachment.url == f"/v1/medical-images/{id}/content"
    assert photo.content[0].attachment.contentType == "image/png"


AN_UPLOAD: dict[str, Any] = {
    "file_name": "scan.dcm",
    "content_type": "application/dicom",
    "size_bytes": 1000,
}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"content_type": "audio/wav"}, "/content_type"),
        ({"size_bytes": 0}, "/size_bytes"),
        ({"size_bytes": 500_000_001}, "/size_bytes"),
        ({"sha256": "short"}, "/sha256"),
        ({"file_name": ""}, "/file_name"),
        ({"unknown": 1}, "/unknown"),
        ({"appointment_id": "nothing-like-it"}, "/appointment_id"),
    ],
)
async def test_what_can_not_be_announced_is_told_by_field(
    api: Api, patient: Person, change: dict[str, Any], pointer: str
) -> None:
    answer = await api.post("/v1/medical-images/upload", patient, json={**AN_UPLOAD, **change})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_an_awaited_image_can_be_announced_anew_until_it_has_come(
    api: Api, doctor: Person, patient: Person
) -> None:
    scan = a_scan()
    announced = await announce_image(api, doctor, patient, size_bytes=len(scan))
    path = f"/v1/medical-images/{announced['image']['image_id']}/upload"
    renewed = await api.post(path, doctor)
    assert renewed.status_code == 200, renewed.text
    assert (await send(renewed.json(), scan)).status_code == 200
    await worked_on(api, patient, announced["image"]["image_id"])
    assert (await api.post(path, doctor)).status_code == 409


async def test_who_sends_the_same_key_again_gets_the_same_image(api: Api, patient: Person) -> None:
    headers = {"Idempotency-Key": "an-image-once"}
    answers = [
        await api.post("/v1/medical-images/upload", patient, json=AN_UPLOAD, headers=headers)
        for _ in range(2)
    ]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json()["image"]["image_id"] == answers[1].json()["image"]["image_id"]
