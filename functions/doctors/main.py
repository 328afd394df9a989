"""Doctors: the public directory, profiles, and their verification."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common.app import create_app

from .metrics.routes import router as metrics
from .reviews.routes import router as reviews
from .routes import router
from .schedule.routes import router as schedule

app = create_app("doctors", "HealthHub doctors", [router, schedule, reviews, metrics])


@functions_framework.aio.http
async def doctors(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
