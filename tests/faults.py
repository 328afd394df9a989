"""Tells the platform's stand-ins how to fail."""

import asyncio
import json
from typing import Any

import grpc
import httpx

from local.platform import Platform
from local.ports import HOST

_GRPC = ("kms", "speech", "vision")
_HTTP = {"model": "openai", "outbox": "fcm", "storage": "storage"}
"""Whose faults are set by HTTP, at which port."""

SERVICES = (*_GRPC, *_HTTP, "clamd")


async def tell(platform: Platform, service: str, wanted: dict[str, Any]) -> None:
    """What each takes is at the head of `local/<service>.py`; nothing has it do no wrong any more."""
    if service == "clamd":
        share = wanted.get("share", 1)
        await _tell_clamd(platform, f"{wanted.get('mode', 'none')} {share}")
    elif service in _GRPC:
        port = getattr(platform.ports, service)
        async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
            await channel.unary_unary("/healthhub.dev.Faults/Set")(json.dumps(wanted).encode())
    else:
        port = getattr(platform.ports, _HTTP[service])
        async with httpx.AsyncClient() as http:
            answer = await http.put(f"http://{HOST}:{port}/dev/faults", json=wanted)
        assert answer.status_code == 200, answer.text


async def _tell_clamd(platform: Platform, mode: str) -> None:
    reader, writer = await asyncio.open_connection(HOST, platform.ports.clamd)
    writer.write(f"zFAULT {mode}\0".encode())
    assert (await reader.read(64)).startswith(b"OK")
    writer.close()
