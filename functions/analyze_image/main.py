"""An image was uploaded: it is checked, described, shown, de-identified and looked at."""

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
    "analyze_image",
    "HealthHub image analysis",
    probes=[storage.is_reachable, crypto.is_reachable],
    receiver=when_stored(service.analyze),
)


@functions_framework.aio.http
async def analyze_image(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
