"""Deletes what has been kept for as long as it must be, and completes erasures that broke off."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import crypto
from common.app import create_app
from common.events import when_fired

from . import service

app = create_app(
    "purge_expired",
    "HealthHub purge",
    probes=[crypto.is_reachable],
    receiver=when_fired(service.purge),
)


@functions_framework.aio.http
async def purge_expired(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
