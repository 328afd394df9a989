"""Paths and schemas of the knowledge base; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from common.auth import PROBLEMS, Admin, Caller
from common.idempotency import FirstTime
from common.knowledge import ID_PATTERN
from common.problems import AlreadyExists, MalformedJson, NotFound, responses

from . import service
from .schemas import KnowledgeCreate, KnowledgePublic, KnowledgeQuery, KnowledgeResults

router = APIRouter(tags=["knowledge"])

EntryId = Annotated[str, Path(alias="entry_id", pattern=ID_PATTERN)]


@router.get("/ai-interactions/knowledge", responses=responses(*PROBLEMS))
async def search_knowledge(
    caller: Caller, wish: Annotated[KnowledgeQuery, Query()]
) -> KnowledgeResults:
    """The entries that fit a question best, each with its public source."""
    return await service.find(caller, wish)


@router.get("/ai-interactions/knowledge/{entry_id}", responses=responses(*PROBLEMS, NotFound))
async def get_knowledge(caller: Caller, entry_id: EntryId) -> KnowledgePublic:
    """What a citation refers to."""
    return await service.get(entry_id)


@router.post(
    "/ai-interactions/knowledge",
    status_code=201,
    responses=responses(*PROBLEMS, MalformedJson, AlreadyExists),
)
async def create_knowledge(
    admin: Admin, wish: KnowledgeCreate, once: FirstTime, response: Response
) -> KnowledgePublic:
    """Add an entry; it can be found at once."""
    created = await service.create(admin, wish, once)
    response.headers["Location"] = f"/v1/ai-interactions/knowledge/{created.entry_id}"
    return created


@router.delete(
    "/ai-interactions/knowledge/{entry_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound),
)
async def delete_knowledge(admin: Admin, entry_id: EntryId) -> None:
    """Delete an entry. Answers that cited it keep its title and source."""
    await service.delete(admin, entry_id)
