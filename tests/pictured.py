"""Medical images that were drawn, sent and analysed, for tests."""

import asyncio
import io
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from common import crypto, pictures, storage
from common.firestore import Batch, id_by_time, now
from common.images import (
    FINDINGS,
    ImageFindings,
    MedicalImage,
    image_findings,
    medical_images,
)
from common.imaging import (
    Deidentification,
    DeidentificationReport,
    ImageAnalysis,
    ImageMetadata,
    Rendition,
)
from common.pictures import Picture
from common.storage import Bucket
from common.uploads import UploadState
from common.verdict import HEAD_BYTES, kind_of
from tests.client import Api, Person
from tests.recorded import FINAL, announced

CARRIED = Path(pydicom.__file__).parent / "data"
"""What the pydicom package carries."""


def carried(name: str) -> bytes:
    """One of pydicom's own test files, whose preamble is emptied: many begin as a TIFF file does."""
    content = next(CARRIED.rglob(name)).read_bytes()
    return bytes(128) + content[128:] if content[128:132] == b"DICM" else content


def a_picture(*lines: str, size: tuple[int, int] = (512, 384), ground: int = 40) -> Image.Image:
    """Grey, with these lines of text."""
    image = Image.new("L", size, ground)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((20, 20 + 40 * number), line, font=ImageFont.load_default(24), fill=230)
    return image


def a_photo(*lines: str, format: str = "PNG", **more: Any) -> bytes:
    into = io.BytesIO()
    a_picture(*lines).convert("RGB").save(into, format, **more)
    return into.getvalue()


def a_scan(image: Image.Image | None = None, **attributes: Any) -> bytes:
    """A CT slice as a scanner writes it, of a patient who does not exist."""
    image = image or a_picture()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = attributes.get("SOPInstanceUID", generate_uid())
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    told: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "Modality": "CT",
        "PatientName": "García^María",
        "PatientID": "MRN-4471882",
        "PatientBirthDate": "19840312",
        "PatientSex": "F",
        "StudyDate": "20260214",
        "StudyTime": "101500",
        "StudyDescription": "Chest",
        "SpecificCharacterSet": "ISO_IR 192",
        "Rows": image.height,
        "Columns": image.width,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelData": numpy.asarray(image).tobytes(),
        **attributes,
    }
    for keyword, value in told.items():
        setattr(data, keyword, value)
    into = io.BytesIO()
    data.save_as(into, enforce_file_format=True)
    return into.getvalue()


@asynccontextmanager
async def opened(content: bytes) -> AsyncIterator[Picture]:
    """An image as `analyze_image` opens it, in a process of its own."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        file.seek(0)
        async with pictures.opened(file, kind_of(content[:HEAD_BYTES])) as picture:
            yield picture


async def announce_image(
    api: Api, author: Person, patient: Person, **fields: Any
) -> dict[str, Any]:
    """An upload that is awaited, as its author is told of it."""
    body = {
        "patient_id": patient.uid,
        "file_name": "canary scan.dcm",
        "content_type": "application/dicom",
        **fields,
    }
    return await announced(api, "medical-images", author, body)


async def put_image(
    api: Api, author: Person, patient: Person, content: bytes, kind: str = "application/dicom"
) -> str:
    """Send an image at once; returns its id."""
    answer = await api.post(
        "/v1/medical-images/upload",
        author,
        files={"file": ("canary scan", content, kind)},
        data={"patient_id": patient.uid},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["image"]["image_id"])


async def worked_on(api: Api, someone: Person, image_id: str, within: float = 90) -> dict[str, Any]:
    """The image, once its state is final."""
    deadline = time.monotonic() + within
    while True:
        answer = await api.get(f"/v1/medical-images/{image_id}", someone)
        assert answer.status_code == 200, answer.text
        image = dict(answer.json())
        if image["state"] in FINAL:
            return image
        assert time.monotonic() < deadline, f"still {image}"
        await asyncio.sleep(0.1)


async def an_image(patient: Person, author: Person, **fields: Any) -> str:
    """An image as if it had been analysed. Returns its id."""
    moment = now()
    vault = await crypto.vault_of(patient.uid)
    path = medical_images.path(id_by_time(moment))
    metadata = ImageMetadata(kind="png", rows=1, columns=1, frame_count=1)
    record = MedicalImage(
        **{
            "create_time": moment,
            "update_time": moment,
            "patient_id": patient.uid,
            "author_uid": author.uid,
            "state": UploadState.COMPLETED,
            "progress": 100,
            "content_type": "image/png",
            "size_bytes": 1,
            "frame_count": 1,
            "renditions": [Rendition.PREVIEW, Rendition.THUMBNAIL],
            "deidentification": Deidentification.DONE,
            "sealed": {
                "file_name": vault.seal(path, "file_name", "canary scan.png"),
                "metadata": vault.seal(path, "metadata", metadata.model_dump(mode="json")),
            },
            **fields,
        }
    )
    record.stored_as(path, "")
    analysis = ImageAnalysis(
        report=DeidentificationReport(status=Deidentification.DONE, profile="test"),
        model="test",
        model_version="1",
        analysis_time=moment,
    )
    findings = image_findings.path(record.id, FINDINGS)
    sealed = {"analysis": vault.seal(findings, "analysis", analysis.model_dump(mode="json"))}
    batch = Batch()
    batch.create(path, record)
    batch.create(findings, ImageFindings(create_time=moment, update_time=moment, sealed=sealed))
    await batch.commit()
    await storage.create(Bucket.DEIDENTIFIED, record.object_name, a_photo(), "image/png")
    return record.id
