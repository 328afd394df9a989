"""Doctors: the public directory, profiles, and their verification."""

import functions_framework.aio
from starlette.requests import Request
from starlette.types import ASGIApp

from common.app import create_app

from .routes import router

app = create_app("doctors", "HealthHub doctors", [router])


@functions_framework.aio.http
async def doctors(request: Request) -> ASGIApp:
    return app
