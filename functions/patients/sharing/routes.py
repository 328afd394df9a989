"""Paths and schemas of access to a patient; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from common.auth import PROBLEMS, Caller
from common.idempotency import FirstTime
from common.pages import Page, PageQuery
from common.problems import (
    CareTeamFull,
    MalformedJson,
    NotFound,
    PageTokenInvalid,
    PatientArchived,
    responses,
)
from common.schemas import ID_PATTERN

from . import service
from .schemas import AccessLogEntry, CareTeamGrant, CareTeamMember, Emergency, EmergencyAccess

router = APIRouter(tags=["access"])

PatientId = Annotated[str, Path(alias="patient_id", pattern=ID_PATTERN)]
DoctorId = Annotated[str, Path(alias="doctor_id", pattern=ID_PATTERN)]


@router.get("/patients/{patient_id}/care-team", responses=responses(*PROBLEMS, NotFound))
async def list_care_team(caller: Caller, patient_id: PatientId) -> list[CareTeamMember]:
    """The doctors on the care team, 50 at most."""
    return await service.list_care_team(caller, patient_id)


@router.get(
    "/patients/{patient_id}/care-team/{doctor_id}", responses=responses(*PROBLEMS, NotFound)
)
async def get_care_team_member(
    caller: Caller, patient_id: PatientId, doctor_id: DoctorId
) -> CareTeamMember:
    return await service.get_member(caller, patient_id, doctor_id)


@router.put(
    "/patients/{patient_id}/care-team/{doctor_id}",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, PatientArchived, CareTeamFull),
)
async def put_care_team_member(
    caller: Caller, patient_id: PatientId, doctor_id: DoctorId, wish: CareTeamGrant
) -> CareTeamMember:
    """Let a doctor see the record, until `expires_at` or until it is taken back."""
    return await service.grant(caller, patient_id, doctor_id, wish)


@router.delete(
    "/patients/{patient_id}/care-team/{doctor_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound),
)
async def delete_care_team_member(
    caller: Caller, patient_id: PatientId, doctor_id: DoctorId
) -> None:
    """Take a doctor off the care team; it bites everywhere within 10 seconds."""
    await service.revoke(caller, patient_id, doctor_id)


@router.post(
    "/patients/{patient_id}/break-glass",
    status_code=201,
    responses=responses(*PROBLEMS, MalformedJson, NotFound),
)
async def break_glass(
    caller: Caller, patient_id: PatientId, wish: Emergency, once: FirstTime
) -> EmergencyAccess:
    """In an emergency: access for 60 minutes. The patient and administrators are told."""
    return await service.break_glass(caller, patient_id, wish, once)


@router.get(
    "/patients/{patient_id}/access-log",
    responses=responses(*PROBLEMS, NotFound, PageTokenInvalid),
)
async def list_access_log(
    caller: Caller, patient_id: PatientId, wish: Annotated[PageQuery, Query()]
) -> Page[AccessLogEntry]:
    """Who saw or changed what, when and why, newest first."""
    found, token = await service.access_log(caller, patient_id, wish)
    return Page(items=found, next_page_token=token)
