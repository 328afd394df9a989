"""Paths and schemas of conversations; each route calls one use case."""

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import StreamingResponse

from common import sse
from common.auth import PROBLEMS, Caller
from common.idempotency import ByHand
from common.pages import Page
from common.problems import (
    BudgetSpent,
    ConsentRequired,
    IdempotencyInFlight,
    MalformedJson,
    NotFound,
    PageTokenInvalid,
    Problem,
    responses,
)
from common.schemas import ID_PATTERN

from . import service
from .schemas import (
    ChatAnswer,
    ChatMessage,
    ConsentChange,
    ConsentPublic,
    ConversationPublic,
    ExchangePublic,
    HistoryFilter,
    PromptPublic,
)

router = APIRouter(tags=["assistant"])

UserId = Annotated[str, Path(alias="user_id", pattern=ID_PATTERN)]
PatientId = Annotated[str, Path(alias="patient_id", pattern=ID_PATTERN)]
ConversationId = Annotated[str, Path(alias="conversation_id", pattern=ID_PATTERN)]
_Accept = Annotated[str | None, Header(include_in_schema=False)]


@router.post(
    "/ai-interactions/chat",
    response_model=ChatAnswer,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "The answer"},
        **responses(
            *PROBLEMS, MalformedJson, NotFound, ConsentRequired, IdempotencyInFlight, BudgetSpent
        ),
    },
)
async def chat(
    caller: Caller, wish: ChatMessage, once: ByHand, accept: _Accept = None
) -> ChatAnswer | StreamingResponse:
    """Ask the assistant. Red flags are looked for first; in an emergency no model is asked.

    With `Accept: text/event-stream` the answer comes sentence by sentence: `started`, perhaps `alarm`,
    `sentence` for each, and `ended` with the whole, or `problem`. What identifies you is taken out before a model sees it.
    """
    events = await service.chat(caller, wish, once)
    if accept and "text/event-stream" in accept:
        return StreamingResponse(
            _bytes(events), media_type="text/event-stream", headers=sse.HEADERS
        )
    answer = None
    async for event in events:
        answer = event
    assert isinstance(answer, ChatAnswer)  # noqa: S101 - it comes last
    return answer


async def _bytes(events: AsyncIterator[bytes | ChatAnswer]) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            if isinstance(event, bytes):
                yield event
    except Problem as problem:  # the answer has begun, so it is told as its last event
        yield sse.sse("problem", json.loads(problem.body()))


@router.get(
    "/ai-interactions/history/{user_id}",
    responses=responses(*PROBLEMS, NotFound, PageTokenInvalid),
)
async def list_conversations(
    caller: Caller, user_id: UserId, page: Annotated[HistoryFilter, Query()]
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
    page: Annotated[HistoryFilter, Query()],
) -> Page[ExchangePublic]:
    """What was asked and answered, newest first. For the person themself."""
    found, token = await service.list_exchanges(caller, user_id, conversation_id, page)
    return Page(items=found, next_page_token=token)


@router.delete(
    "/ai-interactions/history/{user_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound),
)
async def delete_conversations(caller: Caller, user_id: UserId) -> None:
    """Forget all that was asked and answered."""
    await service.forget(caller, user_id)


@router.delete(
    "/ai-interactions/history/{user_id}/{conversation_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound),
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
    caller: Caller, user_id: UserId, page: Annotated[HistoryFilter, Query()]
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
