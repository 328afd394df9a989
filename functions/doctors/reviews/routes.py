"""Paths and schemas of reviews; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from common.auth import PROBLEMS, Caller, PossibleCaller
from common.idempotency import FirstTime
from common.pages import Page, PageQuery
from common.problems import (
    MalformedJson,
    NotFound,
    NotVisited,
    PageTokenInvalid,
    ReviewExists,
    responses,
)
from common.schemas import ID_PATTERN

from . import service
from .schemas import ReviewCreate, ReviewOwn, ReviewPublic

router = APIRouter(tags=["reviews"])

DoctorId = Annotated[str, Path(alias="doctor_id", pattern=ID_PATTERN)]


@router.get("/doctors/{doctor_id}/reviews", responses=responses(NotFound, PageTokenInvalid))
async def list_reviews(
    someone: PossibleCaller,
    doctor_id: DoctorId,
    wish: Annotated[PageQuery, Query()],
    response: Response,
) -> Page[ReviewPublic]:
    """What patients said of visits that took place, newest first; nothing while there are under three."""
    found, token = await service.list_(someone, doctor_id, wish)
    response.headers["Cache-Control"] = "public, max-age=60"
    response.headers["Vary"] = "Authorization"
    return Page(items=found, next_page_token=token)


@router.post(
    "/doctors/{doctor_id}/reviews",
    status_code=201,
    responses=responses(*PROBLEMS, MalformedJson, NotFound, NotVisited, ReviewExists),
)
async def create_review(
    caller: Caller, doctor_id: DoctorId, wish: ReviewCreate, once: FirstTime
) -> ReviewOwn:
    """Review a visit, once it is fulfilled. The comment is public, the author's name is not."""
    return await service.create(caller, doctor_id, wish, once)
