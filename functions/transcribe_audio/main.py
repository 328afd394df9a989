"""A recording was uploaded: it is checked, and speech recognition begins."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import speech, storage
from common.app import create_app
from common.events import when_stored

from . import service

app = create_app(
    "transcribe_audio",
    "HealthHub transcription: checks",
    probes=[storage.is_reachable, speech.is_reachable],
    receiver=when_stored(service.transcribe),
)


@functions_framework.aio.http
async def transcribe_audio(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
