"""Paths and schemas of what is kept; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from common.auth import PROBLEMS, Caller
from common.pages import Page, PageQuery
from common.problems import LegalHold, MalformedJson, NotFound, PageTokenInvalid, responses
from common.schemas import ID_PATTERN

from . import service
from .schemas import (
    ConsentChange,
    ConsentPublic,
    ConversationPublic,
    ExchangePublic,
    PromptPublic,
)

router = APIRouter(tags=["assistant"])

UserId = Annotated[str, Path(alias="user_id", pattern=ID_PATTERN)]
PatientId = Annotated[str, Path(alias="patient_id", pattern=ID_PATTERN)]
ConversationId = Annotated[str, Path(alias="conversation_id", pattern=ID_PATTERN)]


@router.get(
    "/ai-interactions/history/{user_id}",
    responses=responses(*PROBLEMS, NotFound, PageTokenInvalid),
)
async def list_conversations(
    caller: Caller, user_id: UserId, page: Annotated[PageQuery, Query()]
) -> Page[ConversationPublic]:
    """The person's conversations, those that went on last first. Administrators see no words."""
    found, token = await service.list_conversations(caller, user_id, page)
    return Page(items=found, next_page_token=token)


@router.get(
    "/ai-interactions/history/{user_id}/{conversation_id}",
    responses=responses(*PROBLEMS, NotFound, PageTokenInvalid),
)
async def list_exchanges(
    caller: Caller,
    user_id: UserId,
    conversation_id: ConversationId,
    page: Annotated[PageQuery, Query()],
) -> Page[ExchangePublic]:
    """What was asked and answered, newest first. For the person themself."""
    found, token = await service.list_exchanges(caller, user_id, conversation_id, page)
    return Page(items=found, next_page_token=token)


@router.delete(
    "/ai-interactions/history/{user_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound, LegalHold),
)
async def delete_conversations(caller: Caller, user_id: UserId) -> None:
    """Forget all that was asked and answered."""
    await service.forget(caller, user_id)


@router.delete(
    "/ai-interactions/history/{user_id}/{conversation_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound, LegalHold),
)
async def delete_conversation(
    caller: Caller, user_id: UserId, conversation_id: ConversationId
) -> None:
    """Forget one conversation; again is no error."""
    await service.forget(caller, user_id, conversation_id)


@router.get(
    "/ai-interactions/prompts/{user_id}",
    responses=responses(*PROBLEMS, NotFound, PageTokenInvalid),
)
async def list_prompts(
    caller: Caller, user_id: UserId, page: Annotated[PageQuery, Query()]
) -> Page[PromptPublic]:
    """What left for language models about this person, as it left, newest first."""
    found, token = await service.list_prompts(caller, user_id, page)
    return Page(items=found, next_page_token=token)


@router.get("/ai-interactions/consent/{patient_id}", responses=responses(*PROBLEMS, NotFound))
async def get_consent(caller: Caller, patient_id: PatientId) -> ConsentPublic:
    """Whether a language model may see the record, without what identifies the patient. By default not."""
    return await service.get_consent(caller, patient_id)


@router.put(
    "/ai-interactions/consent/{patient_id}",
    responses=responses(*PROBLEMS, MalformedJson, NotFound),
)
async def set_consent(caller: Caller, patient_id: PatientId, wish: ConsentChange) -> ConsentPublic:
    """Give or withdraw it; it counts from the next question on."""
    return await service.set_consent(caller, patient_id, is_given=wish.is_given)
