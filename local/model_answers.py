"""Puts the stand-in model's answers in the form of OpenAI's API: whole, or in pieces."""

import re
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from local.answers import Answer, tokens
from local.model_requests import Asked

Body = dict[str, Any]


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S{1,24}|\s+", text)


def _read(asked: Asked) -> int:
    return sum(tokens(message.text) for message in asked.question.messages)


# ---------------------------------------------------------------- chat completions


def chat_completion(asked: Asked, given: Answer) -> Body:
    content = "refusal" if given.refused else "content"
    message: Body = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    choice = {
        "index": 0,
        "message": {**message, content: given.text},
        "logprobs": None,
        "finish_reason": _finish(given),
    }
    return {
        **_chat_head(asked, "chat.completion"),
        "choices": [choice],
        "usage": _chat_usage(asked, given),
    }


def chat_chunks(asked: Asked, given: Answer) -> Iterator[Body]:
    head = _chat_head(asked, "chat.completion.chunk")
    with_usage = bool((asked.body.get("stream_options") or {}).get("include_usage"))
    if with_usage:
        head["usage"] = None

    def chunk(delta: Body, finish: str | None = None) -> Body:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice]}

    content = "refusal" if given.refused else "content"
    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in _pieces(given.text):
        yield chunk({content: piece})
    yield chunk({}, _finish(given))
    if with_usage:
        yield {**head, "choices": [], "usage": _chat_usage(asked, given)}


def _finish(given: Answer) -> str:
    return "length" if given.cut else "stop"


def _chat_head(asked: Asked, kind: str) -> Body:
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_stand_in",
    }


def _chat_usage(asked: Asked, given: Answer) -> Body:
    read, written = _read(asked), tokens(given.text)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


# ---------------------------------------------------------------- responses


def response_object(asked: Asked, given: Answer) -> Body:
    status = "incomplete" if given.cut else "completed"
    return _finished(_response_head(asked), status, _item(given, status), asked, given)


def response_events(asked: Asked, given: Answer) -> list[Body]:
    return [{**event, "sequence_number": i} for i, event in enumerate(_events(asked, given))]


def _events(asked: Asked, given: Answer) -> Iterator[Body]:
    head = _response_head(asked)
    status = "incomplete" if given.cut else "completed"
    item = _item(given, status)
    part = item["content"][0]
    empty = _part(given, "")
    name, content = ("refusal", "refusal") if given.refused else ("output_text", "text")
    logprobs: Body = {} if given.refused else {"logprobs": []}
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}

    yield {"type": "response.created", "response": head}
    yield {"type": "response.in_progress", "response": head}
    begun = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    yield {"type": "response.content_part.added", **at, "part": empty}
    for piece in _pieces(given.text):
        yield {"type": f"response.{name}.delta", **at, "delta": piece, **logprobs}
    yield {"type": f"response.{name}.done", **at, content: given.text, **logprobs}
    yield {"type": "response.content_part.done", **at, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    whole = _finished(head, status, item, asked, given)
    yield {"type": f"response.{status}", "response": whole}


def _item(given: Answer, status: str) -> Body:
    return {
        "id": f"msg_{uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [_part(given, given.text)],
    }


def _part(given: Answer, text: str) -> Body:
    if given.refused:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _finished(head: Body, status: str, item: Body, asked: Asked, given: Answer) -> Body:
    read, written = _read(asked), tokens(given.text)
    usage = {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
    return {
        **head,
        "status": status,
        "completed_at": None if given.cut else int(time.time()),
        "incomplete_details": {"reason": "max_output_tokens"} if given.cut else None,
        "output": [item],
        "usage": usage,
    }


def _response_head(asked: Asked) -> Body:
    """What is sent first; the parameters as they were given, or as they are by default."""
    given = {name: value for name, value in asked.body.items() if value is not None}
    return {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": given.get("instructions"),
        "max_output_tokens": given.get("max_output_tokens"),
        "metadata": given.get("metadata", {}),
        "model": asked.model,
        "output": [],
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": given.get("reasoning", {"effort": None, "summary": None}),
        "service_tier": "default",
        "store": given.get("store", True),
        "temperature": given.get("temperature", 1.0),
        "text": given.get("text", {"format": {"type": "text"}}),
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": given.get("tools", []),
        "top_p": given.get("top_p", 1.0),
        "truncation": given.get("truncation", "disabled"),
        "usage": None,
        "user": given.get("user"),
    }
