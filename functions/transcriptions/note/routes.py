"""Paths and schemas of notes; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Query, Response

from common.auth import PROBLEMS, Caller
from common.idempotency import AtLast
from common.pages import Page, PageQuery
from common.preconditions import revision_of
from common.problems import (
    MalformedJson,
    NoteUnsupported,
    NotFound,
    PageTokenInvalid,
    PatientArchived,
    RecordChanged,
    RedactionIncomplete,
    StatusConflict,
    responses,
)
from common.schemas import IF_MATCH
from common.transcripts import Transcription

from ..routes import TranscriptionId
from ..schemas import NotePublic
from . import service
from .schemas import NoteSigned, NoteWritten

router = APIRouter(tags=["notes"])

IfMatch = Annotated[str | None, Header(description=IF_MATCH)]

_CHANGES = (MalformedJson, NotFound, PatientArchived, StatusConflict)


def _tagged(response: Response, record: Transcription, shown: NotePublic) -> NotePublic:
    """The tag is the transcription's: a note has no other."""
    response.headers["ETag"] = record.etag
    return shown


@router.post(
    "/transcriptions/{transcription_id}/note",
    status_code=201,
    responses=responses(*PROBLEMS, *_CHANGES, RedactionIncomplete),
)
async def draft_note(
    caller: Caller, transcription_id: TranscriptionId, once: AtLast, response: Response
) -> NotePublic:
    """Have a SOAP note drafted from what was said, without what identifies the patient.

    Every sentence cites segments; what they do not contain is marked.
    """
    return _tagged(response, *await service.draft(caller, transcription_id, once))


@router.put(
    "/transcriptions/{transcription_id}/note",
    responses=responses(*PROBLEMS, *_CHANGES, RecordChanged),
)
async def edit_note(
    caller: Caller,
    transcription_id: TranscriptionId,
    wish: NoteWritten,
    response: Response,
    if_match: IfMatch = None,
) -> NotePublic:
    """Write the note, or another version of it; earlier ones stay. `If-Match` takes the transcription's tag."""
    edited = await service.edit(caller, transcription_id, wish, revision_of(if_match))
    return _tagged(response, *edited)


@router.post(
    "/transcriptions/{transcription_id}/note/sign",
    responses=responses(*PROBLEMS, *_CHANGES, NoteUnsupported, RecordChanged),
)
async def sign_note(
    caller: Caller,
    transcription_id: TranscriptionId,
    response: Response,
    wish: Annotated[NoteSigned | None, Body()] = None,
    if_match: IfMatch = None,
) -> NotePublic:
    """Sign the newest version: it becomes a record of the patient's history, and changes no more."""
    signed = await service.sign(
        caller, transcription_id, wish or NoteSigned(), revision_of(if_match)
    )
    return _tagged(response, *signed)


@router.get(
    "/transcriptions/{transcription_id}/note/versions",
    responses=responses(*PROBLEMS, NotFound, PageTokenInvalid),
)
async def list_note_versions(
    caller: Caller, transcription_id: TranscriptionId, wish: Annotated[PageQuery, Query()]
) -> Page[NotePublic]:
    """All versions, newest first. For the patient's doctors."""
    found, token = await service.list_versions(caller, transcription_id, wish)
    return Page(items=found, next_page_token=token)
