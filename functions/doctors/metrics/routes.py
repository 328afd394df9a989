"""Path and schema of metrics; the route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from common.auth import PROBLEMS, Caller
from common.problems import NotFound, responses
from common.schemas import ID_PATTERN

from . import service
from .schemas import Metrics, MetricsQuery

router = APIRouter(tags=["metrics"])

DoctorId = Annotated[str, Path(alias="doctor_id", pattern=ID_PATTERN)]


@router.get("/doctors/{doctor_id}/metrics", responses=responses(*PROBLEMS, NotFound))
async def get_metrics(
    caller: Caller, doctor_id: DoctorId, wish: Annotated[MetricsQuery, Query()]
) -> Metrics:
    """Visits, no-shows, cancellations, utilisation, lead time and ratings, for the doctor themself."""
    return await service.get(caller, doctor_id, wish)
