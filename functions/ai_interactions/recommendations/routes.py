"""The path of recommendations."""

from typing import Annotated

from fastapi import APIRouter, Path

from common.auth import PROBLEMS, Caller
from common.problems import NotFound, responses
from common.schemas import ID_PATTERN

from . import service
from .schemas import Recommendations

router = APIRouter(tags=["assistant"])

PatientId = Annotated[str, Path(alias="patient_id", pattern=ID_PATTERN)]


@router.get(
    "/ai-interactions/recommendations/{patient_id}", responses=responses(*PROBLEMS, NotFound)
)
async def get_recommendations(caller: Caller, patient_id: PatientId) -> Recommendations:
    """What in the record is at odds, then what a model would consider; for who treats the patient.

    Conflicts come from a table with sources and need no model. Suggestions need the patient's consent.
    """
    return await service.recommend(caller, patient_id)
