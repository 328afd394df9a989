"""The page of traces: what a person who looks for a request sees."""

import gzip
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from local import traces


@pytest.fixture
async def page() -> Any:
    transport = httpx.ASGITransport(traces.application(traces.Traces()))
    async with httpx.AsyncClient(transport=transport, base_url="http://traces") as client:
        yield client


def exported(trace: int, name: str, *, error: bool = False, start: int = 0) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    service = resource.resource.attributes.add()
    service.key, service.value.string_value = "service.name", "patients"
    span = resource.scope_spans.add().spans.add()
    span.trace_id, span.span_id = trace.to_bytes(16, "big"), trace.to_bytes(8, "big")
    span.name, span.kind = name, 2
    span.start_time_unix_nano = 10**18 + start
    span.end_time_unix_nano = 10**18 + start + 5_000_000
    span.status.code = 2 if error else 0
    return bytes(request.SerializeToString())


async def send(page: httpx.AsyncClient, body: bytes, **headers: str) -> None:
    answer = await page.post("/v1/traces", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"


async def names(page: httpx.AsyncClient, **wanted: str) -> list[str]:
    answer = await page.get("/dev/traces", params=wanted)
    return [trace["name"] for trace in answer.json()["items"]]


async def test_traces_are_listed_newest_first_and_found_by_what_they_met(
    page: httpx.AsyncClient,
) -> None:
    await send(page, exported(1, "GET /a"))
    packed = gzip.compress(exported(2, "GET /b", error=True, start=9))
    await send(page, packed, **{"content-encoding": "gzip"})
    assert await names(page) == ["GET /b", "GET /a"]
    assert await names(page, q="get /A") == ["GET /a"]
    assert await names(page, q="PATIENTS") == ["GET /b", "GET /a"]
    assert await names(page, q=f"{2:032x}") == ["GET /b"]
    assert await names(page, errors="1") == ["GET /b"]
    assert await names(page, q="nowhere") == []


async def test_the_page_says_when_there_is_nothing_and_escapes_what_it_shows(
    page: httpx.AsyncClient,
) -> None:
    async def shown(**wanted: str) -> str:
        accept = {"Accept": "text/html"}
        return (await page.get("/dev/traces", params=wanted, headers=accept)).text

    assert "Nothing yet" in await shown()
    await send(page, exported(1, "GET <script>"))
    assert "GET &lt;script&gt;" in await shown()
    assert "<script>" not in await shown(q="'><script>")
    assert "Nothing matches" in await shown(q="nowhere")
    assert (await page.delete("/dev/traces")).status_code == 204
    assert "Nothing yet" in await shown()


async def test_only_the_newest_are_kept(
    page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "MOST_TRACES", 2)
    for number in (1, 2, 3):
        await send(page, exported(number, f"GET /{number}", start=number))
    assert await names(page) == ["GET /3", "GET /2"]
