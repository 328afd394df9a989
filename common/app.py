"""The application around every HTTP function.

`Edge` is the outermost layer and the only middleware on each request's path:
request id, log line, security headers, body limit, the `/v1` prefix, and the
last resort. It answers an unforeseen error itself and does not raise it
again: the framework would answer a second time.
"""

import json
import logging
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common import coldstart, idempotency, logs, problems, telemetry
from common.events import Receiver
from common.health import Health, HealthCheck, Probe
from common.settings import settings

API_VERSION = "v1"

MAX_JSON_BODY = 1024 * 1024

_log = logging.getLogger("healthhub.request")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")


def create_app(
    name: str,
    title: str,
    routers: Sequence[APIRouter] = (),
    probes: Sequence[Probe] = (),
    receiver: Receiver | None = None,
    bodies: Mapping[str, "Allowed"] | None = None,
) -> ASGIApp:
    """The service `name`: its routers, `/health`, its OpenAPI document, and the edge around them.

    `probes` ask the outside services that it needs, beyond the database.
    `receiver` takes what Pub/Sub pushes to `/`, in a function that nobody calls.
    `bodies` names the paths that take something else than a little JSON.
    """
    logs.configure()
    app = FastAPI(
        title=title,
        version=settings().version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # what clients are generated from
    )
    problems.install(app)
    idempotency.install(app)
    for router in routers:
        app.include_router(router)
    if receiver is not None:
        app.add_route("/", receiver, methods=["POST"], include_in_schema=False)
    health = HealthCheck(probes)
    for path in ("/health", f"/health/{name}"):
        app.add_api_route(
            path,
            health.answer,
            methods=["GET"],
            tags=["health"],
            include_in_schema=path != "/health",
            response_model=Health,
            name=f"{name}_health",
            summary=f"Health of {name}",
            responses={503: {"model": Health, "description": "Unhealthy"}},
        )
    document = OpenApiDocument(app)
    app.add_route("/openapi.json", document.answer, methods=["GET"], include_in_schema=False)
    coldstart.done()
    inner: ASGIApp = app
    if settings().cors_origins:
        inner = CORSMiddleware(
            app,
            allow_origins=settings().cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
            ],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"],
            max_age=3600,
        )
    return Edge(inner, bodies or {})


class OpenApiDocument:
    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._document: bytes | None = None

    async def answer(self, request: Any) -> JSONResponse:
        if self._document is None:
            self._document = json.dumps(self.build()).encode()
        return JSONResponse(json.loads(self._document))

    def build(self) -> dict[str, Any]:
        document = get_openapi(
            title=self._app.title,
            version=self._app.version,
            routes=self._app.routes,
            servers=[{"url": f"/{API_VERSION}"}],
            separate_input_output_schemas=False,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for model in (problems.ProblemDocument, problems.FieldError):
            schemas[model.__name__] = model.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            schemas[model.__name__].pop("$defs", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return document


Allowed = tuple[int | None, tuple[str, ...]]
"""How many bytes a body may have (None: no end), and how its media type may begin."""

_SMALL_JSON: Allowed = (MAX_JSON_BODY, ("application/json",))


class Edge:
    def __init__(self, app: ASGIApp, bodies: Mapping[str, Allowed] | None = None) -> None:
        self._app = app
        self._bodies = bodies or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        with telemetry.request(scope["method"], headers) as span:
            context = _context(scope, headers)
            logs.request_context.set(context)
            answer = _Answer(send, context.request_id)
            scope = {**scope, **_unversioned(scope["path"])}
            started = time.perf_counter()
            try:
                await self._answer(scope, headers, receive, answer)
            finally:
                done = {
                    "method": scope["method"],
                    "route": _route(scope),
                    "status": answer.status,
                    "latency_ms": round((time.perf_counter() - started) * 1000, 1),
                    "actor_uid": context.actor_uid,
                }
                telemetry.answered(span, done["method"], done["route"], answer.status)
                _log.info("request", extra={"fields": done})

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: "_Answer"
    ) -> None:
        try:
            allowed = self._bodies.get(scope["path"], _SMALL_JSON)
            if refusal := _refusal(headers, allowed):
                await answer.problem(refusal)
            else:
                await self._app(scope, _limited(receive, allowed[0]), answer.send)
        except problems.Problem as problem:  # raised while the body was read, outside any route
            await answer.problem(problem)
        except Exception:  # noqa: BLE001 - the last resort; it is logged
            _log.exception("unforeseen error")
            await answer.problem(problems.Internal())


class _Answer:
    """Sends a response once, with the headers that every response has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"] = [*message["headers"], *_SECURITY_HEADERS]
            headers.append((b"x-request-id", self._request_id.encode()))
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
        await self._send(message)

    async def problem(self, problem: problems.Problem) -> None:
        """Answer with a problem, unless an answer is already on its way: then only cut it short."""
        if self.status:
            return
        start: Message = {"type": "http.response.start", "status": problem.status, "headers": []}
        headers = MutableHeaders(raw=start["headers"])
        headers["content-type"] = problems.MEDIA_TYPE
        headers.update(problem.headers)
        body = problem.body()
        headers["content-length"] = str(len(body))
        await self.send(start)
        await self._send({"type": "http.response.body", "body": body})


_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


def _context(scope: Scope, headers: dict[bytes, bytes]) -> logs.RequestContext:
    given = headers.get(b"x-request-id", b"")
    request_id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    trace_id, span_id = telemetry.ids()
    return logs.RequestContext(request_id, trace_id, span_id, _address(scope, headers))


def _address(scope: Scope, headers: dict[bytes, bytes]) -> str:
    """The client's address: the entry that our load balancer appended, never one that the client sent."""
    hops = settings().proxy_hops
    entries = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    if hops and len(entries) >= hops:
        return entries[-hops].strip()[:64]
    return scope["client"][0] if scope.get("client") else "unknown"


def _unversioned(path: str) -> dict[str, Any]:
    prefix = f"/{API_VERSION}/"
    if path.startswith(prefix):
        path = path[len(prefix) - 1 :]
    return {"path": path, "raw_path": path.encode(), "root_path": ""}


def _refusal(headers: dict[bytes, bytes], allowed: Allowed) -> problems.Problem | None:
    """What is refused by its headers alone: a body too large, or of another kind."""
    most, kinds = allowed
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or (most is not None and int(length) > most):
        return problems.BodyTooLarge(f"A body may have {most} bytes here.")
    if length != b"0" or b"transfer-encoding" in headers:
        media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if not media_type.decode("latin-1").startswith(kinds):
            return problems.UnsupportedMediaType(_asked_for(kinds))
    return None


def _asked_for(kinds: tuple[str, ...]) -> str:
    named = " or ".join(f"{kind}…" if kind.endswith("/") else kind for kind in kinds)
    return f"Send the body as `Content-Type: {named}`."


def _limited(receive: Receive, most: int | None) -> Receive:
    """Stops a body that grows past the limit without having said so."""
    if most is None:
        return receive
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise problems.BodyTooLarge(f"A body may have {most} bytes here.")
        return message

    return limited


def _route(scope: Scope) -> str:
    """The route's pattern, never the path itself: that holds ids."""
    return getattr(scope.get("route"), "path", "unmatched")
