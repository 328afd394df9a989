"""Paths and schemas of the appointments service; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Query, Response

from common.auth import PROBLEMS, Caller, PossibleCaller
from common.idempotency import AtLast
from common.pages import Page
from common.preconditions import revision_of
from common.problems import (
    MalformedJson,
    NotAccepting,
    NotFound,
    PageTokenInvalid,
    PatientArchived,
    PatientBusy,
    PatientRecordMissing,
    RecordChanged,
    SlotTaken,
    StatusConflict,
    responses,
)
from common.scheduling import Appointment, AppointmentStatus
from common.schemas import ID_PATTERN, IF_MATCH

from . import service
from .schemas import (
    AppointmentCreate,
    AppointmentFilter,
    AppointmentPublic,
    AppointmentSummary,
    AppointmentUpdate,
    Availability,
    AvailabilityQuery,
    Cancellation,
    Reschedule,
    StatusChange,
)

router = APIRouter(tags=["appointments"])

DoctorId = Annotated[str, Path(alias="doctor_id", pattern=ID_PATTERN)]
AppointmentId = Annotated[str, Path(alias="appointment_id", pattern=ID_PATTERN)]
IfMatch = Annotated[str | None, Header(description=IF_MATCH)]

_TAKEN = (SlotTaken, PatientBusy, PatientArchived, NotAccepting)


def _tagged(
    response: Response, appointment: Appointment, shown: AppointmentPublic
) -> AppointmentPublic:
    response.headers["ETag"] = appointment.etag
    return shown


@router.get("/appointments", responses=responses(*PROBLEMS, PageTokenInvalid))
async def list_appointments(
    caller: Caller, wish: Annotated[AppointmentFilter, Query()]
) -> Page[AppointmentSummary]:
    """The caller's own, by their start; administrators see all."""
    found, token = await service.list_(caller, wish)
    return Page(items=found, next_page_token=token)


@router.post(
    "/appointments",
    status_code=201,
    responses=responses(*PROBLEMS, MalformedJson, NotFound, *_TAKEN, PatientRecordMissing),
)
async def book_appointment(
    caller: Caller, wish: AppointmentCreate, once: AtLast, response: Response
) -> AppointmentPublic:
    """Book a slot. One that was taken meanwhile is answered with 409 and the next three free ones."""
    appointment, shown = await service.book(caller, wish, once)
    response.headers["Location"] = f"/v1/{appointment.path}"
    return _tagged(response, appointment, shown)


@router.get("/appointments/available/{doctor_id}", responses=responses(NotFound))
async def list_available_slots(
    someone: PossibleCaller,
    doctor_id: DoctorId,
    wish: Annotated[AvailabilityQuery, Query()],
    response: Response,
) -> Availability:
    """The doctor's free slots, in UTC and on the doctor's clock. A slot is not held by being listed."""
    response.headers["Cache-Control"] = "no-cache"
    return await service.available(doctor_id, wish)


@router.get("/appointments/{appointment_id}", responses=responses(*PROBLEMS, NotFound))
async def get_appointment(
    caller: Caller, appointment_id: AppointmentId, response: Response
) -> AppointmentPublic:
    return _tagged(response, *await service.get(caller, appointment_id))


@router.put(
    "/appointments/{appointment_id}",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, StatusConflict, RecordChanged),
)
async def update_appointment(
    caller: Caller,
    appointment_id: AppointmentId,
    wish: AppointmentUpdate,
    response: Response,
    if_match: IfMatch = None,
) -> AppointmentPublic:
    """Change reason, type or notes; fields left out stay as they are. The time changes by reschedule."""
    changed = await service.update(caller, appointment_id, wish, revision_of(if_match))
    return _tagged(response, *changed)


@router.delete(
    "/appointments/{appointment_id}",
    status_code=204,
    responses=responses(*PROBLEMS, MalformedJson, NotFound, StatusConflict, RecordChanged),
)
async def cancel_appointment(
    caller: Caller,
    appointment_id: AppointmentId,
    wish: Annotated[Cancellation | None, Body()] = None,
    if_match: IfMatch = None,
) -> None:
    """Cancel. The slot is free again, or offered to who waits for it."""
    await service.cancel(caller, appointment_id, wish or Cancellation(), revision_of(if_match))


@router.post(
    "/appointments/reschedule/{appointment_id}",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, *_TAKEN, StatusConflict),
)
async def reschedule_appointment(
    caller: Caller,
    appointment_id: AppointmentId,
    wish: Reschedule,
    once: AtLast,
    response: Response,
) -> AppointmentPublic:
    """Move to another slot, or to another doctor. If the new time is taken, the old one is kept."""
    return _tagged(response, *await service.reschedule(caller, appointment_id, wish, once))


@router.post(
    "/appointments/{appointment_id}/status",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, StatusConflict),
)
async def set_appointment_status(
    caller: Caller, appointment_id: AppointmentId, wish: StatusChange, response: Response
) -> AppointmentPublic:
    """Booked, then arrived, then fulfilled; or no-show, once it should have begun."""
    status = AppointmentStatus(wish.status)
    return _tagged(response, *await service.set_status(caller, appointment_id, status))
