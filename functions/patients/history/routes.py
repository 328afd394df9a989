"""Paths and schemas of patients' histories; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from common.auth import PROBLEMS, Caller
from common.clinical import HistoryRecord
from common.idempotency import FirstTime
from common.pages import Page, PageQuery
from common.preconditions import revision_of
from common.problems import (
    MalformedJson,
    NotFound,
    PageTokenInvalid,
    PatientArchived,
    RecordChanged,
    responses,
)
from common.schemas import ID_PATTERN, IF_MATCH

from . import service
from .schemas import HistoryAmend, HistoryCreate, HistoryFilter, HistoryPublic

router = APIRouter(tags=["history"])

PatientId = Annotated[str, Path(alias="patient_id", pattern=ID_PATTERN)]
RecordId = Annotated[str, Path(alias="record_id", pattern=ID_PATTERN)]
IfMatch = Annotated[str | None, Header(description=IF_MATCH)]


def _tagged(response: Response, record: HistoryRecord, shown: HistoryPublic) -> HistoryPublic:
    response.headers["ETag"] = record.etag
    return shown


@router.get(
    "/patients/{patient_id}/history", responses=responses(*PROBLEMS, NotFound, PageTokenInvalid)
)
async def list_history(
    caller: Caller, patient_id: PatientId, wish: Annotated[HistoryFilter, Query()]
) -> Page[HistoryPublic]:
    """The records, newest first; `from` and `to` are days of occurrence, both included."""
    found, token = await service.list_(caller, patient_id, wish)
    return Page(items=found, next_page_token=token)


@router.post(
    "/patients/{patient_id}/history",
    status_code=201,
    responses=responses(*PROBLEMS, MalformedJson, NotFound, PatientArchived),
)
async def create_history(
    caller: Caller,
    patient_id: PatientId,
    wish: HistoryCreate,
    once: FirstTime,
    response: Response,
) -> HistoryPublic:
    """Enter a record. For the patient's doctors and administrators."""
    record, shown = await service.create(caller, patient_id, wish, once)
    response.headers["Location"] = f"/v1/{record.path}"
    return _tagged(response, record, shown)


@router.get("/patients/{patient_id}/history/{record_id}", responses=responses(*PROBLEMS, NotFound))
async def get_history(
    caller: Caller, patient_id: PatientId, record_id: RecordId, response: Response
) -> HistoryPublic:
    return _tagged(response, *await service.get(caller, patient_id, record_id))


@router.put(
    "/patients/{patient_id}/history/{record_id}",
    responses=responses(*PROBLEMS, MalformedJson, NotFound, PatientArchived, RecordChanged),
)
async def amend_history(
    caller: Caller,
    patient_id: PatientId,
    record_id: RecordId,
    wish: HistoryAmend,
    response: Response,
    if_match: IfMatch = None,
) -> HistoryPublic:
    """Amend a record; its earlier version stays. For the doctor who entered it and administrators.

    When somebody else amended it meanwhile (412), `errors` names the fields that changed and
    the header `ETag` the version that is current.
    """
    amended = await service.amend(caller, patient_id, record_id, wish, revision_of(if_match))
    return _tagged(response, *amended)


@router.get(
    "/patients/{patient_id}/history/{record_id}/versions",
    responses=responses(*PROBLEMS, NotFound, PageTokenInvalid),
)
async def list_history_versions(
    caller: Caller,
    patient_id: PatientId,
    record_id: RecordId,
    wish: Annotated[PageQuery, Query()],
) -> Page[HistoryPublic]:
    """What the record said before its amendments, newest first."""
    found, token = await service.list_versions(caller, patient_id, record_id, wish)
    return Page(items=found, next_page_token=token)
