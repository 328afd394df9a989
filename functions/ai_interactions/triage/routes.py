"""The path of an assessment."""

from fastapi import APIRouter

from common.auth import PROBLEMS, Caller
from common.problems import MalformedJson, responses

from . import service
from .schemas import Assessment, SymptomReport

router = APIRouter(tags=["assistant"])


@router.post(
    "/ai-interactions/analyze",
    responses=responses(*PROBLEMS, MalformedJson),
)
async def analyze(caller: Caller, wish: SymptomReport) -> Assessment:
    """How soon somebody with these symptoms should be seen, what to do until then, and by whom.

    Red-flag rules decide first, and nothing lowers what they find. What a model adds is checked against its
    sources. Nothing of it is stored but that it was asked.
    """
    return await service.analyze(caller, wish)
