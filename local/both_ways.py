"""One HTTP exchange in which the answer comes while the request is still being sent.

HTTP clients send a request whole before they read the answer; a load balancer
passes both on as they come, and so must the gateway.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import h11

from local.ports import HOST

Headers = list[tuple[bytes, bytes]]


class Exchange:
    """Raises `OSError` when the function does not take the connection, or cuts it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._http = h11.Connection(h11.CLIENT)

    async def begin(
        self, method: str, target: bytes, headers: Headers, body: AsyncIterator[bytes]
    ) -> tuple[int, Headers]:
        """Status and headers of the answer."""
        self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
        kept = [each for each in headers if each[0] not in (b"host", b"content-length")]
        framing = [(b"host", HOST.encode()), (b"transfer-encoding", b"chunked")]
        request = h11.Request(method=method, target=target, headers=[*framing, *kept])
        self._send(request)
        self._sending = asyncio.create_task(self._pass_on(body))
        answer = await self._next()
        if not isinstance(answer, h11.Response):
            raise OSError("the function did not answer")
        return answer.status_code, list(answer.headers.raw_items())

    async def content(self) -> AsyncIterator[bytes]:
        try:
            while isinstance(event := await self._next(), h11.Data):
                yield bytes(event.data)
        finally:
            self._sending.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._sending
            self._writer.close()

    async def _pass_on(self, body: AsyncIterator[bytes]) -> None:
        try:
            async for piece in body:
                self._send(h11.Data(data=piece))
                await self._writer.drain()
            self._send(h11.EndOfMessage())
        except Exception:  # noqa: BLE001 - whoever sent it has gone: so are we, to the function
            self._writer.close()

    def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                data = await self._reader.read(65_536)
                self._http.receive_data(data)
            except (ConnectionError, h11.RemoteProtocolError) as error:
                raise OSError("the function cut the connection") from error
        return event
