"""Appointments: what is free, booking, the waitlist, calendars."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import crypto
from common.app import create_app

from .calendar.routes import router as calendar
from .routes import router
from .waitlist.routes import router as waitlist

app = create_app(
    "appointments",
    "HealthHub appointments",
    [waitlist, calendar, router],
    probes=[crypto.is_reachable],
)


@functions_framework.aio.http
async def appointments(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
