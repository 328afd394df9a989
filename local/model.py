"""A stand-in for OpenAI: answers from what it is given, speaking OpenAI's own protocol.

python -m local.model <port>

It knows chat completions, responses, embeddings and the list of models. The
answers are made of the request's own words, the same each time, and say that
they are a stand-in's: in the text where it is free, and in the header
`x-stand-in`. Nothing leaves the machine. What was received is at
`/dev/prompts`. A test can have it fail, or answer wrongly:

    PUT /dev/faults {"mode": "stall"}     until {}

With `"share": 0.01` beside it, one request in a hundred meets what comes
instead of an answer (the first five).

    fail     temporary: 500                busy       too much at once: 429
    refuse   for good: 400                 stall      no answer for a minute
    garbage  an answer that means nothing  hangup     the connection cut in the middle
    invalid  JSON that is not what the schema asks for
    truncated  an answer that ends halfway
    refusal  the model says that it will not answer
    lie      numbers, sides, denials and drugs changed, the same segments cited
    obey     does what a text tells it to, and repeats every identifier it sees
    downplay  nothing is urgent, and nobody needs to see a doctor
    invent   cites ids that were not given
"""

import asyncio
import base64
import json
import struct
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local import model_requests as requests
from local.answers import answer, tokens
from local.embeddings import embed
from local.faults import Faults
from local.model_answers import chat_chunks, chat_completion, response_events, response_object
from local.model_requests import Body, Refused

HOST = "127.0.0.1"
HEADERS = {"x-stand-in": "local.model", "openai-version": "2020-10-01"}
MODES = (
    "fail", "busy", "refuse", "stall", "garbage", "hangup",
    "invalid", "truncated", "refusal", "lie", "obey", "downplay", "invent",
)  # fmt: skip

Endpoint = Callable[[Body], Response]


