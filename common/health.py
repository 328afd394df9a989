"""Whether a service and what it depends on answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from starlette.responses import JSONResponse

from common import rpc
from common.firestore import now
from common.settings import settings


class Dependencies(BaseModel):
    database: Literal["connected", "unreachable"]
    external_apis: Literal["operational", "degraded"]


class Health(BaseModel):
    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: datetime
    version: str
    dependencies: Dependencies


Probe = Callable[[], Awaitable[bool]]


class HealthCheck:
    """Asks the dependencies, at most once in five seconds; sooner while something is wrong."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes
        self._asked_at = -1e9
        self._answer: Health | None = None
        self._lock = asyncio.Lock()

    async def answer(self) -> JSONResponse:
        """Whether this service and what it depends on answer; 503 when the database does not."""
        async with self._lock:
            keep = 5 if self._answer and self._answer.status == "healthy" else 1
            if self._answer is None or time.monotonic() - self._asked_at > keep:
                self._answer = await self._ask()
                self._asked_at = time.monotonic()
        status = 503 if self._answer.status == "unhealthy" else 200
        return JSONResponse(self._answer.model_dump(mode="json"), status)

    async def _ask(self) -> Health:
        database, *externals = await asyncio.gather(
            rpc.is_reachable(), *(probe() for probe in self._probes)
        )
        status: Literal["healthy", "degraded", "unhealthy"] = "healthy"
        if not all(externals):
            status = "degraded"
        if not database:
            status = "unhealthy"
        return Health(
            status=status,
            timestamp=now(),
            version=settings().version,
            dependencies=Dependencies(
                database="connected" if database else "unreachable",
                external_apis="operational" if all(externals) else "degraded",
            ),
        )
