"""Paths and schemas of doctors' schedules; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Response

from common.auth import PROBLEMS, Caller
from common.preconditions import revision_of
from common.problems import MalformedJson, NotFound, RecordChanged, responses
from common.scheduling import Schedule
from common.schemas import ID_PATTERN, IF_MATCH

from . import service
from .schemas import SchedulePublic, ScheduleSaved

router = APIRouter(tags=["schedules"])

DoctorId = Annotated[str, Path(alias="doctor_id", pattern=ID_PATTERN)]
IfMatch = Annotated[str | None, Header(description=IF_MATCH)]


@router.get("/doctors/{doctor_id}/schedule", responses=responses(*PROBLEMS, NotFound))
async def get_schedule(caller: Caller, doctor_id: DoctorId, response: Response) -> SchedulePublic:
    """The hours as the doctor entered them; what is free in them is at `/appointments/available`."""
    practice, shown = await service.get(caller, doctor_id)
    response.headers["ETag"] = practice.etag
    return shown


@router.put(
    "/doctors/{doctor_id}/schedule",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, RecordChanged),
)
async def put_schedule(
    caller: Caller,
    doctor_id: DoctorId,
    wish: Schedule,
    response: Response,
    if_match: IfMatch = None,
) -> ScheduleSaved:
    """Replace the schedule. Appointments that no longer fit are kept, and listed in the answer.

    Times are the doctor's wall clock, whatever clocks do. When slots come to lie elsewhere (another
    length, other minutes) booking pauses for some seconds: until `bookable_from`.
    """
    response.headers["ETag"], answer = await service.put(
        caller, doctor_id, wish, revision_of(if_match)
    )
    return answer
