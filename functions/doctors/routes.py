"""Paths and schemas of the doctors service; each route calls one use case."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import TypeAdapter

from common.auth import PROBLEMS, Admin, Caller, PossibleCaller
from common.idempotency import FirstTime
from common.models import Doctor, Specialty
from common.pages import Page
from common.preconditions import is_unchanged, revision_of
from common.problems import (
    DoctorExists,
    DoctorHasAppointments,
    MalformedJson,
    NotFound,
    PageTokenInvalid,
    RecordChanged,
    responses,
)
from common.schemas import ID_PATTERN, IF_MATCH

from . import service
from .schemas import (
    BySpecialtyQuery,
    DirectoryQuery,
    DoctorCreate,
    DoctorOwn,
    DoctorPublic,
    DoctorUpdate,
    Specialization,
    Verification,
)

router = APIRouter(tags=["doctors"])

DoctorId = Annotated[str, Path(alias="doctor_id", pattern=ID_PATTERN)]
IfMatch = Annotated[str | None, Header(description=IF_MATCH)]

_PUBLIC = "public, max-age=60"
_PRIVATE = "private, no-cache"
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "What you have is current"}}


def _cacheable(request: Request, body: bytes, etag: str, cache_control: str = _PUBLIC) -> Response:
    """The body, or 304 when the client has it."""
    headers = {"ETag": etag, "Cache-Control": cache_control}
    if is_unchanged(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _digest(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _whole(response: Response, doctor: Doctor) -> DoctorOwn:
    response.headers["ETag"] = doctor.etag
    return DoctorOwn.of(doctor)


async def _directory(
    request: Request, wish: BySpecialtyQuery, specialty: Specialty | None
) -> Response:
    found, token = await service.search(wish, specialty)
    page = Page[DoctorPublic].model_construct(
        items=[DoctorPublic.of(doctor) for doctor in found], next_page_token=token
    )
    body = page.model_dump_json().encode()
    return _cacheable(request, body, _digest(body))


@router.get(
    "/doctors",
    response_model=Page[DoctorPublic],
    responses=responses(PageTokenInvalid) | _UNCHANGED,
)
async def list_doctors(
    request: Request, someone: PossibleCaller, wish: Annotated[DirectoryQuery, Query()]
) -> Response:
    """The verified doctors. With `q` a page may be short and still have a next one."""
    return await _directory(request, wish, wish.specialty)


@router.get(
    "/doctors/specializations",
    response_model=list[Specialization],
    responses=responses() | _UNCHANGED,
)
async def list_specializations(request: Request, someone: PossibleCaller) -> Response:
    """Every specialty, by name, with the number of listed doctors."""
    found = await service.specializations.all()
    body = TypeAdapter(list[Specialization]).dump_json(found)
    return _cacheable(request, body, _digest(body))


@router.get(
    "/doctors/by-specialty/{specialty}",
    response_model=Page[DoctorPublic],
    responses=responses(PageTokenInvalid) | _UNCHANGED,
)
async def list_doctors_by_specialty(
    request: Request,
    someone: PossibleCaller,
    specialty: Specialty,
    wish: Annotated[BySpecialtyQuery, Query()],
) -> Response:
    """The same as `/doctors?specialty=…`."""
    return await _directory(request, wish, specialty)


@router.get(
    "/doctors/{doctor_id}",
    response_model=DoctorPublic | DoctorOwn,
    responses=responses(NotFound) | _UNCHANGED,
)
async def get_doctor(request: Request, someone: PossibleCaller, doctor_id: DoctorId) -> Response:
    """A profile. Before verification, and after removal, only its doctor and administrators see it."""
    doctor = await service.get(someone, doctor_id)
    shown = service.shown(someone, doctor)
    body = shown.model_dump_json().encode()
    if isinstance(shown, DoctorOwn):
        answer = _cacheable(request, body, doctor.etag, _PRIVATE)
    else:  # another tag: what is shown to the doctor has the same revision, and says more
        answer = _cacheable(request, body, _digest(body))
    answer.headers["Vary"] = "Authorization"
    return answer


@router.post(
    "/doctors",
    status_code=201,
    responses=responses(*PROBLEMS, MalformedJson, DoctorExists),
)
async def create_doctor(
    caller: Caller, wish: DoctorCreate, once: FirstTime, response: Response
) -> DoctorOwn:
    """Enter a profile; it is listed once an administrator has verified it."""
    doctor = await service.create(caller, wish, once)
    response.headers["Location"] = f"/v1/doctors/{doctor.id}"
    return _whole(response, doctor)


@router.put(
    "/doctors/{doctor_id}",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, RecordChanged),
)
async def update_doctor(
    caller: Caller,
    doctor_id: DoctorId,
    wish: DoctorUpdate,
    response: Response,
    if_match: IfMatch = None,
) -> DoctorOwn:
    """Change the profile; fields left out stay as they are.

    A doctor who changes name, specialties or qualifications must be verified anew.
    """
    doctor = await service.update(caller, doctor_id, wish, revision_of(if_match))
    return _whole(response, doctor)


@router.delete(
    "/doctors/{doctor_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound, RecordChanged, DoctorHasAppointments),
)
async def remove_doctor(caller: Caller, doctor_id: DoctorId, if_match: IfMatch = None) -> None:
    """Take the doctor out of the directory; 409 with their `count` while booked appointments lie ahead."""
    await service.remove(caller, doctor_id, revision_of(if_match))


@router.put(
    "/doctors/{doctor_id}/verification",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, RecordChanged),
)
async def verify_doctor(
    admin: Admin,
    doctor_id: DoctorId,
    wish: Verification,
    response: Response,
    if_match: IfMatch = None,
) -> DoctorOwn:
    """Say whether this doctor's licence was checked; only verified doctors are listed.

    With `If-Match`, what was checked is what is verified.
    """
    verified = await service.verify(admin, doctor_id, wish, revision_of(if_match))
    return _whole(response, verified)
