"""Push messages by Firebase Cloud Messaging, over its HTTP v1 protocol.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from common.clients import access_token
from common.outside import Failed, Outside, Refused
from common.settings import settings

if TYPE_CHECKING:
    import httpx

_DEADLINE = 6.0

_fcm = Outside("fcm", deadline=_DEADLINE)


class Unregistered(Refused):
    """The app was removed from that device, or its token was replaced."""


@dataclass(frozen=True)
class Push:
    id: str
    """A device shows one message of an id: what is sent again replaces itself."""
    title: str
    text: str
    data: Mapping[str, str]


async def send(token: str, push: Push) -> None:
    """To one device. Raises `Unregistered`, `Refused`, `Failed`."""
    message = {
        "token": token,
        "notification": {"title": push.title, "body": push.text},
        "data": dict(push.data),
        "android": {"notification": {"tag": push.id}},
        "apns": {"headers": {"apns-collapse-id": push.id[:64]}},
        "webpush": {"notification": {"tag": push.id}},
    }

    async def ask() -> None:
        url = f"{_base()}/v1/projects/{settings().project_id}/messages:send"
        headers = {"Authorization": f"Bearer {await _access_token()}"}
        _judge(await _http().post(url, json={"message": message}, headers=headers))

    await _fcm.call(ask)


def _judge(answer: "httpx.Response") -> None:
    if answer.status_code == 200:
        _named(answer)
        return
    if answer.status_code == 404 and "UNREGISTERED" in answer.text:
        raise Unregistered
    if answer.status_code in (400, 404):
        raise Refused
    raise Failed  # 401, 403: our credentials; 429, 5xx: later


def _named(answer: "httpx.Response") -> None:
    """That it was taken: an answer without the message's name comes from something else."""
    try:
        if answer.json()["name"]:
            return
    except (ValueError, KeyError, TypeError):
        pass
    raise Failed


def _base() -> str:
    emulator = os.environ.get("FCM_EMULATOR_HOST")
    return f"http://{emulator}" if emulator else "https://fcm.googleapis.com"


async def _access_token() -> str:
    if os.environ.get("FCM_EMULATOR_HOST"):
        return "owner"  # what Google's own emulators take
    return await access_token("https://www.googleapis.com/auth/firebase.messaging")


@lru_cache
def _http() -> "httpx.AsyncClient":
    import httpx

    return httpx.AsyncClient(timeout=_DEADLINE)


async def is_reachable() -> bool:
    """Whether something answers at that address; not whether it would send."""
    try:
        await asyncio.wait_for(_http().get(f"{_base()}/"), 3)
    except Exception:  # noqa: BLE001 - whatever it is, nothing can be sent
        return False
    return True
