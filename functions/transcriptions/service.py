"""The use cases of recordings: announce or send one, follow it, read what was said, delete it."""

import asyncio
from secrets import token_hex

from common import access, audit, crypto, storage, telemetry
from common.auth import Principal
from common.clinical import Ground, Patient
from common.crypto import Vault
from common.firestore import now
from common.idempotency import Once, Replay
from common.models import Role
from common.patients import changeable
from common.preconditions import applied
from common.problems import (
    Forbidden,
    Invalid,
    LegalHold,
    NotFound,
    PatientRecordMissing,
    StatusConflict,
)
from common.storage import Bucket
from common.transcripts import (
    NotePrivate,
    NoteVersion,
    Transcription,
    sorted_by_time,
    transcriptions,
)
from common.uploads import LOOK_AFTER, UploadState, UploadTarget

from . import policy, repository
from .schemas import (
    DISCLAIMER,
    NotePublic,
    TranscriptionFilter,
    TranscriptionPublic,
    TranscriptionStatus,
    TranscriptionSummary,
    UploadCreate,
    UploadCreated,
)

# ---------------------------------------------------------------- recording


async def upload(
    caller: Principal, wish: UploadCreate, content: bytes | None, once: Once
) -> UploadCreated:
    """Announce a recording; with `content`, store it at once.

    Raises `NotFound`, `Forbidden`, `Invalid`, `PatientArchived`,
    `PatientRecordMissing`, `Unavailable`.
    """
    if (first := await once.reserve()) is not None:
        raise Replay(first)
    try:
        return await _upload(caller, wish, content, once)
    except BaseException:
        await once.release()
        raise


async def _upload(
    caller: Principal, wish: UploadCreate, content: bytes | None, once: Once
) -> UploadCreated:
    patient_id, ground = await whose(caller, wish.patient_id, "transcriptions.create")
    if wish.appointment_id is not None:
        await check_appointment(wish.appointment_id, patient_id)
    vault = await crypto.vault_of(patient_id)
    record = new_record(caller, patient_id, wish, vault)
    created = UploadCreated(
        transcription=TranscriptionSummary.summary(record, wish.file_name),
        upload=None if content is not None else await _target(record),
        resumable_upload=None if content is not None else await _target(record, resumable=True),
    )
    if content is not None:
        # Before the record, whoever is told of the file would find nothing that it belongs to.
        await _put(caller, record, ground, Once(), created, vault)
        await storage.create(Bucket.UPLOADS, record.object_name, content, record.content_type)
        await repository.remember(once, created, record.path, vault)
    else:
        await _put(caller, record, ground, once, created, vault)
    return created


async def _put(
    caller: Principal,
    record: Transcription,
    ground: Ground,
    once: Once,
    answer: UploadCreated,
    vault: Vault,
) -> None:
    async def change() -> None:
        patient = await changeable(record.patient_id)
        event = audit.event(caller, "transcriptions.create", record.path, patient.id, reason=ground)
        await repository.add(patient, record, once, answer, vault, event)

    await applied(change)


async def whose(caller: Principal, asked: str | None, action: str) -> tuple[str, Ground]:
    """Whose consultation is recorded, and why the caller may.

    Raises `Invalid`, `NotFound`, `Forbidden`, `PatientRecordMissing`.
    """
    if asked is None and caller.role is not Role.PATIENT:
        raise Invalid.field("/patient_id", "Say whose consultation this is")
    patient_id = asked or caller.uid
    path = f"patients/{patient_id}"
    ground = await access.ground(caller, patient_id, action, path)
    if not policy.can_record(ground):
        raise await audit.refuse(caller, action, path, patient_id, Forbidden())
    try:
        await changeable(patient_id)
    except NotFound:
        if ground is Ground.SELF:
            raise PatientRecordMissing from None
        raise
    return patient_id, ground


async def check_appointment(appointment_id: str, patient_id: str) -> None:
    found = await repository.appointment(appointment_id)
    if found is None or found.patient_id != patient_id:
        raise Invalid.field("/appointment_id", "This patient has no such appointment")


def new_record(
    caller: Principal, patient_id: str, wish: UploadCreate, vault: Vault
) -> Transcription:
    moment = now()
    record = Transcription(
        create_time=moment,
        update_time=moment,
        patient_id=patient_id,
        author_uid=caller.uid,
        appointment_id=wish.appointment_id,
        language=wish.language,
        content_type=wish.content_type,
        size_bytes=wish.size_bytes,
        sha256=wish.sha256,
        traceparent=telemetry.traceparent(),
        due_time=moment + LOOK_AFTER,
    )
    path = transcriptions.path(f"{sorted_by_time(moment)}{token_hex(8)}")
    record.stored_as(path, "")
    record.sealed = {"file_name": vault.seal(path, "file_name", wish.file_name)}
    return record


async def _target(record: Transcription, *, resumable: bool = False) -> UploadTarget:
    return UploadTarget.of(
        await storage.upload_url(
            record.object_name, record.content_type, record.size_bytes, resumable=resumable
        )
    )


