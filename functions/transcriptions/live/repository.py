"""What is heard, stored as it is heard: a part for every few segments."""

from collections.abc import Mapping, Sequence
from typing import Any

from common import audit
from common.clinical import Patient
from common.crypto import Vault
from common.firestore import Batch
from common.models import AuditEvent
from common.transcripts import Segment, Term, Transcription, put_said


async def begin(patient: Patient, record: Transcription, event: AuditEvent) -> None:
    """Raises `RecordChanged` when the patient was archived meanwhile."""
    batch = Batch()
    batch.create(record.path, record)
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
    audit.add(batch, event)
    await batch.commit()


async def go_on(
    record: Transcription,
    fields: Mapping[str, Any],
    first_part: int,
    segments: Sequence[Segment],
    terms: Sequence[Term],
    vault: Vault,
) -> int:
    """Add what was heard since; returns the number of the next part. Raises `NotFound` once it was deleted."""
    batch = Batch()
    batch.update(record.path, fields)
    parts = put_said(batch, record.id, segments, terms, vault, first_part)
    await batch.commit()
    return first_part + parts
