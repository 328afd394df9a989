"""The edge of an application: the last resort, health, throttling, addresses. In process, over ASGI."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from common import limits, rpc
from common.app import create_app
from common.auth import PossibleCaller
from common.health import HealthCheck
from common.logs import request_context
from common.settings import settings
from local.platform import Platform

router = APIRouter()


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError("canary: patient data")


@router.get("/broken-stream")
async def broken_stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise RuntimeError("canary")

    return StreamingResponse(chunks())


@router.post("/all-of-it")
async def all_of_it(request: Request) -> int:
    return len(await request.body())


@router.get("/address")
async def address() -> str:
    context = request_context.get()
    return context.address if context else ""


@router.get("/throttled")
async def throttled(someone: PossibleCaller) -> str:
    return "through"


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app("probe", "Probe", [router])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as made:
        yield made


async def test_an_unforeseen_error_is_answered_once_as_a_problem_and_logged_without_its_message(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    answer = await client.get("/boom")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:healthhub:problem:internal"
    assert "canary" not in answer.text
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        "unforeseen error"
    ]


def a_scope(method: str, path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"9")],
        "client": ("127.0.0.1", 1),
    }


async def test_who_goes_away_while_sending_is_no_error_of_ours(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app("probe", "Probe", [router])
    logging.getLogger().addHandler(caplog.handler)
    came = [
        {"type": "http.request", "body": b"[1,", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return came.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(a_scope("POST", "/all-of-it"), receive, send)
    assert sent[0]["status"] == 499
    assert [record.getMessage() for record in caplog.records] == ["request"]


async def test_an_error_in_a_stream_cuts_it_short_and_starts_no_second_answer(
    platform: Platform,
) -> None:
    app = create_app("probe", "Probe", [router])
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(a_scope("GET", "/broken-stream"), receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    assert sent[1]["more_body"]  # never completed, so the client sees that it broke


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("9.9.9.9, 10.0.0.1", "9.9.9.9"),
        ("1.1.1.1, 9.9.9.9, 10.0.0.1", "9.9.9.9"),
        ("only-one", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
async def test_the_address_is_what_the_load_balancer_appended(
    client: httpx.AsyncClient, forwarded: str, expected: str
) -> None:
    answer = await client.get("/address", headers={"X-Forwarded-For": forwarded})
    assert answer.json() == expected


async def test_a_runaway_client_is_throttled_and_others_are_not(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = settings().model_copy(update={"requests_per_minute": 3})
    monkeypatch.setattr(limits, "settings", lambda: few)
    monkeypatch.setattr(limits, "_window", limits._Window())  # a minute that begins now
    runaway = {"X-Forwarded-For": "7.7.7.7, 10.0.0.1"}
    answers = [await client.get("/throttled", headers=runaway) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61
    other = await client.get("/throttled", headers={"X-Forwarded-For": "8.8.8.8, 10.0.0.1"})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("database", "external", "status", "code"),
    [
        (True, True, "healthy", 200),
        (True, False, "degraded", 200),
        (False, True, "unhealthy", 503),
        (False, False, "unhealthy", 503),
    ],
)
async def test_health_is_what_the_dependencies_say(
    monkeypatch: pytest.MonkeyPatch,
    platform: Platform,
    database: bool,
    external: bool,
    status: str,
    code: int,
) -> None:
    async def says(answer: bool) -> bool:
        return answer

    monkeypatch.setattr(rpc, "is_reachable", lambda: says(database))
    answer = await HealthCheck([lambda: says(external)]).answer()
    import json

    document = json.loads(bytes(answer.body))
    assert (document["status"], answer.status_code) == (status, code)
    assert document["dependencies"] == {
        "database": "connected" if database else "unreachable",
        "external_apis": "operational" if external else "degraded",
    }


async def test_many_who_ask_for_health_at_once_ask_the_dependencies_once(
    monkeypatch: pytest.MonkeyPatch, platform: Platform
) -> None:
    asked: list[Any] = []

    async def reachable() -> bool:
        asked.append(1)
        return True

    monkeypatch.setattr(rpc, "is_reachable", reachable)
    check = HealthCheck([])
    await asyncio.gather(*(check.answer() for _ in range(20)))
    assert len(asked) == 1
