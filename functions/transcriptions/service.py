"""The use cases of recordings: announce or send one, follow it, read what was said, delete it."""

import asyncio

from common import audit, crypto, storage
from common.auth import Principal
from common.crypto import Vault
from common.idempotency import Once
from common.intake import Intake, Targets
from common.transcripts import (
    NotePrivate,
    NoteVersion,
    Transcription,
    transcriptions,
)

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

intake = Intake(transcriptions, "transcriptions", "recording")

# ---------------------------------------------------------------- recording


async def upload(
    caller: Principal, wish: UploadCreate, content: bytes | None, once: Once
) -> UploadCreated:
    """Announce a recording; with `content`, store it at once. Raises as `Intake.take` does."""

    def answer(record: Transcription, targets: Targets) -> UploadCreated:
        summary = TranscriptionSummary.summary(record, wish.file_name)
        return UploadCreated(transcription=summary, **targets)

    return await intake.take(caller, wish, content, once, answer, language=wish.language)


async def renew_upload(caller: Principal, transcription_id: str) -> UploadCreated:
    """Raises `NotFound`, `Forbidden`; `StatusConflict` once the file has come."""
    record, targets = await intake.renew(caller, transcription_id)
    vault = await crypto.vault_of(record.patient_id)
    return UploadCreated(transcription=_summary(record, vault), **targets)


# ---------------------------------------------------------------- reading


async def list_(
    caller: Principal, wish: TranscriptionFilter
) -> tuple[list[TranscriptionSummary], str | None]:
    """Raises `NotFound`, `Invalid`, `PageTokenInvalid`."""
    patient_id, ground = await intake.asked_for(caller, wish.patient_id)
    event = audit.event(caller, "transcriptions.list", "transcriptions", patient_id, reason=ground)
    found, token = await audit.reading(event, repository.list_(patient_id, wish.status, wish))
    if patient_id is None or not found:
        return [TranscriptionSummary.summary(record, None) for record in found], token
    vault = await crypto.vault_of(patient_id)
    return [_summary(record, vault) for record in found], token


async def status(
    caller: Principal, transcription_id: str
) -> tuple[Transcription, TranscriptionStatus]:
    record, ground = await intake.seen(caller, transcription_id, "transcriptions.status")
    event = audit.event(
        caller, "transcriptions.status", record.path, record.patient_id, reason=ground
    )
    await audit.record(event)
    return record, TranscriptionStatus.of(record)


async def get(
    caller: Principal, transcription_id: str
) -> tuple[Transcription, TranscriptionPublic]:
    record, ground = await intake.seen(caller, transcription_id, "transcriptions.read")
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
    """Raises as `Intake.delete` does."""
    record = await intake.delete(caller, transcription_id, repository.forget)
    for prefix in (record.object_name, record.converted_name, record.results_prefix):
        await storage.delete_all(prefix, storage.RECORDINGS)
