"""Paths and schemas of patients' profiles; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from starlette.responses import StreamingResponse

from common.auth import PROBLEMS, Caller
from common.clinical import Patient
from common.idempotency import FirstTime
from common.pages import Page
from common.preconditions import revision_of
from common.problems import (
    LegalHold,
    MalformedJson,
    NotFound,
    PageTokenInvalid,
    PatientArchived,
    PatientExists,
    RecordChanged,
    RetentionNotOver,
    responses,
)
from common.schemas import ID_PATTERN, IF_MATCH

from . import service
from .schemas import (
    LegalHoldChange,
    LegalHoldPublic,
    PatientCreate,
    PatientFilter,
    PatientPublic,
    PatientSummary,
    PatientUpdate,
)

router = APIRouter(tags=["patients"])

PatientId = Annotated[str, Path(alias="patient_id", pattern=ID_PATTERN)]
IfMatch = Annotated[str | None, Header(description=IF_MATCH)]

_FHIR = "application/fhir+json"


def _tagged(response: Response, patient: Patient, shown: PatientPublic) -> PatientPublic:
    response.headers["ETag"] = patient.etag
    return shown


@router.get("/patients", responses=responses(*PROBLEMS, PageTokenInvalid))
async def list_patients(
    caller: Caller, wish: Annotated[PatientFilter, Query()]
) -> Page[PatientSummary]:
    """By name: all patients for administrators, theirs for doctors. A page may be short."""
    found, token = await service.list_(caller, wish)
    return Page(items=found, next_page_token=token)


@router.post(
    "/patients", status_code=201, responses=responses(*PROBLEMS, MalformedJson, PatientExists)
)
async def create_patient(
    caller: Caller, wish: PatientCreate, once: FirstTime, response: Response
) -> PatientPublic:
    """Make a record: patients their own, doctors one of a patient without an account."""
    patient, shown = await service.create(caller, wish, once)
    response.headers["Location"] = f"/v1/{patient.path}"
    return _tagged(response, patient, shown)


@router.get("/patients/{patient_id}", responses=responses(*PROBLEMS, NotFound))
async def get_patient(caller: Caller, patient_id: PatientId, response: Response) -> PatientPublic:
    return _tagged(response, *await service.get(caller, patient_id))


@router.put(
    "/patients/{patient_id}",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, PatientArchived, RecordChanged),
)
async def update_patient(
    caller: Caller,
    patient_id: PatientId,
    wish: PatientUpdate,
    response: Response,
    if_match: IfMatch = None,
) -> PatientPublic:
    """Change the profile; fields left out stay as they are. Doctors don't change contacts or insurance."""
    changed = await service.update(caller, patient_id, wish, revision_of(if_match))
    return _tagged(response, *changed)


@router.delete(
    "/patients/{patient_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound, RecordChanged),
)
async def archive_patient(caller: Caller, patient_id: PatientId, if_match: IfMatch = None) -> None:
    """Archive the record: hidden from lists, read-only, kept for its retention."""
    await service.archive(caller, patient_id, revision_of(if_match))


@router.post("/patients/{patient_id}/restore", responses=responses(*PROBLEMS, NotFound))
async def restore_patient(
    caller: Caller, patient_id: PatientId, response: Response
) -> PatientPublic:
    """Undo the archiving. For administrators."""
    return _tagged(response, *await service.restore(caller, patient_id))


@router.get("/patients/{patient_id}/legal-hold", responses=responses(*PROBLEMS, NotFound))
async def get_legal_hold(caller: Caller, patient_id: PatientId) -> LegalHoldPublic:
    """Whether there is a legal hold, and why. For administrators."""
    return await service.get_hold(caller, patient_id)


@router.put(
    "/patients/{patient_id}/legal-hold", responses=responses(*PROBLEMS, MalformedJson, NotFound)
)
async def set_legal_hold(
    caller: Caller, patient_id: PatientId, wish: LegalHoldChange
) -> LegalHoldPublic:
    """Place or lift a legal hold: while it is there, nothing is deleted. For administrators."""
    return await service.hold(caller, patient_id, wish)


@router.post(
    "/patients/{patient_id}/erasure",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound, LegalHold, RetentionNotOver),
)
async def erase_patient(caller: Caller, patient_id: PatientId) -> None:
    """Destroy the patient's key and delete the record, once nothing keeps it. For administrators."""
    await service.erase(caller, patient_id)


@router.get(
    "/patients/{patient_id}/export",
    response_class=StreamingResponse,
    responses={
        **responses(*PROBLEMS, NotFound),
        200: {"content": {_FHIR: {"schema": {"type": "object"}}}, "description": "FHIR R4 Bundle"},
    },
)
async def export_patient(caller: Caller, patient_id: PatientId) -> StreamingResponse:
    """Everything that is held of the patient, as a FHIR R4 Bundle."""
    name = f'attachment; filename="patient-{patient_id}.json"'
    return StreamingResponse(
        await service.export(caller, patient_id),
        media_type=_FHIR,
        headers={"Content-Disposition": name},
    )
