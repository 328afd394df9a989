"""Stands before an HTTP service that is not ours to tell how to fail: 503, to a share of what it is asked.

The emulators of Auth and Pub/Sub have no faults of their own; `local/faults.py` has them fail here.
"""

import asyncio
import threading
import time

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local.faults import Failing
from local.ports import HOST, free_ports

_HOP_BY_HOP = ("connection", "content-length", "host", "keep-alive", "transfer-encoding")


class Between:
    def __init__(self, target: str) -> None:
        (port,) = free_ports(1)
        self.address = f"{HOST}:{port}"
        self._target = target
        self._http: httpx.AsyncClient | None = None
        self._failing = Failing(self._forward, lambda path: "all")
        config = uvicorn.Config(
            self._failing, host=HOST, port=port, log_level="warning", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def hits(self) -> int:
        return self._failing.hits

    def fail(self, share: float) -> None:
        self._failing.faults.become({"all": "fail", "share": share} if share else {})

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with httpx.AsyncClient(base_url=self._target, timeout=60) as self._http:
            await self._server.serve()

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._http is not None
        request = Request(scope, receive)
        headers = [(n, v) for n, v in request.headers.items() if n not in _HOP_BY_HOP]
        query: bytes = scope["query_string"]
        path: bytes = scope["raw_path"].split(b"?")[0] + (b"?" + query if query else b"")
        try:
            answer = await self._http.request(
                request.method,
                httpx.URL(self._target, raw_path=path),
                headers=headers,
                content=await request.body(),
            )
        except httpx.HTTPError:
            await Response(status_code=502)(scope, receive, send)
            return
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name not in (*_HOP_BY_HOP, "content-encoding")
        }
        await Response(answer.content, answer.status_code, kept)(scope, receive, send)
