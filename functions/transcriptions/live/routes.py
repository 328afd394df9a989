"""The path on which a consultation is heard while it takes place."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from common import sse
from common.auth import PROBLEMS, Caller
from common.problems import (
    NotFound,
    PatientArchived,
    PatientRecordMissing,
    UnsupportedMediaType,
    responses,
)

from . import service
from .schemas import LIVE_BODY, LiveQuery

router = APIRouter(tags=["transcriptions"])


class _BothWays(StreamingResponse):
    """Answers while the request still comes: the usual one would take its body for a sign of life."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream_response(send)


@router.post(
    "/transcriptions/stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "What is heard, as it is heard"},
        **responses(
            *PROBLEMS, NotFound, PatientArchived, PatientRecordMissing, UnsupportedMediaType
        ),
    },
    openapi_extra=LIVE_BODY,
)
async def stream_transcription(
    caller: Caller, request: Request, wish: Annotated[LiveQuery, Query()]
) -> StreamingResponse:
    """Send sound in pieces (chunked), and read server-sent events while it still goes on.

    `started` names the transcription; `interim` is what may still change;
    `segment` is final; `ended` comes last, `problem` in its place when it broke off. If the
    connection breaks, what was heard until then is kept.
    """
    content_type = request.headers.get("content-type", "")
    events = await service.listen(caller, wish, content_type, request.stream())
    return _BothWays(events, media_type="text/event-stream", headers=sse.HEADERS)
