"""Where notes live in Firestore: `transcriptions/{transcription_id}/notes`, a document for each version."""

from collections.abc import Sequence

from common import audit
from common.clinical import HistoryRecord, Patient
from common.crypto import Vault
from common.directory import doctors
from common.firestore import Batch, Order, now
from common.idempotency import Once
from common.models import AuditEvent
from common.pages import PageQuery
from common.transcripts import NoteVersion, Transcription, notes

from ..schemas import NotePublic


async def doctor_name(uid: str) -> str:
    doctor = await doctors.get(uid)
    return doctor.name if doctor is not None else ""


async def list_(transcription_id: str, page: PageQuery) -> tuple[list[NoteVersion], str | None]:
    order: Order = [("version", "DESCENDING")]
    return await notes.list_(transcription_id, order=order, page=page)


async def add(
    patient: Patient,
    record: Transcription,
    version: NoteVersion,
    events: Sequence[AuditEvent],
    entered: HistoryRecord | None = None,
    replay: tuple[Once, NotePublic, Vault] | None = None,
) -> Transcription:
    """Store a version, and say so in the transcription; with `entered`, in the patient's history too.

    Returns the transcription. Raises `RecordChanged` when it, or the patient, was changed meanwhile.
    """
    batch = Batch()
    batch.create(version.path, version)
    fields = {
        "note_state": version.state,
        "note_version": version.version,
        "update_time": now(),
    }
    batch.update(record.path, fields, record.revision)
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
    if entered is not None:
        batch.create(entered.path, entered)
    if replay is not None:
        once, answer, vault = replay
        once.remember(batch, 201, answer, f"/v1/{record.path}", vault)
    for event in events:
        audit.add(batch, event)
    revision = (await batch.commit()).revisions[record.path]
    changed = record.model_copy(update=fields)
    changed.stored_as(record.path, revision)
    return changed
