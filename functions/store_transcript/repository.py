"""What was said, and then its record with the audit event."""

from collections.abc import Mapping, Sequence
from typing import Any

from common import audit
from common.crypto import Vault
from common.firestore import Batch
from common.transcripts import Segment, Term, Transcription, said, store_said, transcriptions


async def get(transcription_id: str) -> Transcription | None:
    return await transcriptions.get(transcription_id)


async def forget(transcription_id: str) -> None:
    """Delete what was stored of a recording that is gone."""
    async for part in said.all_(transcription_id):
        batch = Batch()
        batch.delete(part.path)
        await batch.commit()


async def complete(
    record: Transcription,
    fields: Mapping[str, Any],
    segments: Sequence[Segment],
    terms: Sequence[Term],
    vault: Vault,
) -> None:
    """What was said first, and then its record. Raises `RecordChanged`."""
    await store_said(record.id, segments, terms, vault)
    batch = Batch()
    batch.update(record.path, fields, record.revision)
    event = audit.event(None, "transcriptions.store", record.path, record.patient_id)
    audit.add(batch, event)
    await batch.commit()
