"""Patients: the clinical record, its history, and who may see it."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import crypto
from common.app import create_app

from .history.routes import router as history
from .routes import router
from .sharing.routes import router as sharing

app = create_app(
    "patients",
    "HealthHub patients",
    [router, history, sharing],
    probes=[crypto.is_reachable],
)


@functions_framework.aio.http
async def patients(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
