"""Paths and schemas of the transcriptions service; each route calls one use case."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from common.app import Allowed
from common.auth import PROBLEMS, Caller
from common.idempotency import ByHand
from common.pages import Page
from common.problems import (
    BodyTooLarge,
    Invalid,
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
    MOST_AT_ONCE,
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

_FIELDS = set(Recorded.model_fields)


def _inline(model: type[BaseModel]) -> dict[str, Any]:
    """A schema that is not the parameter of a route, for its OpenAPI document."""
    schema = model.model_json_schema()
    schema.pop("$defs", None)
    return schema


def _with_file() -> dict[str, Any]:
    schema = _inline(Recorded)
    schema["properties"] = {
        "file": {"type": "string", "format": "binary"},
        **schema["properties"],
    }
    schema["required"] = ["file"]
    return schema


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _inline(UploadCreate)},
            "multipart/form-data": {"schema": _with_file()},
        },
    }
}


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
    openapi_extra=_BODY,
)
async def upload_recording(
    caller: Caller, request: Request, once: ByHand, response: Response
) -> UploadCreated:
    """Announce a recording, and get signed URLs to send it to; or send one of up to 25 MiB at once.

    A signed URL lasts 15 minutes and takes exactly the file that was
    announced: its headers are to be sent as given. What arrives is processed
    by itself; follow `transcriptions/{id}` in Firestore, or ask for its status.
    """
    kind = request.headers.get("content-type", "")
    if not kind:
        raise UnsupportedMediaType
    if kind.startswith("multipart/"):
        wish, content = await _sent(request)
    else:
        wish, content = _valid(UploadCreate, await _json(request)), None
    created = await service.upload(caller, wish, content, once)
    response.headers["Location"] = f"/v1/transcriptions/{created.transcription.transcription_id}"
    return created


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        raise MalformedJson from None


async def _sent(request: Request) -> tuple[UploadCreate, bytes]:
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Invalid.field("/file", "This field is required")
        unknown = [name for name in form if name not in _FIELDS | {"file"}]
        if unknown:
            raise Invalid.field("", "This field is not known here")
        content = await file.read()
        if not content:
            raise Invalid.field("/file", "This file is empty")
        if len(content) > MOST_AT_ONCE:
            raise BodyTooLarge(f"A file may have {MOST_AT_ONCE} bytes here.")
        given = {name: form[name] for name in form if name in _FIELDS}
        described = {
            **given,
            "file_name": file.filename or "recording",
            "content_type": _kind_of(file.content_type, content),
            "size_bytes": len(content),
        }
        return _valid(UploadCreate, described), content


def _kind_of(said: str | None, content: bytes) -> str:
    """As it was said; many clients know no type of their own, and then what it is."""
    if said and said != "application/octet-stream":
        return said
    container = container_of(content[:64])
    return CONTENT_TYPES[container][0] if container else "application/octet-stream"


def _valid(model: type[UploadCreate], given: Any) -> UploadCreate:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


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
