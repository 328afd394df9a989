"""Where images live in Firestore: `medical_images`; what was found, below each in `private`."""

from collections.abc import Mapping
from typing import Any

from common import audit
from common.appointments import appointments
from common.clinical import Patient
from common.crypto import Vault
from common.firestore import Batch, Order, Where
from common.idempotency import Once
from common.images import (
    FINDINGS,
    FindingsPrivate,
    MedicalImage,
    Study,
    image_findings,
    instances,
    medical_images,
    studies,
)
from common.imaging import ImageAnalysis
from common.models import AuditEvent
from common.pages import PageQuery
from common.scheduling import Appointment
from common.uploads import UploadState

from .schemas import ImageFilter, ImageUploadCreated

_NEWEST: Order = [("create_time", "DESCENDING")]


async def get(image_id: str) -> MedicalImage | None:
    return await medical_images.get(image_id)


async def appointment(appointment_id: str) -> Appointment | None:
    return await appointments.get(appointment_id)


async def list_(patient_id: str | None, wish: ImageFilter) -> tuple[list[MedicalImage], str | None]:
    """Newest first."""
    equal = {
        "patient_id": patient_id,
        "state": wish.status,
        "modality": wish.modality,
        "study_id": wish.study_id,
    }
    where: Where = [(name, "==", value) for name, value in equal.items() if value is not None]
    return await medical_images.list_(where=where, order=_NEWEST, page=wish)


async def list_studies(patient_id: str, page: PageQuery) -> tuple[list[Study], str | None]:
    """Newest first, by when their first image came."""
    return await studies.list_(patient_id, order=_NEWEST, page=page)


async def images_in(patient_id: str, study_id: str) -> int:
    where: Where = [
        ("patient_id", "==", patient_id),
        ("study_id", "==", study_id),
        ("state", "==", UploadState.COMPLETED),
    ]
    return await medical_images.count(where=where)


async def analysis(image_id: str, vault: Vault) -> ImageAnalysis | None:
    found = await image_findings.get(image_id, FINDINGS)
    if found is None:
        return None
    return vault.open_all(found.path, found.sealed, FindingsPrivate).analysis


async def add(
    patient: Patient,
    record: MedicalImage,
    once: Once,
    answer: ImageUploadCreated,
    vault: Vault,
    event: AuditEvent,
) -> None:
    """Raises `RecordChanged` when the patient was changed, archived perhaps, since it was read."""
    batch = Batch()
    batch.create(record.path, record)
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
    once.remember(batch, 201, answer, location(record), vault)
    audit.add(batch, event)
    await batch.commit()


async def remember(
    once: Once, answer: ImageUploadCreated, record: MedicalImage, vault: Vault
) -> None:
    """Store the answer for who sends the same again."""
    batch = Batch()
    once.remember(batch, 201, answer, location(record), vault)
    if len(batch):
        await batch.commit()


def location(record: MedicalImage) -> str:
    return f"/v1/medical-images/{record.id}"


async def change(record: MedicalImage, fields: Mapping[str, Any], event: AuditEvent) -> None:
    batch = Batch()
    batch.update(record.path, fields, record.revision)
    audit.add(batch, event)
    await batch.commit()


async def delete(patient: Patient, record: MedicalImage, event: AuditEvent) -> None:
    """All of it in the database; its files are the caller's. Raises `RecordChanged`."""
    batch = Batch()
    batch.delete(image_findings.path(record.id, FINDINGS))
    if record.instance_key is not None:
        batch.delete(instances.path(record.patient_id, record.instance_key))
    batch.verify(patient.path, {"has_legal_hold": patient.has_legal_hold}, patient.revision)
    batch.delete(record.path, revision=record.revision)
    audit.add(batch, event)
    await batch.commit()
