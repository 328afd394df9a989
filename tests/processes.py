"""The functions' processes of the running platform: which serves, what it was asked."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx
import psutil

from local.platform import Platform
from local.ports import HOST, free_ports
from local.processes import Children, Process
from tests.client import Api
from tests.coverage import measured_environment


def worker(platform: Platform, function: str) -> psutil.Process:
    """The process that serves a function's requests."""
    found = next(each for each in platform.children.processes if each.name == function)
    (serving,) = psutil.Process(found.popen.pid).children()
    return serving


def deliveries(platform: Platform, *functions: str) -> int:
    """How many messages these functions were given."""
    logs = [platform.run_dir / "logs" / f"{name}.log" for name in functions]
    return sum(log.read_text().count('"route": "/"') for log in logs)


def unforeseen(platform: Platform) -> list[str]:
    """Functions that answered 500, once for each time: what nobody foresaw is logged so."""
    logs = [platform.run_dir / "logs" / f"{name}.log" for name in platform.functions]
    return [
        log.stem
        for log in logs
        for _ in range(log.read_text(errors="replace").count("unforeseen error"))
    ]


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


def an_instance(
    platform: Platform, children: Children, function: str, env: Mapping[str, str]
) -> tuple[Process, str]:
    """One more instance of a function, beside the platform's, and its address; it may not answer yet."""
    (port,) = free_ports(1)
    bundle = platform.run_dir / "bundles" / function
    environment = {
        **platform.client_env(),
        **measured_environment(),
        "FUNCTION_TARGET": function,
        "FUNCTION_SOURCE": str(bundle / "main.py"),
        "FUNCTION_USE_ASGI": "true",
        "HOST": HOST,
        "PORT": str(port),
        **env,
    }
    command = [sys.executable, "-m", "functions_framework"]
    process = children.launch(f"{function}-{port}", command, environment, bundle)
    return process, f"http://{HOST}:{port}"


async def answers(api: Api) -> None:
    """Until a function's instance is healthy."""
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.HTTPError):
                if (await api.get("/health")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
