"""Every minute: tells people of their appointments, each thing once."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import mail, push
from common.app import create_app
from common.events import when_fired

from . import service

app = create_app(
    "send_reminders",
    "HealthHub reminders",
    probes=[mail.is_reachable, push.is_reachable],
    receiver=when_fired(service.send),
)


@functions_framework.aio.http
async def send_reminders(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
