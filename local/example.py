"""The example app at `/example/`, as the gateway serves it: built anew when a source of it has changed."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from local import web
from local.tools import ToolMissing


async def page(request: Request) -> Response:
    try:
        folder = await asyncio.to_thread(web.example, os.environ["HEALTHHUB_NODE"])
    except (ToolMissing, web.BuildFailed) as problem:
        return PlainTextResponse(f"The example app could not be built: {problem}", 503)
    answer = await StaticFiles(directory=folder, html=True).get_response(
        request.path_params["path"] or ".", request.scope
    )
    answer.headers["Cache-Control"] = "no-cache"  # the next build has the same names
    return answer


async def without_slash(request: Request) -> Response:
    return RedirectResponse("/example/")


async def answer_configuration(request: Request) -> Response:
    return JSONResponse(configuration(os.environ))


def configuration(env: Mapping[str, str]) -> dict[str, Any]:
    """What the app must know of where it is; in the cloud, a file of the same form."""
    host, port = env["FIRESTORE_EMULATOR_HOST"].rsplit(":", 1)
    known = {
        "api": "/v1",
        "firebase": {
            "apiKey": env["IDENTITY_API_KEY"],
            "projectId": env["GOOGLE_CLOUD_PROJECT"],
        },
        "emulators": {
            "auth": f"http://{env['FIREBASE_AUTH_EMULATOR_HOST']}",
            "firestore": {"host": host, "port": int(port)},
        },
    }
    account = {"email": "patient@demo.healthhub.test", "password": "healthhub-demo"}
    return known | ({"demo": account} if env.get("HEALTHHUB_DEMO") else {})


ROUTES = [
    Route("/example", without_slash),
    Route("/example/config.json", answer_configuration),
    Route("/example/{path:path}", page),
]
