"""Clients that send a byte at a time, or do not read: the others are served meanwhile as if they were not there."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx

from local.platform import Platform
from tests.client import Person, a_listed_doctor, register
from tests.processes import worker
from tests.stress import wire
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen
from tests.stress.wire import request

_EACH = 60
_UNREAD = 10
"""Fewer: each has a large answer made."""
_BODY = b'{"email": "a@example.test", "password": "12345678"}'
_PATIENCE = 10.0


async def tried(scene: Scene) -> Told:
    told = Told(
        "Slow clients",
        f"{_EACH} who send headers, {_EACH} who send bodies by the byte, {_UNREAD} who ask and do not read; at both doors",
    )
    before = scene.unforeseen()
    doctor, person = await a_listed_doctor(scene.api, scene.admin), await register(scene.api)
    served = worker(scene.platform, "users").pid
    alone = await _normal(scene, doctor, person, min(3, scene.seconds))
    async with _slow_ones(scene.platform) as open_:
        beside = await _normal(scene, doctor, person, scene.seconds)
        told.add("slow connections still open at the end", open_())
    judge(beside, told)
    told.add("normal requests meanwhile", len(beside))
    figures = [statistics.median(seconds for _, seconds in each) for each in (alone, beside)]
    told.add("their median, against without slow ones", f"{figures[1] / figures[0]:.1f} ×")
    told.expect(worker(scene.platform, "users").pid == served, "the function's process was lost")
    expect_nothing_unforeseen(scene, before, told)
    return told


Normal = list[tuple[int, float]]
"""Status and seconds of each request."""


async def _normal(scene: Scene, doctor: Person, person: Person, seconds: float) -> Normal:
    """What others ask meanwhile, one after another."""
    got: Normal = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for path in ("/v1/users/me", f"/v1/doctors/{doctor.uid}", "/v1/doctors"):
            begun = time.monotonic()
            try:
                answer = await scene.api.get(path, person, timeout=_PATIENCE)
                status = answer.status_code
            except httpx.TimeoutException:
                status = 0
            got.append((status, time.monotonic() - begun))
    return got


def judge(got: Normal, told: Told) -> None:
    statuses = Counter(status for status, _ in got)
    told.expect(
        set(statuses) == {200}, f"beside slow clients, others were answered {dict(statuses)}"
    )


@asynccontextmanager
async def _slow_ones(platform: Platform) -> AsyncIterator[Callable[[], int]]:
    """Gives how many of them have not been turned away."""
    doors = (platform.url, platform.functions["users"])
    ways = ((_headers, _EACH), (_body, _EACH), (_unread, _UNREAD))
    slow = [
        asyncio.create_task(way(door))
        for door in doors
        for way, count in ways
        for _ in range(count)
    ]
    try:
        yield lambda: sum(not each.done() for each in slow)
    finally:
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def _headers(door: str) -> None:
    await _dripping(door, b"POST /v1/login HTTP/1.1\r\nHost: healthhub.test\r\n", b"X-A: b\r\n")


async def _body(door: str) -> None:
    head = request("POST", "/v1/login", headers={"Content-Type": "application/json"}, length="1000")
    await _dripping(door, head + _BODY[:20], b" ")


async def _dripping(door: str, first: bytes, then: bytes) -> None:
    """Until the server has had enough."""
    reader, writer = await wire.opened(door)
    try:
        writer.write(first)
        while not reader.at_eof():
            writer.write(then)
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1024), 0.5)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _unread(door: str) -> None:
    """Ask for much, and read nothing of it."""
    _, writer = await wire.opened(door, receives=4096)
    try:
        writer.write(request("GET", "/openapi.json") * 3)
        await asyncio.Event().wait()  # until it is ended from outside
    finally:
        writer.close()