class Pieces(Response):
    """Sent piece by piece; one that is cut ends in the middle, with the connection."""

    def __init__(self, pieces: list[bytes], media_type: str, *, cut: bool) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._pieces = pieces[: len(pieces) // 2] if cut else pieces
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
        if self._cut:
            return  # without the last piece; the server then closes the connection
        await send({"type": "http.response.body", "body": b""})


class Model:
    def __init__(self) -> None:
        self.prompts: deque[Body] = deque(maxlen=200)
        self._faults = Faults()

    @property
    def mode(self) -> str | None:
        return self._faults.get("mode")

    # ------------------------------------------------------------ OpenAI's

    def chat(self, body: Body) -> Response:
        """`POST /v1/chat/completions`"""
        asked = requests.chat(body)
        given = answer(asked.question, self.mode)
        if not asked.stream:
            return self._sent(chat_completion(asked, given))
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chat_chunks(asked, given)]
        return self._streamed([*lines, "data: [DONE]\n\n"])

    def responses(self, body: Body) -> Response:
        """`POST /v1/responses`"""
        asked = requests.responses(body)
        given = answer(asked.question, self.mode)
        if not asked.stream:
            return self._sent(response_object(asked, given))
        events = response_events(asked, given)
        return self._streamed([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events])

    def embeddings(self, body: Body) -> Response:
        """`POST /v1/embeddings`"""
        asked = requests.embeddings(body)
        data = []
        for i, text in enumerate(asked.texts):
            vector: list[float] | str = embed(text, asked.dimensions)
            if asked.base64:
                packed = struct.pack(f"<{asked.dimensions}f", *vector)
                vector = base64.b64encode(packed).decode()
            data.append({"object": "embedding", "index": i, "embedding": vector})
        used = sum(map(tokens, asked.texts))
        usage = {"prompt_tokens": used, "total_tokens": used}
        return self._sent({"object": "list", "data": data, "model": asked.model, "usage": usage})

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`, and one of them"""
        if refused := _without_key(request):
            return refused
        if name := request.path_params.get("model"):
            if not requests.known(name):
                return requests.no_model(name).response()
            return JSONResponse(_model(name))
        data = [_model(name) for name in requests.MODELS]
        return JSONResponse({"object": "list", "data": data})

    def endpoint(self, name: str, answering: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            raw = await request.body()
            self._note(name, raw)
            refused = _without_key(request) or await self._fault()
            if refused:
                return refused
            try:
                return answering(requests.parsed(raw))
            except Refused as refusal:
                return refusal.response()

        return answered

    async def _fault(self) -> Response | None:
        match self._faults.meet("mode"):
            case "fail":
                refused = Refused("The server had an error.", code="server_error", status=500)
                return refused.response("server_error")
            case "busy":
                message = "Rate limit reached. Please try again in 1s."
                refused = Refused(message, code="rate_limit_exceeded", status=429)
                return refused.response("requests", **{"retry-after": "1"})
            case "refuse":
                return Refused("Refused, as was asked for.", code="invalid_request").response()
            case "garbage":
                return HTMLResponse("<h1>It works!</h1>")
            case "stall":
                await asyncio.sleep(60)
        return None

    def _sent(self, value: Body) -> Response:
        if self.mode != "hangup":
            return JSONResponse(value)
        raw = json.dumps(value).encode()
        half = len(raw) // 2
        return Pieces([raw[:half], raw[half:]], "application/json", cut=True)

    def _streamed(self, lines: list[str]) -> Response:
        pieces = [line.encode() for line in lines]
        return Pieces(pieces, "text/event-stream", cut=self.mode == "hangup")

    # ------------------------------------------------------------ what was received

    def _note(self, endpoint: str, raw: bytes) -> None:
        """Whatever it was: what is not JSON, as its text. Never the key."""
        body: Any
        try:
            body = requests.parsed(raw)
        except Refused:
            body = raw.decode(errors="replace")
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        model = body.get("model") if isinstance(body, dict) else None
        self.prompts.append({"endpoint": endpoint, "model": model, "body": body, "time": moment})

    async def show(self, request: Request) -> Response:
        """`GET /dev/prompts`: newest first. `DELETE` empties it."""
        if request.method == "DELETE":
            self.prompts.clear()
            return Response(status_code=204)
        return JSONResponse({"items": list(reversed(self.prompts))})

    async def set_faults(self, request: Request) -> Response:
        """A mode that there is not is refused: a test that misspells it would test nothing."""
        wanted = await request.json()
        mode = wanted.get("mode")
        if mode is not None and mode not in MODES:
            return Refused(f"No such mode. There are: {', '.join(MODES)}.", "mode").response()
        self._faults.become(wanted if mode else {})
        return JSONResponse(self._faults)


def _without_key(request: Request) -> Response | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return None
    message = (
        "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."
    )
    return Refused(message, code="invalid_api_key", status=401).response()


def _model(name: str) -> Body:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "stand-in"}


async def _elsewhere(request: Request, problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    message = f"Invalid URL ({request.method} {request.url.path})"
    return Refused(message, code="unknown_url", status=status).response()


class _Headers:
    """Every answer says that it is a stand-in's."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = {**HEADERS, "x-request-id": f"req_{uuid4().hex}"}
        started = time.monotonic()

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                took = str(int((time.monotonic() - started) * 1000))
                own = {**more, "openai-processing-ms": took}
                pairs = [(name.encode(), value.encode()) for name, value in own.items()]
                message = {**message, "headers": [*message["headers"], *pairs]}
            await send(message)

        await self._app(scope, receive, sending)


def application(model: Model) -> Any:
    def post(path: str, name: str, answering: Endpoint) -> Route:
        return Route(path, model.endpoint(name, answering), methods=["POST"])

    routes = [
        post("/v1/chat/completions", "chat.completions", model.chat),
        post("/v1/responses", "responses", model.responses),
        post("/v1/embeddings", "embeddings", model.embeddings),
        Route("/v1/models", model.models),
        Route("/v1/models/{model}", model.models),
        Route("/dev/prompts", model.show, methods=["GET", "DELETE"]),
        Route("/dev/faults", model.set_faults, methods=["PUT"]),
    ]
    return _Headers(Starlette(routes=routes, exception_handlers={HTTPException: _elsewhere}))


if __name__ == "__main__":
    uvicorn.run(
        application(Model()),
        host=HOST,
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,  # who is stalled need not be waited for
    )
