"""Requests as bytes, for what no client library would send."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.client import ADDRESSES

_MOST = 1 << 16


@dataclass(frozen=True)
class Raw:
    what: str
    sent: bytes
    allowed: tuple[int, ...]
    """Statuses that may be answered; 0: the connection may be closed without an answer."""
    ends: bool = False
    """Whether the client closes its side when it has sent this."""
    is_for_gateway: bool = True
    """It waits for the whole body before it looks for an answer, as load balancers may."""


@dataclass(frozen=True)
class Answer:
    status: int
    """0: none came, and the connection was closed; -1: none came at all."""
    head: bytes
    body: bytes


def request(
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    length: str | None = None,
) -> bytes:
    """With the length that is given, or the body's own."""
    lines = [f"{method} {path} HTTP/1.1", "Host: healthhub.test"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if length is not None or body:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(path: str, chunks: list[bytes], headers: Mapping[str, str]) -> bytes:
    head = request("POST", path, headers={**headers, "Transfer-Encoding": "chunked"})
    pieces = b"".join(f"{len(each):x}\r\n".encode() + each + b"\r\n" for each in chunks)
    return head + pieces + b"0\r\n\r\n"


async def opened(
    url: str, receives: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; with `receives`, one whose system takes no more bytes than about these unread."""
    address = urlsplit(url)
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind((next(ADDRESSES), 0))
    if receives is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    await asyncio.get_running_loop().sock_connect(connection, (address.hostname, address.port))
    return await asyncio.open_connection(sock=connection, limit=receives or _MOST)


async def answered(url: str, raw: Raw, patience: float = 20) -> Answer:
    """Send the bytes, read while they are sent, and give the first answer."""
    reader, writer = await opened(url)

    async def send() -> None:
        with suppress(ConnectionError):  # it may have heard enough
            writer.write(raw.sent)
            await writer.drain()
            if raw.ends:
                writer.write_eof()

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(patience):
            return await _read(reader)
    except TimeoutError:
        return Answer(-1, b"", b"")
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await sending
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Answer:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Answer(0, b"", b"")
    _, found, rest = head.lower().partition(b"content-length:")
    length = int(rest.split(b"\r\n", 1)[0]) if found else 0
    body = b""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        body = await reader.readexactly(min(length, _MOST))
    return Answer(int(head[9:12]), head, body)
