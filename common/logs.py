"""One JSON line per event, in the form that Cloud Logging understands.

No patient data reaches a log: lines carry ids, routes and measures, never a
record's content; an exception is logged as its type and stack without its
message, because messages quote values.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType

from common.settings import settings


@dataclass(slots=True)
class RequestContext:
    """What is known of the request in hand, wherever in the code it is asked."""

    request_id: str
    trace_id: str
    span_id: str
    address: str
    actor_uid: str | None = None


request_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)

_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})/(\d{1,20})")


def cloud_trace(header: str) -> tuple[str, str]:
    """Trace and span id (hex) from `X-Cloud-Trace-Context`, else empty."""
    if match := _CLOUD_TRACE.match(header):
        return match[1], f"{int(match[2]) & (2**64 - 1):016x}"
    return "", ""


@contextmanager
def traced(trace_id: str, span_id: str) -> Iterator[None]:
    """What is logged meanwhile belongs to that trace."""
    context = request_context.get()
    if context is None:
        yield
        return
    token = request_context.set(replace(context, trace_id=trace_id, span_id=span_id))
    try:
        yield
    finally:
        request_context.reset(token)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "severity": record.levelname,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "message": record.getMessage(),
            "logger": record.name,
            "function": settings().function,
        }
        if context := request_context.get():
            line["request_id"] = context.request_id
            if context.trace_id:
                project = settings().project_id
                line["logging.googleapis.com/trace"] = (
                    f"projects/{project}/traces/{context.trace_id}"
                )
                line["logging.googleapis.com/spanId"] = context.span_id
        if record.exc_info:
            line["exception"] = stack(*record.exc_info[1:])
        line.update(getattr(record, "fields", {}))
        return json.dumps(line, default=str)


def stack(error: BaseException | None, tb: TracebackType | None) -> str:
    """The type of an error and where it was raised, without its message."""
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    frames = traceback.extract_tb(tb)
    return "\n".join([name, *(f"  {f.filename}:{f.lineno} {f.name}" for f in frames)])


def configure() -> None:
    """Send the root logger to standard output as JSON; called once per process."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # httpx logs each URL, and ours carry e-mail addresses nowhere but their keys.
    for chatty in ("httpx", "httpx2", "httpcore", "openai", "google", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
