"""The assistant: answers with sources, triage with red flags first, suggestions from the record, the knowledge base."""

# isort: off
from common import coldstart  # noqa: F401 - first: it makes the other imports quick

# isort: on
from typing import Any

import functions_framework.aio
from starlette.requests import Request

from common import crypto
from common.app import create_app

from .chat.routes import router as chat
from .history.routes import router as history
from .knowledge.routes import router as knowledge
from .recommendations.routes import router as recommendations
from .triage.routes import router as triage

app = create_app(
    "ai_interactions",
    "HealthHub assistant",
    [chat, history, triage, recommendations, knowledge],
    probes=[crypto.is_reachable],
)


@functions_framework.aio.http
async def ai_interactions(request: Request) -> Any:
    return app  # an ASGI application: the framework serves it as it would a response
