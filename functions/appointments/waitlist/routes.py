"""Paths and schemas of the waitlist; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from common.auth import PROBLEMS, Caller
from common.idempotency import AtLast, FirstTime
from common.pages import Page
from common.problems import (
    MalformedJson,
    NotFound,
    OfferEnded,
    PageTokenInvalid,
    PatientArchived,
    PatientBusy,
    PatientRecordMissing,
    WaitlistFull,
    responses,
)
from common.schemas import ID_PATTERN

from ..schemas import AppointmentPublic
from . import service
from .schemas import WaitlistFilter, WaitlistJoin, WaitlistPublic

router = APIRouter(tags=["waitlist"])

WaitlistId = Annotated[str, Path(alias="waitlist_id", pattern=ID_PATTERN)]


@router.get("/appointments/waitlist", responses=responses(*PROBLEMS, NotFound, PageTokenInvalid))
async def list_waitlist(
    caller: Caller, wish: Annotated[WaitlistFilter, Query()]
) -> Page[WaitlistPublic]:
    """What the patient waits or waited for, newest first."""
    found, token = await service.list_(caller, wish)
    return Page(items=found, next_page_token=token)


@router.post(
    "/appointments/waitlist",
    status_code=201,
    responses=responses(
        *PROBLEMS, MalformedJson, NotFound, PatientRecordMissing, PatientArchived, WaitlistFull
    ),
)
async def join_waitlist(
    caller: Caller, wish: WaitlistJoin, once: FirstTime, response: Response
) -> WaitlistPublic:
    """Wait for a slot. One that is freed is held for the first whom it fits, for 15 minutes."""
    entry, shown = await service.join(caller, wish, once)
    response.headers["Location"] = f"/v1/appointments/waitlist/{entry.id}"
    return shown


@router.delete(
    "/appointments/waitlist/{waitlist_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound),
)
async def leave_waitlist(caller: Caller, waitlist_id: WaitlistId) -> None:
    """Leave the list. A slot that was held goes to the next in line."""
    await service.leave(caller, waitlist_id)


@router.post(
    "/appointments/waitlist/{waitlist_id}/accept",
    status_code=201,
    responses=responses(*PROBLEMS, NotFound, OfferEnded, PatientArchived, PatientBusy),
)
async def accept_offer(
    caller: Caller, waitlist_id: WaitlistId, once: AtLast, response: Response
) -> AppointmentPublic:
    """Take the slot that is held, while the offer lasts."""
    appointment, shown = await service.accept(caller, waitlist_id, once)
    response.headers["Location"] = f"/v1/{appointment.path}"
    response.headers["ETag"] = appointment.etag
    return shown


@router.post(
    "/appointments/waitlist/{waitlist_id}/decline",
    responses=responses(*PROBLEMS, NotFound, OfferEnded),
)
async def decline_offer(caller: Caller, waitlist_id: WaitlistId) -> WaitlistPublic:
    """Let the slot go to the next in line, and stay on the list for another."""
    return await service.decline(caller, waitlist_id)
