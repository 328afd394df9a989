"""What travels to and from the transcriptions service."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator

from common.models import Language
from common.pages import PageQuery
from common.reasons import Reason
from common.recordings import CONTENT_TYPES, MOST_BYTES
from common.schemas import Id
from common.transcripts import (
    Note,
    NoteState,
    Segment,
    Term,
    Transcription,
)
from common.uploads import Announcement, Described, UploadState, UploadTarget, status_of, summary_of

ACCEPTED = {name: names[0] for names in CONTENT_TYPES.values() for name in names}


class Recorded(Described):
    """What is said of a recording besides its content."""

    language: Language = "en-US"
    """What is spoken."""


class UploadCreate(Announcement, Recorded):
    content_type: Annotated[str, Field(max_length=100, examples=["audio/wav"])]
    """wav, flac, mp3, ogg/opus, webm or m4a; what the file really is decides."""
    size_bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]

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
        return cls(transcription_id=record.id, **status_of(record))


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
            transcription_id=record.id,
            **summary_of(record, file_name),
            language=record.language,
            is_streamed=record.is_streamed,
            is_truncated=record.is_truncated,
            duration_seconds=record.duration_seconds,
            speaker_count=record.speaker_count,
            note_state=record.note_state,
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
