"""Where recordings live in Firestore: `transcriptions`; what was said, below each in `private`."""

from collections.abc import Mapping
from typing import Any

from common import audit
from common.appointments import appointments
from common.clinical import Patient
from common.crypto import Vault
from common.firestore import Batch, Order, Where
from common.idempotency import Once
from common.models import AuditEvent
from common.pages import PageQuery
from common.scheduling import Appointment
from common.transcripts import (
    NoteVersion,
    SaidPrivate,
    Transcription,
    notes,
    read_said,
    said,
    transcriptions,
)
from common.uploads import UploadState

from .schemas import UploadCreated

_NEWEST: Order = [("create_time", "DESCENDING")]


async def get(transcription_id: str) -> Transcription | None:
    return await transcriptions.get(transcription_id)


async def appointment(appointment_id: str) -> Appointment | None:
    return await appointments.get(appointment_id)


async def list_(
    patient_id: str | None, state: UploadState | None, page: PageQuery
) -> tuple[list[Transcription], str | None]:
    """Newest first."""
    equal = {"patient_id": patient_id, "state": state}
    where: Where = [(name, "==", value) for name, value in equal.items() if value is not None]
    return await transcriptions.list_(where=where, order=_NEWEST, page=page)


async def content(transcription_id: str, vault: Vault) -> SaidPrivate:
    return await read_said(transcription_id, vault)


async def newest_note(record: Transcription) -> NoteVersion | None:
    if not record.note_version:
        return None
    return await notes.get(record.id, note_name(record.note_version))


def note_name(version: int) -> str:
    return f"{version:06d}"


async def add(
    patient: Patient,
    record: Transcription,
    once: Once,
    answer: UploadCreated,
    vault: Vault,
    event: AuditEvent,
) -> None:
    """Raises `RecordChanged` when the patient was changed, archived perhaps, since it was read."""
    batch = Batch()
    batch.create(record.path, record)
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
    once.remember(batch, 201, answer, f"/v1/{record.path}", vault)
    audit.add(batch, event)
    await batch.commit()


async def remember(once: Once, answer: UploadCreated, path: str, vault: Vault) -> None:
    """Store the answer for who sends the same again."""
    batch = Batch()
    once.remember(batch, 201, answer, f"/v1/{path}", vault)
    if len(batch):
        await batch.commit()


async def change(record: Transcription, fields: Mapping[str, Any], event: AuditEvent) -> None:
    batch = Batch()
    batch.update(record.path, fields, record.revision)
    audit.add(batch, event)
    await batch.commit()


async def delete(patient: Patient, record: Transcription, event: AuditEvent) -> None:
    """All of it in the database; its files are the caller's. Raises `RecordChanged`."""
    batch = Batch()
    async for part in said.all_(record.id):
        batch.delete(part.path)
    async for version in notes.all_(record.id):
        batch.delete(version.path)
    batch.verify(patient.path, {"has_legal_hold": patient.has_legal_hold}, patient.revision)
    batch.delete(record.path, revision=record.revision)
    audit.add(batch, event)
    await batch.commit()
