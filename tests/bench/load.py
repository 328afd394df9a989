"""The load generator: keeps a number of connections busy with one GET, for some seconds.

A process of its own, so that it shares no interpreter lock with what it
measures, and as lean as can be, because it shares the machine's cores:
`python -m tests.bench.load` reads the order from its input and prints a JSON result.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from local.bootstrap import ROOT
from local.ports import HOST

_MOST_REQUESTS = 100_000
_PATIENCE = 30.0
"""Seconds that answers may still take after the last request was sent."""


@dataclass(frozen=True)
class Order:
    port: int
    path: str
    headers: Mapping[str, str]
    connections: int
    seconds: float

    def request(self) -> bytes:
        headers = {"Host": HOST, **self.headers}
        lines = [f"GET {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class Result:
    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int
    errors: dict[str, int] = field(default_factory=dict)
    """How often each status but 200, and each lost connection."""


def run(order: Order) -> Result:
    """Send the load from another process and wait for its result."""
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=order.seconds + 2 * _PATIENCE,
        check=True,
    )
    return Result(**json.loads(done.stdout))


@dataclass
class _Tally:
    request: bytes
    ends: float
    idle: asyncio.Event
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    busy: int = 0

    def is_over(self) -> bool:
        return time.perf_counter() >= self.ends or len(self.latencies) >= _MOST_REQUESTS

    def leave(self) -> None:
        self.busy -= 1
        if not self.busy:
            self.idle.set()


class _Connection(asyncio.Protocol):
    """Asks again as soon as it is answered."""

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._tally.busy += 1
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:  # the server closed it
            self._tally.errors["connection lost"] += 1
            self._transport = None
            self._tally.leave()

    def data_received(self, data: bytes) -> None:
        self._received += data
        status = _complete(self._received)
        if status is None:
            return
        self._received = b""
        self._tally.latencies.append(time.perf_counter() - self._sent_at)
        if status != b"200":
            self._tally.errors[status.decode()] += 1
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        if self._tally.is_over():
            transport, self._transport = self._transport, None
            transport.close()
            self._tally.leave()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._tally.request)


def _complete(received: bytes) -> bytes | None:
    """The status of an HTTP/1.1 answer, once all of it is there; both servers send its length."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    _, found, rest = head.lower().partition(b"content-length:")
    length = int(rest.split(b"\r\n", 1)[0]) if found else 0
    return head[9:12] if len(body) >= length else None


async def _send(order: Order) -> Result:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    tally = _Tally(order.request(), started + order.seconds, asyncio.Event())
    for _ in range(order.connections):
        await loop.create_connection(lambda: _Connection(tally), HOST, order.port)
    try:
        await asyncio.wait_for(tally.idle.wait(), order.seconds + _PATIENCE)
    except TimeoutError:
        tally.errors["no answer"] += tally.busy
    seconds = time.perf_counter() - started
    good = len(tally.latencies) - sum(n for what, n in tally.errors.items() if what.isdigit())
    cuts = statistics.quantiles(tally.latencies or [0.0, 0.0], n=100)
    p50, p99 = (round(cuts[index] * 1000, 2) for index in (49, 98))
    return Result(good / seconds, p50, p99, len(tally.latencies), dict(tally.errors))


if __name__ == "__main__":
    result = uvloop.run(_send(Order(**json.load(sys.stdin))))
    print(json.dumps(asdict(result)))
