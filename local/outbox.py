"""Stand-ins for Firebase Cloud Messaging and for a mail relay: they take messages and show them.

python -m local.outbox <FCM port> <SMTP port>

Both speak the real protocols (FCM's HTTP v1, SMTP), and deliver nothing. What
was sent is at `/dev/outbox` of the FCM port, and of the gateway. A test can
have them fail:

    PUT /dev/faults {"smtp": "fail", "fcm": "stall"}     until {}

    fail     temporary: 503, or 451            refuse   for good: 400, or 550
    stall    no answer for a minute            garbage  an answer that means nothing
    hangup   (smtp) taken, and the connection cut before the answer

With `"share": 0.01` beside them, one in a hundred meets its fault.
"""

import asyncio
import sys
from collections import deque
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from html import escape
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.faults import Faults

HOST = "127.0.0.1"

Sent = dict[str, Any]


class Outbox:
    def __init__(self) -> None:
        self.sent: deque[Sent] = deque(maxlen=5000)
        self.faults = Faults()

    def add(self, channel: str, **message: Any) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.sent.append({"channel": channel, "time": moment, **message})

    # ------------------------------------------------------------ FCM

    async def send_push(self, request: Request) -> Response:
        """`POST /v1/projects/{project}/messages:send`"""
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return _fcm_error(401, "UNAUTHENTICATED")
        match self.faults.meet("fcm"):
            case "fail":
                return _fcm_error(503, "UNAVAILABLE")
            case "refuse":
                return _fcm_error(400, "INVALID_ARGUMENT")
            case "garbage":
                return HTMLResponse("<h1>It works!</h1>")
            case "stall":
                await asyncio.sleep(60)
        try:
            message = (await request.json())["message"]
            token, shown = message["token"], message["notification"]
            text = {"title": shown["title"], "text": shown["body"]}
        except (ValueError, KeyError, TypeError):
            return _fcm_error(400, "INVALID_ARGUMENT")
        if token.startswith("unregistered"):
            return _fcm_error(404, "NOT_FOUND", "UNREGISTERED")
        id = message.get("android", {}).get("notification", {}).get("tag", "")
        self.add("push", id=id, to=token, data=message.get("data", {}), **text)
        name = f"projects/{request.path_params['project']}/messages/{len(self.sent)}"
        return JSONResponse({"name": name})

    # ------------------------------------------------------------ SMTP

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it by the command's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        match self.faults.meet("smtp"):
            case "refuse":
                return "550 5.1.1 No such mailbox"
            case "garbage":
                return "999 ?"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        match self.faults.meet("smtp"):
            case "fail":
                return "451 4.3.0 Try again later"
            case "stall":
                await asyncio.sleep(60)
        mail = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        body = mail.get_body(("plain",))
        self.add(
            "mail",
            id=str(mail["Message-ID"]),
            to=", ".join(envelope.rcpt_tos),
            title=str(mail["Subject"]),
            text=body.get_content() if body else "",
            language=str(mail["Content-Language"]),
        )
        if self.faults.meet("smtp") == "hangup" and server.transport:
            server.transport.abort()  # type: ignore[attr-defined]
        return "250 Taken"

    # ------------------------------------------------------------ what was sent

    async def show(self, request: Request) -> Response:
        """`GET /dev/outbox`: newest first; as JSON to who asks for that. `DELETE` empties it."""
        if request.method == "DELETE":
            self.sent.clear()
            return Response(status_code=204)
        newest = list(reversed(self.sent))
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"items": newest})
        return HTMLResponse(_page(newest))

    async def set_faults(self, request: Request) -> Response:
        self.faults.become(await request.json())
        return JSONResponse(self.faults)


def _fcm_error(status: int, name: str, code: str | None = None) -> Response:
    error: Sent = {"code": status, "status": name, "message": name}
    if code:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        error["details"] = [{"@type": kind, "errorCode": code}]
    return JSONResponse({"error": error}, status)


def _page(messages: list[Sent]) -> str:
    rows = "".join(
        f"<tr><td>{escape(m['time'][11:19])}</td><td>{escape(m['channel'])}</td>"
        f"<td>{escape(m['to'][:40])}</td><td dir=auto><b>{escape(m['title'])}</b><br>"
        f"{escape(m['text'])}</td></tr>"
        for m in messages
    )
    empty = "<p>Nothing yet. Book an appointment for somebody, or wait for a reminder to be due."
    table = f"<table><tr><th>UTC<th>By<th>To<th>What</tr>{rows}</table>" if rows else empty
    return (
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=5>"
        "<title>HealthHub: sent</title><style>body{font:15px/1.4 system-ui;margin:2rem;color:#1d2733}"
        "table{border-collapse:collapse}td,th{padding:.5rem .9rem;text-align:left;vertical-align:top;"
        "border-bottom:1px solid #dde3ea}td[dir]{white-space:pre-line;max-width:44rem}</style>"
        "<h1>What would have been sent</h1><p>Push messages and mail of this machine's platform."
        f" Nothing leaves it.{table}"
    )


def application(outbox: Outbox, smtp_port: int) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(outbox, enable_SMTPUTF8=True), HOST, smtp_port
        )
        async with server:
            yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/v1/projects/{project}/messages:send", outbox.send_push, methods=["POST"]),
            Route("/dev/outbox", outbox.show, methods=["GET", "DELETE"]),
            Route("/dev/faults", outbox.set_faults, methods=["PUT"]),
            Route("/", lambda request: Response(status_code=404)),
        ],
    )


if __name__ == "__main__":
    fcm_port, smtp_port = map(int, sys.argv[1:])
    uvicorn.run(
        application(Outbox(), smtp_port),
        host=HOST,
        port=fcm_port,
        log_level="warning",
        access_log=False,
    )
