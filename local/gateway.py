"""What the cloud load balancer is to the functions, on this machine.

Routes by `functions/catalog.yaml`, appends to X-Forwarded-For as Google's
load balancer does, and streams both ways. It also serves what only exists at
the front: the merged OpenAPI document, the API explorer and the example app.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from common import problems, telemetry
from local import catalog, example
from local.both_ways import Exchange
from local.dev_page import DevPage
from local.ports import HOST

_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}


class BothWays(StreamingResponse):
    """Answers while the request still comes: the usual one would take its body for a sign of life."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream_response(send)


class Gateway:
    def __init__(self, functions: dict[str, str]) -> None:
        self._declared = {f.name: f for f in catalog.read() if f.name in functions}
        self._addresses = functions
        limits = httpx.Limits(
            max_connections=None,
            max_keepalive_connections=64,
            keepalive_expiry=1,  # the functions' servers close theirs after two seconds
        )
        self._client = httpx.AsyncClient(timeout=None, limits=limits)  # noqa: S113 - per function

    async def forward(self, request: Request) -> Response:
        """Send the request to the function whose path it is, as a step of a trace."""
        function = self._function_for(request.url.path.removeprefix("/v1"))
        with telemetry.request(f"{request.method} → {function.name}", dict(request.headers.raw)):
            return await self._forward(request, function)

    async def _forward(self, request: Request, function: catalog.Function) -> Response:
        started = time.perf_counter()
        if request.headers.get("transfer-encoding") == "chunked":
            return await self._both_ways(request, function)
        url = httpx.URL(
            self._addresses[function.name],
            raw_path=_target(request),
        )
        sent = self._client.build_request(
            request.method,
            url,
            headers=_request_headers(request),
            content=_body(request),
            timeout=function.timeout,
        )
        try:
            answer = await self._client.send(sent, stream=True)
        except httpx.HTTPError:
            return problems.respond(problems.Unavailable("The service does not answer."))
        took = (time.perf_counter() - started) * 1000
        print(f"{request.method} {request.url.path} {answer.status_code} {took:.0f} ms", flush=True)
        response = StreamingResponse(_chunks(answer), answer.status_code)
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower() not in _HOP_BY_HOP
        ]
        return response

    async def _both_ways(self, request: Request, function: catalog.Function) -> Response:
        """Pass request and answer on as they come: sound in, words out."""
        address = httpx.URL(self._addresses[function.name])
        exchange = Exchange(address.port or 80)
        headers = _request_headers(request)
        try:
            status, answered = await exchange.begin(
                request.method, _target(request), headers, request.stream()
            )
        except OSError:
            return problems.respond(problems.Unavailable("The service does not answer."))
        print(f"{request.method} {request.url.path} {status} begun", flush=True)
        response = BothWays(exchange.content(), status)
        response.raw_headers = [each for each in answered if each[0] not in _HOP_BY_HOP]
        return response

    def _function_for(self, path: str) -> catalog.Function:
        """A URL map has a default service: the first, which knows to answer 404."""
        default = next(iter(self._declared.values()))
        if path.startswith("/health/"):
            return self._declared.get(path.removeprefix("/health/"), default)
        return next((f for f in self._declared.values() if f.answers(path)), default)

    async def outbox(self, request: Request) -> Response:
        """What the stand-ins for FCM and SMTP were given to send."""
        return await self._shown(request, os.environ["HEALTHHUB_OUTBOX"])

    async def traces(self, request: Request) -> Response:
        """What the requests did, as far as they were traced."""
        return await self._shown(request, os.environ["HEALTHHUB_TRACES"])

    async def _shown(self, request: Request, address: str) -> Response:
        url = httpx.URL(address, raw_path=_target(request))
        headers = {"Accept": request.headers.get("accept", "*/*")}
        answer = await self._client.request(request.method, url, headers=headers)
        media_type = answer.headers.get("content-type")
        return Response(answer.content, answer.status_code, media_type=media_type)

    async def openapi(self, request: Request) -> Response:
        """All services' OpenAPI documents as one."""
        urls = [f"{url}/openapi.json" for url in self._addresses.values()]
        answers = await asyncio.gather(*map(self._client.get, urls))
        return JSONResponse(merged([answer.json() for answer in answers]))


def merged(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """One document of several; they may share a schema's name only if they mean the same by it."""
    whole: dict[str, Any] = {
        **documents[0],
        "info": {"title": "HealthHub", "version": documents[0]["info"]["version"]},
        "paths": {},
        "components": {},
    }
    for document in documents:
        _merge(whole["paths"], document["paths"], "path")
        for kind, entries in document["components"].items():
            _merge(whole["components"].setdefault(kind, {}), entries, kind)
    return whole


def _merge(into: dict[str, Any], entries: dict[str, Any], kind: str) -> None:
    for name, entry in entries.items():
        if into.setdefault(name, entry) != entry:
            raise ValueError(f"two services mean different things by {kind} {name}")


def _target(request: Request) -> bytes:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return path.split(b"?")[0] + (b"?" + query if query else b"")


def _request_headers(request: Request) -> list[tuple[bytes, bytes]]:
    own = telemetry.traceparent().encode()
    kept = _HOP_BY_HOP | ({b"traceparent"} if own else set())
    headers = [(n, v) for n, v in request.headers.raw if n not in kept]
    headers += [(b"traceparent", own)] if own else []
    before = [v for n, v in headers if n == b"x-forwarded-for"]
    client = request.client.host if request.client else HOST
    hops = b", ".join([*before, client.encode(), HOST.encode()])
    return [*(h for h in headers if h[0] != b"x-forwarded-for"), (b"x-forwarded-for", hops)]


def _body(request: Request) -> AsyncIterator[bytes] | None:
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    return request.stream() if has_body else None


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def application() -> Starlette:
    gateway = Gateway(json.loads(os.environ["HEALTHHUB_FUNCTIONS"]))
    page = (Path(__file__).parent / "explorer.html").read_text()
    accounts = json.dumps(_DEMO_ACCOUNTS if os.environ.get("HEALTHHUB_DEMO") else [])
    page = page.replace("/*ACCOUNTS*/[]", accounts)

    async def explorer(request: Request) -> Response:
        return HTMLResponse(page)

    async def icon(request: Request) -> Response:
        return RedirectResponse("/docs/assets/favicon-32x32.png")

    dev = DevPage(
        Path(os.environ["HEALTHHUB_RUN_DIR"]),
        json.loads(os.environ["HEALTHHUB_ADDRESSES"]),
        os.environ["PUBSUB_EMULATOR_HOST"],
        os.environ["GOOGLE_CLOUD_PROJECT"],
    )
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
    return Starlette(
        routes=[
            Route("/docs", explorer),
            Route("/favicon.ico", icon),  # of pages that name none: a log, a JSON document
            Route("/openapi.json", gateway.openapi),
            *dev.routes(),
            Route("/dev/outbox", gateway.outbox, methods=["GET", "DELETE"]),
            Route("/dev/traces", gateway.traces, methods=["GET", "DELETE"]),
            *example.ROUTES,
            Mount("/docs/assets", StaticFiles(directory=os.environ["HEALTHHUB_EXPLORER"])),
            Route("/{path:path}", gateway.forward, methods=methods),
        ]
    )


_DEMO_ACCOUNTS = [
    "patient@demo.healthhub.test",
    "doctor@demo.healthhub.test",
    "admin@demo.healthhub.test",
]

if __name__ == "__main__":
    uvicorn.run(
        application(),
        host=HOST,
        port=int(os.environ["HEALTHHUB_PORT"]),
        log_level="warning",
        access_log=False,
    )
