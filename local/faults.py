"""What a stand-in was told to do wrong: in each call, or in a share of them.

Modes are given by what they are for. `{"fcm": "fail", "share": 0.01}` has one
push in a hundred fail; without a share, each does. Which ones is chance.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/dev/faults"


class Faults(dict[str, str]):
    def __init__(self) -> None:
        super().__init__()
        self.share = 1.0

    def become(self, wanted: Mapping[str, Any]) -> None:
        """Raises `ValueError` for a share that is none."""
        share = float(wanted.get("share", 1))
        if not 0 <= share <= 1:
            raise ValueError("a share lies between 0 and 1")
        self.share = share
        self.clear()
        self.update({name: mode for name, mode in wanted.items() if name != "share"})

    def meet(self, name: str) -> str | None:
        """The mode that this one call meets, if any."""
        mode = self.get(name)
        return mode if mode and random.random() < self.share else None


class Failing:
    """An HTTP service that answers 503 where it was told to, before it looks at the request.

    PUT /dev/faults {"json": "fail", "share": 0.01}     until {}
    """

    def __init__(self, app: ASGIApp, kind_of: Callable[[str], str]) -> None:
        """`kind_of` says of a path by which name it is told to fail."""
        self.faults = Faults()
        self.hits = 0
        self._app = app
        self._kind_of = kind_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answer = await self._instead(scope, receive)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _instead(self, scope: Scope, receive: Receive) -> Response | None:
        if scope["path"] == PATH and scope["method"] == "PUT":
            self.faults.become(await Request(scope, receive).json())
            return JSONResponse(self.faults)
        if self.faults.meet(self._kind_of(scope["path"])):
            self.hits += 1
            error = {"code": 503, "message": "Backend Error", "status": "UNAVAILABLE"}
            return JSONResponse({"error": error}, 503)
        return None


def set_by(faults: Faults, request: bytes) -> bytes:
    """What a call to `/healthhub.dev.Faults/Set` answers. Raises `ValueError` or `TypeError`."""
    faults.become(dict(json.loads(request or b"{}")))
    return json.dumps(faults).encode()
