"""The functions' processes of the running platform: which serves, what it was asked."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

from local.platform import Platform


def worker(platform: Platform, function: str) -> psutil.Process:
    """The process that serves a function's requests."""
    found = next(each for each in platform.children.processes if each.name == function)
    (serving,) = psutil.Process(found.popen.pid).children()
    return serving


def deliveries(platform: Platform, *functions: str) -> int:
    """How many messages these functions were given."""
    logs = [platform.run_dir / "logs" / f"{name}.log" for name in functions]
    return sum(log.read_text().count('"route": "/"') for log in logs)


async def quiet(platform: Platform, *functions: str) -> int:
    """Wait until these functions are given nothing for a second; how many messages they were given."""
    while True:
        before = deliveries(platform, *functions)
        await asyncio.sleep(1)
        if deliveries(platform, *functions) == before:
            return before


async def until(what: Callable[[], Awaitable[Any]], within: float = 40) -> Any:
    """What `what` gives, once that is true."""
    deadline = time.monotonic() + within
    while not (found := await what()):
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.05)
    return found