async def renew_upload(caller: Principal, transcription_id: str) -> UploadCreated:
    """Raises `NotFound`, `Forbidden`; `StatusConflict` once the file has come."""
    record, ground = await seen(caller, transcription_id, "transcriptions.renew-upload")
    if not policy.can_renew_upload(caller, record):
        raise await audit.refuse(
            caller, "transcriptions.renew-upload", record.path, record.patient_id, Forbidden()
        )
    if record.state is not UploadState.PENDING_UPLOAD or record.is_streamed:
        raise StatusConflict("This recording has come already.")
    event = audit.event(
        caller, "transcriptions.renew-upload", record.path, record.patient_id, reason=ground
    )
    vault = await crypto.vault_of(record.patient_id)
    moment = now()
    fields = {"due_time": moment + LOOK_AFTER, "update_time": moment}
    await repository.change(record, fields, event)
    return UploadCreated(
        transcription=_summary(record, vault),
        upload=await _target(record),
        resumable_upload=await _target(record, resumable=True),
    )


# ---------------------------------------------------------------- reading


async def seen(
    caller: Principal, transcription_id: str, action: str
) -> tuple[Transcription, Ground]:
    """A recording that the caller may know of, and why. Raises `NotFound`."""
    record = await repository.get(transcription_id)
    if record is None:
        path = transcriptions.path(transcription_id)
        raise await audit.refuse(caller, action, path, None, NotFound())
    return record, await access.ground(caller, record.patient_id, action, record.path)


async def list_(
    caller: Principal, wish: TranscriptionFilter
) -> tuple[list[TranscriptionSummary], str | None]:
    """Raises `NotFound`, `Invalid`, `PageTokenInvalid`."""
    patient_id = wish.patient_id
    if patient_id is None and caller.role is Role.PATIENT:
        patient_id = caller.uid
    if patient_id is None and not policy.can_list_all(caller):
        raise Invalid.field("?patient_id", "Say whose recordings you want")
    ground = None
    if patient_id is not None:
        path = f"patients/{patient_id}"
        ground = await access.ground(caller, patient_id, "transcriptions.list", path)
    event = audit.event(
        caller, "transcriptions.list", "transcriptions", patient_id, reason=ground or Ground.ADMIN
    )
    found, token = await audit.reading(event, repository.list_(patient_id, wish.status, wish))
    if patient_id is None or not found:
        return [TranscriptionSummary.summary(record, None) for record in found], token
    vault = await crypto.vault_of(patient_id)
    return [_summary(record, vault) for record in found], token


async def status(
    caller: Principal, transcription_id: str
) -> tuple[Transcription, TranscriptionStatus]:
    record, ground = await seen(caller, transcription_id, "transcriptions.status")
    event = audit.event(
        caller, "transcriptions.status", record.path, record.patient_id, reason=ground
    )
    await audit.record(event)
    return record, TranscriptionStatus.of(record)


async def get(
    caller: Principal, transcription_id: str
) -> tuple[Transcription, TranscriptionPublic]:
    record, ground = await seen(caller, transcription_id, "transcriptions.read")
    event = audit.event(
        caller, "transcriptions.read", record.path, record.patient_id, reason=ground
    )
    vault = await crypto.vault_of(record.patient_id)
    content, note = await audit.reading(
        event,
        asyncio.gather(
            repository.content(record.id, vault),
            repository.newest_note(record),
        ),
    )
    is_shown = note is not None and policy.can_see_note(ground, note.state)
    return record, TranscriptionPublic(
        **dict(_summary(record, vault)),
        text="\n".join(segment.text for segment in content.segments),
        segments=content.segments,
        terms=content.terms,
        note=shown_note(note, vault) if note is not None and is_shown else None,
        disclaimer=DISCLAIMER,
    )


def _summary(record: Transcription, vault: Vault) -> TranscriptionSummary:
    sealed = record.sealed.get("file_name")
    name = vault.open(record.path, "file_name", sealed) if sealed else None
    return TranscriptionSummary.summary(record, name)


def shown_note(version: NoteVersion, vault: Vault) -> NotePublic:
    note = vault.open_all(version.path, version.sealed, NotePrivate).note
    sentences = (*note.subjective, *note.objective, *note.assessment, *note.plan)
    return NotePublic(
        state=version.state,
        version=version.version,
        author_id=version.author_uid,
        model=version.model,
        note=note,
        unsupported_count=sum(len(sentence.unsupported) for sentence in sentences),
        history_id=version.history_id,
        create_time=version.create_time,
        disclaimer=DISCLAIMER,
    )


# ---------------------------------------------------------------- deleting


async def delete(caller: Principal, transcription_id: str) -> None:
    """Raises `NotFound`, `Forbidden`, `LegalHold`, `PatientArchived`.

    The record goes first, as it was read and only while nothing holds it. A crash in between leaves
    files, which go with the patient's erasure.
    """
    record, ground = await seen(caller, transcription_id, "transcriptions.delete")
    if not policy.can_delete(caller, ground, record):
        raise await audit.refuse(
            caller, "transcriptions.delete", record.path, record.patient_id, Forbidden()
        )
    # While storage is away nothing is begun: the record would go, and its files stay.
    await storage.find(Bucket.UPLOADS, record.object_name)

    async def change() -> None:
        patient = await changeable(record.patient_id)
        _refuse_held(patient)
        current = await repository.get(record.id)
        if current is None:
            raise NotFound
        event = audit.event(
            caller, "transcriptions.delete", record.path, record.patient_id, reason=ground
        )
        await repository.delete(patient, current, event)

    await applied(change)
    for prefix in (record.object_name, record.converted_name, record.results_prefix):
        await storage.delete_all(prefix, storage.RECORDINGS)


def _refuse_held(patient: Patient) -> None:
    if patient.has_legal_hold:
        raise LegalHold
