"""What was said, its record and the audit event: one batch."""

from collections.abc import Mapping, Sequence
from typing import Any

from common import audit
from common.crypto import Vault
from common.firestore import Batch
from common.transcripts import Segment, Term, Transcription, put_said, transcriptions


async def get(transcription_id: str) -> Transcription | None:
    return await transcriptions.get(transcription_id)


async def complete(
    record: Transcription,
    fields: Mapping[str, Any],
    segments: Sequence[Segment],
    terms: Sequence[Term],
    vault: Vault,
) -> None:
    """Raises `RecordChanged`, and then nothing was stored."""
    batch = Batch()
    batch.update(record.path, fields, record.revision)
    put_said(batch, record.id, segments, terms, vault)
    event = audit.event(None, "transcriptions.store", record.path, record.patient_id)
    audit.add(batch, event)
    await batch.commit()
