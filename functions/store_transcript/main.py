"""Speech recognition has ended: what was said is stored, with its terms."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import crypto, storage
from common.app import create_app
from common.events import when_stored

from . import service

app = create_app(
    "store_transcript",
    "HealthHub transcription: results",
    probes=[storage.is_reachable, crypto.is_reachable],
    receiver=when_stored(service.store),
)


@functions_framework.aio.http
async def store_transcript(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
