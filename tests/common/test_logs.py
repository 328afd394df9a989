"""Log lines: what Cloud Logging reads, and what must not be in them."""

import json
import logging
from typing import Any

import pytest

from common import logs
from common.logs import JsonFormatter, RequestContext, request_context

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def line(record: logging.LogRecord) -> dict[str, Any]:
    formatted = JsonFormatter().format(record)
    assert "\n" not in formatted
    parsed: dict[str, Any] = json.loads(formatted)
    return parsed


@pytest.mark.usefixtures("platform")
def test_a_line_is_correlated_with_its_request_and_trace() -> None:
    token = request_context.set(
        RequestContext("req-12345678", TRACE, "00f067aa0ba902b7", "1.2.3.4")
    )
    try:
        record = logging.LogRecord("x", logging.WARNING, "f.py", 1, "hello %s", ("you",), None)
        record.fields = {"status": 200}
        found = line(record)
    finally:
        request_context.reset(token)
    assert found["severity"] == "WARNING"
    assert found["message"] == "hello you"
    assert found["request_id"] == "req-12345678"
    assert found["status"] == 200
    assert found["logging.googleapis.com/trace"] == f"projects/demo-healthhub/traces/{TRACE}"
    assert found["logging.googleapis.com/spanId"] == "00f067aa0ba902b7"


@pytest.mark.usefixtures("platform")
def test_an_exception_is_logged_by_type_and_place_without_its_message() -> None:
    import sys

    try:
        raise ValueError("canary: what the patient wrote")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f.py", 1, "failed", (), sys.exc_info())
    found = line(record)
    assert found["exception"].startswith("builtins.ValueError")
    assert "test_logs.py" in found["exception"]
    assert "canary" not in json.dumps(found)


def test_configuring_twice_logs_once() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure()
        logs.configure()
        assert len(root.handlers) == 1
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
