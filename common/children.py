"""Processes of their own, in which is read what strangers send.

They are not started by the event loop. uvloop forks, and runs Python before it
executes the program; what gRPC's threads did at that moment then crashes some of
the children. `subprocess` runs no Python there. docs/decisions/0034-children-are-not-forked-by-uvloop.md
says more.
"""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from common.problems import Unavailable

_START = 60.0
"""Seconds in which a child has said that it is there."""

_log = logging.getLogger("healthhub.children")


class Child:
    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
    ) -> None:
        self._process = process
        self.stdin = stdin
        self.stdout = stdout

    async def send(self, content: bytes) -> bool:
        """Whether it is still there to take it."""
        try:
            self.stdin.write(content)
            await self.stdin.drain()
        except (ConnectionError, RuntimeError):  # the latter is uvloop's word for a closed pipe
            return False
        return True

    async def ended(self) -> int:
        """Its exit status, once it has ended; of a signal, its number below zero."""
        return await asyncio.to_thread(self._process.wait)

    async def _started(self) -> None:
        try:
            async with asyncio.timeout(_START):
                await self.stdout.readexactly(1)
        except (asyncio.IncompleteReadError, TimeoutError):
            fields = {"status": self._process.poll()}
            _log.error("a child did not start", extra={"fields": fields})
            raise Unavailable("The file could not be read just now.") from None

    async def _end(self, grace: float) -> None:
        self.stdin.close()
        try:
            async with asyncio.timeout(grace):
                await self.ended()
        except TimeoutError:
            self._process.kill()
            await self.ended()


@asynccontextmanager
async def running(
    module: str, *arguments: str, grace: float, pass_fds: tuple[int, ...] = ()
) -> AsyncIterator[Child]:
    """One of our modules, as a process with limits of its own and nothing secret.

    It is given once it has sent its first byte: how it ends from then on says something of what it reads.
    At the end its input is closed, and it has `grace` seconds to end.
    Raises `Unavailable` when it does not start.
    """
    process = await asyncio.to_thread(_launched, module, arguments, pass_fds)
    loop = asyncio.get_running_loop()
    stdout = asyncio.StreamReader()
    reading, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdout), process.stdout
    )
    writing, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), process.stdin
    )
    child = Child(process, asyncio.StreamWriter(writing, protocol, None, loop), stdout)
    try:
        await child._started()
        yield child
    finally:
        await child._end(grace)
        reading.close()


def _launched(
    module: str, arguments: tuple[str, ...], pass_fds: tuple[int, ...]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - a module of ours
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
        cwd=Path(__file__).parent.parent,
        env=_nothing_secret(),
        bufsize=0,
    )


def _nothing_secret() -> dict[str, str]:
    """What Python needs to start, and one thread for arithmetic."""
    kept = {k: os.environ[k] for k in ("PATH", "PYTHONPATH", "LANG") if k in os.environ}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
