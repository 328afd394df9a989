"""Paths and schemas of conversations; each route calls one use case."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from common import sse
from common.auth import PROBLEMS, Caller
from common.idempotency import ByHand
from common.problems import (
    BudgetSpent,
    ConsentRequired,
    IdempotencyInFlight,
    Internal,
    MalformedJson,
    NotFound,
    Problem,
    responses,
)

from . import service
from .schemas import (
    ChatAnswer,
    ChatMessage,
)

router = APIRouter(tags=["assistant"])
_log = logging.getLogger("healthhub.assistant")

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


async def _bytes(events: AsyncGenerator[bytes | ChatAnswer, None]) -> AsyncGenerator[bytes, None]:
    """What fails is told as the last event: the answer has begun, so it has its status."""
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, bytes):
                    yield event
    except Problem as problem:
        yield sse.sse("problem", json.loads(problem.body()))
    except Exception:  # noqa: BLE001 - of any kind, or the stream would end as if it were whole
        _log.exception("an answer broke off")
        yield sse.sse("problem", json.loads(Internal().body()))
