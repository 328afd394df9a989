"""Pub/Sub gave a message up: it is kept, with the reason, until an operator has it delivered again."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common.app import create_app
from common.events import when_dead

app = create_app("keep_dead_letters", "HealthHub dead letters", receiver=when_dead())


@functions_framework.aio.http
async def keep_dead_letters(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
