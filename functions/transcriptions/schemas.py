"""What travels to and from the transcriptions service."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator

from common.models import Language, Line
from common.pages import PageQuery
from common.reasons import REASONS, Reason
from common.recordings import CONTENT_TYPES, MOST_BYTES
from common.schemas import ID_PATTERN, Body
from common.transcripts import (
    Note,
    NoteState,
    Segment,
    Term,
    Transcription,
)
from common.uploads import Sha256, UploadState, UploadTarget

MOST_AT_ONCE = 25 * 1024 * 1024
"""Of a multipart upload, in bytes; larger files go to the signed URL."""

ACCEPTED = {name: names[0] for names in CONTENT_TYPES.values() for name in names}

Id = Annotated[str, Field(pattern=ID_PATTERN)]


class Recorded(Body):
    """What is said of a recording besides its content."""

    patient_id: Id | None = None
    """Left out by patients; doctors say whose consultation it is."""
    appointment_id: Id | None = None
    language: Language = "en-US"
    """What is spoken."""


class UploadCreate(Recorded):
    file_name: Line
    content_type: Annotated[str, Field(max_length=100, examples=["audio/wav"])]
    """wav, flac, mp3, ogg/opus, webm or m4a; what the file really is decides."""
    size_bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]
    sha256: Sha256 | None = None
    """In hex; then a file that was damaged on its way is noticed."""

    @field_validator("content_type")
    @classmethod
    def _is_audio(cls, value: str) -> str:
        kind = value.split(";")[0].strip().lower()
        if kind not in ACCEPTED:
            raise ValueError("Not a kind of audio that is taken: wav, flac, mp3, ogg, webm, m4a")
        return kind


class TranscriptionFilter(PageQuery):
    patient_id: Id | None = None
    status: Annotated[UploadState | None, Field(description="State of the processing.")] = None


class TranscriptionStatus(BaseModel):
    transcription_id: str
    state: UploadState
    reason: Reason | None
    detail: str | None
    """What the reason means, for people."""
    progress: int
    """Percent."""
    attempts: int
    update_time: datetime

    @classmethod
    def of(cls, record: Transcription) -> Self:
        return cls(
            transcription_id=record.id,
            state=record.state,
            reason=record.reason,
            detail=REASONS[record.reason] if record.reason else None,
            progress=record.progress,
            attempts=record.attempts,
            update_time=record.update_time,
        )


class TranscriptionSummary(TranscriptionStatus):
    patient_id: str
    author_id: str
    appointment_id: str | None
    file_name: str | None
    content_type: str
    size_bytes: int
    language: str
    is_streamed: bool
    is_truncated: bool
    """The file ends before its own header says."""
    duration_seconds: float | None
    speaker_count: int | None
    note_state: NoteState | None
    create_time: datetime

    @classmethod
    def summary(cls, record: Transcription, file_name: str | None) -> "TranscriptionSummary":
        return TranscriptionSummary(
            **dict(TranscriptionStatus.of(record)),
            patient_id=record.patient_id,
            author_id=record.author_uid,
            appointment_id=record.appointment_id,
            file_name=file_name,
            content_type=record.content_type,
            size_bytes=record.size_bytes,
            language=record.language,
            is_streamed=record.is_streamed,
            is_truncated=record.is_truncated,
            duration_seconds=record.duration_seconds,
            speaker_count=record.speaker_count,
            note_state=record.note_state,
            create_time=record.create_time,
        )


class NotePublic(BaseModel):
    """SOAP. What is `unsupported` in a sentence, nobody said in the segments that it cites."""

    state: NoteState
    version: int
    author_id: str
    model: str | None
    """Which model drafted this version; null when a person wrote it."""
    note: Note
    unsupported_count: int
    history_id: str | None
    """The history record that the signed note became."""
    create_time: datetime
    disclaimer: str


class TranscriptionPublic(TranscriptionSummary):
    text: str
    segments: list[Segment]
    terms: list[Term]
    note: NotePublic | None
    """The newest version; a patient sees a signed one only."""
    disclaimer: str


class UploadCreated(BaseModel):
    transcription: TranscriptionSummary
    upload: UploadTarget | None
    """For the whole file in one request. Null if the file came with this one."""
    resumable_upload: UploadTarget | None
    """For large files and weak connections: the answer's `Location` takes the content in pieces."""


DISCLAIMER = "Recognised and prepared by machine; it may be wrong. It is no diagnosis and takes no doctor's place."
