"""Medical images: DICOM files and photographs go in; what they are, show and hide comes out."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import crypto, storage
from common.app import create_app

from .routes import BODIES, router

app = create_app(
    "medical_images",
    "HealthHub medical images",
    [router],
    probes=[crypto.is_reachable, storage.is_reachable],
    bodies=BODIES,
)


@functions_framework.aio.http
async def medical_images(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
