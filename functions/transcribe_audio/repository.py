"""The record of a recording, changed only as it was read: of two workers, one goes on."""

from collections.abc import Mapping
from typing import Any

from common.firestore import Batch
from common.transcripts import Transcription, transcriptions


async def get(transcription_id: str) -> Transcription | None:
    return await transcriptions.get(transcription_id)


async def change(record: Transcription, fields: Mapping[str, Any]) -> Transcription:
    """The record with these fields. Raises `RecordChanged`, `NotFound`."""
    batch = Batch()
    batch.update(record.path, fields, record.revision)
    revision = (await batch.commit()).revisions[record.path]
    changed = record.model_copy(update=dict(fields))
    changed.stored_as(record.path, revision)
    return changed
