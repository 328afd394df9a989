"""`/dev` of the gateway: what runs on this machine, what happens, and what could not be done.

Everything that the page shows can be asked for as JSON too:

    GET  /dev/running                    each process: name, address, whether it runs, memory
    GET  /dev/logs/{name}                the end of its log
    GET  /dev/events                     what went through Pub/Sub, newest first
    GET  /dev/dead-letters               what functions could not take, and why
    POST /dev/dead-letters/{id}/replay   have it delivered again
"""

import base64
import json
import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from common import telemetry
from common.events import TRACE_ATTRIBUTE
from local import topics

_MOST_EVENTS = 500
_LOG_BYTES = 64 * 1024
_MIB = 1024 * 1024
_UNTRACED = {b"traceparent": b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-00"}
"""A caller who is not traced: else the page would show little but its own looking."""


class DevPage:
    """What only somebody who develops may see: nothing of it exists in the cloud."""

    def __init__(self, run_dir: Path, addresses: dict[str, str], pubsub: str, project: str) -> None:
        self._run_dir = run_dir
        self._addresses = addresses
        self._subscriptions = f"http://{pubsub}/v1/projects/{project}/subscriptions"
        self._client = httpx.AsyncClient(timeout=10)
        self._events: deque[dict[str, Any]] = deque(maxlen=_MOST_EVENTS)

    def routes(self) -> list[Route]:
        return [
            Route("/dev", self.page),
            Route("/dev/running", self.running),
            Route("/dev/logs/{name}", self.log),
            Route("/dev/events", self.events),
            Route("/dev/dead-letters", self.dead_letters),
            Route("/dev/dead-letters/{id}/replay", self.replay, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        return HTMLResponse((Path(__file__).parent / "dev.html").read_text())

    # ------------------------------------------------------------ processes

    async def running(self, request: Request) -> Response:
        return JSONResponse({"items": [self._shown(*each) for each in self._children().items()]})

    def _children(self) -> dict[str, int]:
        try:
            listed: dict[str, int] = json.loads(
                (self._run_dir / "processes.json").read_text(encoding="utf-8")
            )["children"]
        except (OSError, ValueError, KeyError):
            return {}  # it is just being written, or the platform is ending
        return listed

    def _shown(self, name: str, pid: int) -> dict[str, Any]:
        shown = {"name": name, "pid": pid, "address": self._addresses.get(name)}
        try:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            memory = sum(each.memory_info().rss for each in family)
            since = datetime.fromtimestamp(process.create_time(), UTC).isoformat()
            is_up = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return {**shown, "is_up": False, "memory_mib": 0, "since": None}
        return {**shown, "is_up": is_up, "memory_mib": round(memory / _MIB), "since": since}

    async def log(self, request: Request) -> Response:
        """The last 64 KiB, from the beginning of a line; 404 for what does not run here."""
        name = request.path_params["name"]
        if name not in self._children():
            return PlainTextResponse("There is no such process here.\n", 404)
        with (self._run_dir / "logs" / f"{name}.log").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            if size > _LOG_BYTES:
                file.readline()
            return PlainTextResponse(file.read().decode(errors="replace"))

    # ------------------------------------------------------------ events

    async def events(self, request: Request) -> Response:
        """Each message that was published since the start, as far back as Pub/Sub kept it for us."""
        for topic in topics.all_():
            await self._pull(topic)
        newest = sorted(self._events, key=lambda event: str(event["time"]), reverse=True)
        return JSONResponse({"items": newest})

    async def _pull(self, topic: str) -> None:
        subscription = f"{self._subscriptions}/{topics.watching(topic)}"
        wanted = {"maxMessages": 200, "returnImmediately": True}
        try:
            answer = await self._client.post(f"{subscription}:pull", json=wanted)
            received = answer.json().get("receivedMessages", [])
        except (httpx.HTTPError, ValueError):
            return  # Pub/Sub is just away; what it has comes with the next look
        for each in received:
            self._events.append(_event(topic, each["message"]))
        if received:
            body = {"ackIds": [each["ackId"] for each in received]}
            await self._client.post(f"{subscription}:acknowledge", json=body)

    # ------------------------------------------------------------ dead letters

    async def dead_letters(self, request: Request) -> Response:
        from ops.replay import list_dead  # it takes the database's client, which few need

        with telemetry.request("dead letters", _UNTRACED):
            dead = await list_dead()
        letters = [
            {
                "id": letter.id,
                "function": letter.function,
                "what": letter.attributes.get("objectId", ""),
                "reason": letter.reason,
                "attempts": letter.attempts,
                "since": letter.create_time.isoformat(),
            }
            for letter in dead
        ]
        return JSONResponse({"items": letters})

    async def replay(self, request: Request) -> Response:
        from ops.replay import replay

        count = await replay(request.path_params["id"], None)
        return Response(status_code=204 if count else 404)


def _event(topic: str, message: dict[str, Any]) -> dict[str, Any]:
    attributes: dict[str, str] = message.get("attributes", {})
    trace = attributes.get(TRACE_ATTRIBUTE, "").split("-")
    return {
        "id": message["messageId"],
        "time": message["publishTime"],
        "topic": topic,
        "to": topics.subscriber(topic),
        "what": attributes.get("objectId") or attributes.get("eventType") or "",
        "bytes": len(base64.b64decode(message.get("data", ""))),
        "trace_id": trace[1] if len(trace) > 1 else None,
    }
