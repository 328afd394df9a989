"""Every minute: what waits for somebody who does not come goes on without them."""

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
    "sweep_stuck_work",
    "HealthHub sweep",
    probes=[crypto.is_reachable],
    receiver=when_fired(service.sweep),
)


@functions_framework.aio.http
async def sweep_stuck_work(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
