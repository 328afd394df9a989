"""Users: accounts, sign-in, profiles, roles and the devices that notifications go to."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import identity
from common.app import create_app

from .routes import router

app = create_app("users", "HealthHub users", [router], probes=[identity.is_reachable])


@functions_framework.aio.http
async def users(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
