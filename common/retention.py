"""How long a patient's record is kept, and its deletion: everywhere it lies, each piece logged.

Archiving is not deletion. A record is due when its retention has ended
(`common/settings.py`), counted from its last change or, if that is later, the
archiving of the patient; and nothing is due under legal hold.
"""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from common import audit, crypto
from common.access import access_grants
from common.auth import Principal
from common.clinical import HistoryRecord, Patient
from common.firestore import Batch, now
from common.models import Record
from common.patients import break_glass, history, versions
from common.settings import settings

_AT_ONCE = 200
"""Deletions in one batch; with their audit events they are twice as many writes."""


def kept_until(patient: Patient, newest: HistoryRecord | None) -> datetime | None:
    """When the whole record may be deleted at the earliest; None if nothing clinical was ever in it.

    `newest` is the history record that was changed last.
    """
    ends = []
    if newest is not None:
        ends.append(settings().retention.end("history", newest.update_time))
    if patient.clinical_time is not None:
        ends.append(settings().retention.end("patients", patient.clinical_time))
    return max(ends, default=None)


def is_due(patient: Patient, record: HistoryRecord, moment: datetime) -> bool:
    """Whether one record of an archived patient is due."""
    if patient.has_legal_hold or patient.archive_time is None:
        return False
    last = max(record.update_time, patient.archive_time)
    return settings().retention.end("history", last) <= moment


def is_profile_due(patient: Patient, moment: datetime) -> bool:
    if patient.has_legal_hold or patient.archive_time is None:
        return False
    last = max(patient.update_time, patient.archive_time)
    return settings().retention.end("patients", last) <= moment


async def delete_all(
    records: AsyncIterator[Record],
    action: str,
    reason: str,
    subject_of: Callable[[Record], str | None],
    actor: Principal | None = None,
    guard: Patient | None = None,
) -> int:
    """Delete these documents, with an audit event for each in the same batch; returns how many.

    With `guard`, only while that patient's document is as it was read: a
    legal hold that is placed meanwhile stops the deletion with `RecordChanged`.
    """
    deleted = 0
    chunk: list[Record] = []

    async def flush() -> None:
        batch = Batch()
        if guard is not None:
            batch.verify(guard.path, {"has_legal_hold": guard.has_legal_hold}, guard.revision)
        for record in chunk:
            batch.delete(record.path, must_exist=True)
            subject = subject_of(record)
            audit.add(batch, audit.event(actor, action, record.path, subject, reason=reason))
        await batch.commit()

    async for record in records:
        chunk.append(record)
        if len(chunk) == _AT_ONCE:
            await flush()
            deleted += len(chunk)
            chunk.clear()
    if chunk:
        await flush()
    return deleted + len(chunk)


async def delete_history(
    patient: Patient,
    records: AsyncIterator[HistoryRecord],
    reason: str,
    actor: Principal | None = None,
) -> int:
    """These records, each after its earlier versions, so that a crash leaves nothing orphaned."""

    async def whole() -> AsyncIterator[Record]:
        async for record in records:
            if record.version > 1:
                async for version in versions.all_(patient.id, record.id):
                    yield version
            yield record

    return await delete_all(
        whole(), "history.purge", reason, lambda each: patient.id, actor, patient
    )


async def begin_erasure(patient: Patient, reason: str, actor: Principal | None = None) -> Patient:
    """From here on the record is to nobody. Raises `RecordChanged`, and then nothing was done."""
    moment = now()
    fields = {
        "is_being_erased": True,
        "is_archived": True,
        "name": "",
        "name_key": "",
        "name_facets": [],
        "sealed": {},
        "update_time": moment,
    }
    batch = Batch()
    batch.update(patient.path, fields, patient.revision)
    audit.add(batch, audit.event(actor, "patients.erase", patient.path, patient.id, reason=reason))
    revision = (await batch.commit()).revisions[patient.path]
    erased = patient.model_copy(update=fields)
    erased.stored_as(patient.path, revision)
    return erased


async def finish_erasure(patient: Patient, reason: str, actor: Principal | None = None) -> int:
    """Destroy the key, then delete every document; can be done again after a crash at any step."""
    await crypto.destroy(patient.id)

    async def rest() -> AsyncIterator[Record]:
        async for grant in access_grants.all_(patient.id):
            yield grant
        async for emergency in break_glass.all_(patient.id):
            yield emergency

    deleted = await delete_history(patient, history.all_(patient.id), reason, actor)
    deleted += await delete_all(rest(), "patients.purge", reason, lambda each: patient.id, actor)
    return deleted + await delete_all(
        _one(patient), "patients.purge", reason, lambda each: patient.id, actor
    )


async def _one(record: Record) -> AsyncIterator[Record]:
    yield record
