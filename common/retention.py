"""How long a patient's record is kept, and its deletion: everywhere it lies, each piece logged.

Archiving is not deletion. A record is due when its retention has ended
(`common/settings.py`), counted from its last change or, if that is later, the
archiving of the patient; and nothing is due under legal hold.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from common import audit, crypto, storage
from common.access import access_grants
from common.appointments import (
    appointments,
    booked_days,
    booked_slots,
    feeds,
    reviews,
    waitlist,
)
from common.assistant import consents, exchanges, threads
from common.auth import Principal
from common.clinical import HistoryRecord, Patient
from common.egress import prompts
from common.firestore import Batch, Order, Where, now
from common.images import (
    MedicalImage,
    image_findings,
    instances,
    medical_images,
    pseudonyms,
    studies,
)
from common.models import Record
from common.patients import break_glass, history, versions
from common.reminders import plans
from common.scheduling import Appointment
from common.settings import settings
from common.transcripts import notes, said, transcriptions
from common.uploads import Upload

_AT_ONCE = 200
"""Deletions in one batch; with their audit events they are twice as many writes."""


def kept_until(
    patient: Patient,
    newest: HistoryRecord | None,
    last_visit: Appointment | None,
    last_upload: Upload | None,
) -> datetime | None:
    """When the whole record may be deleted at the earliest; None if nothing clinical was ever in it.

    `newest` is the history record that was changed last, `last_visit` the appointment that begins last,
    `last_upload` the recording or image that is kept longest.
    """
    ends = []
    if last_visit is not None:
        ends.append(_visit_kept_until(last_visit))
    if last_upload is not None:
        ends.append(_upload_kept_until(last_upload))
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


def is_visit_due(last_visit: Appointment | None, moment: datetime) -> bool:
    """Whether no appointment keeps the profile any more."""
    return last_visit is None or _visit_kept_until(last_visit) <= moment


def is_upload_due(last: Upload | None, moment: datetime) -> bool:
    """Whether no recording or image keeps the profile any more."""
    return last is None or _upload_kept_until(last) <= moment


def _upload_kept_until(upload: Upload) -> datetime:
    kind = "medical_images" if isinstance(upload, MedicalImage) else "transcriptions"
    return settings().retention.end(kind, upload.update_time)


def _visit_kept_until(visit: Appointment) -> datetime:
    return settings().retention.end("appointments", max(visit.end, visit.update_time))


async def last_visit(patient_id: str) -> Appointment | None:
    """The appointment that begins last, whatever became of it."""
    where: Where = [("patient_id", "==", patient_id)]
    found = await appointments.find(where=where, order=[("start", "DESCENDING")], limit=1)
    return found[0] if found else None


async def last_upload(patient_id: str) -> Upload | None:
    """The recording or image that is kept longest."""
    where: Where = [("patient_id", "==", patient_id)]
    order: Order = [("update_time", "DESCENDING")]
    heard, seen = await asyncio.gather(
        transcriptions.find(where=where, order=order, limit=1),
        medical_images.find(where=where, order=order, limit=1),
    )
    return max([*heard, *seen], key=_upload_kept_until, default=None)


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
        async for day in booked_days.all_(patient.id):
            yield day
        of_patient: Where = [("patient_id", "==", patient.id)]
        async for review in reviews.all_(where=of_patient, everywhere=True):
            yield review
        if (feed := await feeds.get(patient.id)) is not None:
            yield feed

    def subject(each: Record) -> str:
        return patient.id

    deleted = await delete_history(patient, history.all_(patient.id), reason, actor)
    await _delete_files(patient.id)
    for action, records in (
        ("transcriptions.purge", _recordings_of(patient.id)),
        ("medical-images.purge", _images_of(patient.id)),
        ("prompts.purge", prompts.all_(patient.id)),
        ("conversations.purge", _conversations_of(patient.id)),
        ("appointments.purge", _visits_of(patient.id)),
        ("waitlist.purge", _waits_of(patient.id)),
        ("patients.purge", rest()),
    ):
        deleted += await delete_all(records, action, reason, subject, actor)
    return deleted + await delete_all(
        _one(patient), "patients.purge", reason, lambda each: patient.id, actor
    )


async def _visits_of(patient_id: str) -> AsyncIterator[Record]:
    """Each appointment after all that hangs on it: its slots, its reminders."""
    async for visit in appointments.all_(where=[("patient_id", "==", patient_id)]):
        for name in visit.slots:
            slot = await booked_slots.get(visit.doctor_id, name)
            if slot is not None and slot.appointment_id == visit.id:
                yield slot
        if (plan := await plans.get(visit.id)) is not None:
            yield plan
        yield visit


async def _delete_files(patient_id: str) -> None:
    """Recordings and images, and what was made of them."""
    for kind in ("audio", "sound", "transcripts"):
        await storage.delete_all(f"{kind}/{patient_id}", storage.RECORDINGS)
    await storage.delete_all(f"images/{patient_id}", storage.IMAGES)


async def _recordings_of(patient_id: str) -> AsyncIterator[Record]:
    """Each recording after all that was made of it."""
    async for recording in transcriptions.all_(where=[("patient_id", "==", patient_id)]):
        async for part in said.all_(recording.id):
            yield part
        async for version in notes.all_(recording.id):
            yield version
        yield recording


async def _images_of(patient_id: str) -> AsyncIterator[Record]:
    """Each image after what was found in it; then what holds them together."""
    async for image in medical_images.all_(where=[("patient_id", "==", patient_id)]):
        async for part in image_findings.all_(image.id):
            yield part
        yield image
    for kept in (studies, instances, pseudonyms):
        async for record in kept.all_(patient_id):
            yield record


async def _conversations_of(patient_id: str) -> AsyncIterator[Record]:
    """What was asked and answered, then that there were conversations; and what the patient agreed to."""
    for kept in (exchanges, threads, consents):
        async for record in kept.all_(patient_id):
            yield record
    # What others asked with this record lies with them, under this patient's key.
    asked: Where = [("patient_id", "==", patient_id)]
    async for exchange in exchanges.all_(where=asked, everywhere=True):
        yield exchange


async def _waits_of(patient_id: str) -> AsyncIterator[Record]:
    async for entry in waitlist.all_(where=[("patient_id", "==", patient_id)]):
        if entry.offer is not None:
            slot = await booked_slots.get(entry.offer.doctor_id, entry.offer.slot)
            if slot is not None and slot.waitlist_id == entry.id:
                yield slot
        yield entry


async def _one(record: Record) -> AsyncIterator[Record]:
    yield record
