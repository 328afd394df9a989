"""Paths and schemas of the transcriptions service; each route calls one use case."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel

from common.app import Allowed
from common.auth import PROBLEMS, Caller
from common.files import MOST_AT_ONCE, documented, sent
from common.idempotency import ByHand
from common.pages import Page
from common.problems import (
    BodyTooLarge,
    LegalHold,
    MalformedJson,
    NotFound,
    PageTokenInvalid,
    PatientArchived,
    PatientRecordMissing,
    RecordChanged,
    StatusConflict,
    UnsupportedMediaType,
    responses,
)
from common.recordings import CONTENT_TYPES, container_of
from common.schemas import ID_PATTERN
from common.transcripts import Transcription

from . import service
from .schemas import (
    Recorded,
    TranscriptionFilter,
    TranscriptionPublic,
    TranscriptionStatus,
    TranscriptionSummary,
    UploadCreate,
    UploadCreated,
)

router = APIRouter(tags=["transcriptions"])

T = TypeVar("T", bound=BaseModel)

TranscriptionId = Annotated[str, Path(alias="transcription_id", pattern=ID_PATTERN)]

BODIES: dict[str, Allowed] = {
    "/transcriptions/upload": (MOST_AT_ONCE, ("application/json", "multipart/form-data")),
    "/transcriptions/stream": (None, ("audio/",)),
}
"""What these paths take besides a little JSON."""


@router.post(
    "/transcriptions/upload",
    status_code=201,
    responses=responses(
        *PROBLEMS,
        MalformedJson,
        NotFound,
        PatientArchived,
        PatientRecordMissing,
        BodyTooLarge,
        UnsupportedMediaType,
    ),
    openapi_extra=documented(UploadCreate, Recorded),
)
async def upload_recording(
    caller: Caller, request: Request, once: ByHand, response: Response
) -> UploadCreated:
    """Announce a recording, and get signed URLs to send it to; or send one of up to 25 MiB at once.

    A signed URL lasts 15 minutes and takes exactly the file that was
    announced: its headers are to be sent as given. What arrives is processed
    by itself; follow `transcriptions/{id}` in Firestore, or ask for its status.
    """
    wish, content = await sent(request, UploadCreate, Recorded, MOST_AT_ONCE, _kind_of)
    created = await service.upload(caller, wish, content, once)
    response.headers["Location"] = f"/v1/transcriptions/{created.transcription.transcription_id}"
    return created


def _kind_of(content: bytes) -> str | None:
    container = container_of(content[:64])
    return CONTENT_TYPES[container][0] if container else None


@router.get("/transcriptions", responses=responses(*PROBLEMS, NotFound, PageTokenInvalid))
async def list_transcriptions(
    caller: Caller, wish: Annotated[TranscriptionFilter, Query()]
) -> Page[TranscriptionSummary]:
    """Newest first. Doctors name the patient; patients get their own, administrators all."""
    found, token = await service.list_(caller, wish)
    return Page(items=found, next_page_token=token)


@router.get("/transcriptions/status/{transcription_id}", responses=responses(*PROBLEMS, NotFound))
async def get_transcription_status(
    caller: Caller, transcription_id: TranscriptionId, response: Response
) -> TranscriptionStatus:
    """How far it is. Firestore's listeners tell the same by themselves."""
    record, shown = await service.status(caller, transcription_id)
    return _tagged(response, record, shown)


@router.get("/transcriptions/{transcription_id}", responses=responses(*PROBLEMS, NotFound))
async def get_transcription(
    caller: Caller, transcription_id: TranscriptionId, response: Response
) -> TranscriptionPublic:
    """What was said, by whom and when, with its medical terms and the newest note."""
    record, shown = await service.get(caller, transcription_id)
    return _tagged(response, record, shown)


@router.post(
    "/transcriptions/{transcription_id}/upload",
    responses=responses(*PROBLEMS, NotFound, StatusConflict),
)
async def renew_upload(caller: Caller, transcription_id: TranscriptionId) -> UploadCreated:
    """New signed URLs for a recording that has not come yet."""
    return await service.renew_upload(caller, transcription_id)


@router.delete(
    "/transcriptions/{transcription_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound, LegalHold, PatientArchived, RecordChanged),
)
async def delete_transcription(caller: Caller, transcription_id: TranscriptionId) -> None:
    """Delete the recording and all that was made of it; a signed note stays in the patient's history."""
    await service.delete(caller, transcription_id)


def _tagged(response: Response, record: Transcription, shown: T) -> T:
    response.headers["ETag"] = record.etag
    return shown
