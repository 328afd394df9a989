"""A burst: so many POST requests over so many connections, each sent once.

A process of its own, as `tests/bench/load.py` is: `python -m tests.bench.burst`
reads the order from its input and prints a JSON result.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import uvloop

from local.bootstrap import ROOT
from local.ports import HOST

_PATIENCE = 120.0


@dataclass(frozen=True)
class Post:
    path: str
    token: str
    body: str

    def request(self) -> bytes:
        body = self.body.encode()
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {HOST}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Burst:
    statuses: dict[str, int]
    seconds: float

    @property
    def per_second(self) -> float:
        return sum(self.statuses.values()) / self.seconds


def send(port: int, posts: Sequence[Post], connections: int) -> Burst:
    order = {"port": port, "connections": connections, "posts": [asdict(post) for post in posts]}
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=_PATIENCE,
        check=True,
    )
    return Burst(**json.loads(done.stdout))


async def _send(port: int, connections: int, requests: list[bytes]) -> Burst:
    statuses: Counter[str] = Counter()
    waiting = iter(requests)
    opened = [await asyncio.open_connection(HOST, port) for _ in range(connections)]
    started = time.perf_counter()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, rest = head.lower().partition(b"content-length:")
            await reader.readexactly(int(rest.split(b"\r\n", 1)[0] or 0))
            statuses[head[9:12].decode()] += 1
        writer.close()

    await asyncio.gather(*(one(*each) for each in opened))
    return Burst(dict(statuses), time.perf_counter() - started)


if __name__ == "__main__":
    order = json.load(sys.stdin)
    posts = [Post(**post).request() for post in order["posts"]]
    print(json.dumps(asdict(uvloop.run(_send(order["port"], order["connections"], posts)))))
