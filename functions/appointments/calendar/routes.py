"""Paths and schemas of calendars; each route calls one use case."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from common.auth import PROBLEMS, Caller, PossibleCaller
from common.preconditions import is_unchanged
from common.problems import NotFound, responses
from common.schemas import ID_PATTERN

from ..schemas import Calendar
from . import service
from .schemas import ICS, CalendarQuery, Feed

router = APIRouter(tags=["calendars"])

UserId = Annotated[str, Path(alias="user_id", pattern=ID_PATTERN)]
Token = Annotated[str, Query(min_length=20, max_length=100, description="The feed's secret.")]


@router.get(
    "/appointments/calendar/{user_id}.ics",
    response_class=Response,
    responses={
        **responses(NotFound),
        200: {
            "content": {"text/calendar": {"schema": {"type": "string"}}},
            "description": "RFC 5545",
        },
        304: {"description": "What you have is current"},
    },
)
async def get_feed(
    request: Request, someone: PossibleCaller, user_id: UserId, token: Token
) -> Response:
    """The feed that calendar apps subscribe to: a month back, a year ahead. No token of Firebase's."""
    body = await service.feed(user_id, token)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=300"}
    if is_unchanged(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=ICS)


@router.get("/appointments/calendar/{user_id}", responses=responses(*PROBLEMS, NotFound))
async def get_calendar(
    caller: Caller, user_id: UserId, wish: Annotated[CalendarQuery, Query()]
) -> Calendar:
    """One person's appointments in some time, by their start."""
    return await service.get(caller, user_id, wish)


@router.post(
    "/appointments/calendar/{user_id}/feed",
    status_code=201,
    responses=responses(*PROBLEMS, NotFound),
)
async def renew_feed(caller: Caller, user_id: UserId) -> Feed:
    """Make the feed's secret address, or another in its place: the old one ends."""
    return await service.renew_feed(caller, user_id)
