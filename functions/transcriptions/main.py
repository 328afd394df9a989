"""Transcriptions: recordings go in; what was said, its terms and a signed note come out."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import crypto, storage
from common.app import create_app

from .live.routes import router as live
from .note.routes import router as note
from .routes import BODIES, router

app = create_app(
    "transcriptions",
    "HealthHub transcriptions",
    [live, note, router],
    probes=[crypto.is_reachable, storage.is_reachable],
    bodies=BODIES,
)


@functions_framework.aio.http
async def transcriptions(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
