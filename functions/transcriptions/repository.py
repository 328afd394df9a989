"""Where recordings live in Firestore: `transcriptions`; what was said, below each in `private`."""

from common.crypto import Vault
from common.firestore import Batch, Order, Where
from common.pages import PageQuery
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

_NEWEST: Order = [("create_time", "DESCENDING")]


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


async def forget(batch: Batch, record: Transcription) -> None:
    """What goes with a recording's record; a signed note stays in the history."""
    async for part in said.all_(record.id):
        batch.delete(part.path)
    async for version in notes.all_(record.id):
        batch.delete(version.path)
