"""Processes of their own, in which is read what strangers send.

They are not started by the event loop. uvloop forks, and runs Python before it
executes the program; what gRPC's threads did at that moment then crashes some of
the children. `subprocess` runs no Python there.
docs/decisions/0034-children-are-not-forked-by-uvloop.md says more.
"""

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from common.problems import Unavailable
from common.reasons import NotTaken, Reason

_START = 60.0
"""Seconds in which a child has said that it is there."""
_MOST_MESSAGE = 1 << 30

_HUNG_UP = (OSError, RuntimeError)
"""Errors of writing to a child that has ended; uvloop has one of its own."""

_log = logging.getLogger("healthhub.children")


class Ended(Exception):
    """A child ended where it was to say something."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
        """Its exit status; of a signal, its number below zero."""

    def verdict(self, reason: Reason) -> NotTaken | Unavailable:
        """What it means for the file that it read: refused for this reason, unless the file is not to blame."""
        if self.status == -signal.SIGKILL:
            # By the machine, short of memory, or somebody; its own limits end it by other signals.
            return Unavailable("The reading process was killed.")
        _log.warning("the reading process ended", extra={"fields": {"status": self.status}})
        return NotTaken(reason)


class Child:
    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        stdout: asyncio.StreamReader,
        stdin: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._stdout = stdout
        self._stdin = stdin

    async def send(self, content: bytes) -> bool:
        """Whether it is still there to take it."""
        try:
            self._stdin.write(content)
            await self._stdin.drain()
        except _HUNG_UP:
            return False
        return True

    def send_no_more(self) -> None:
        """Its input is at its end; what it still says can be read."""
        with suppress(*_HUNG_UP):
            self._stdin.write_eof()

    async def message(self) -> tuple[bytes, bytes]:
        """What it says next: one byte for its kind, and the content. Raises `Ended`."""
        try:
            kind = await self._stdout.readexactly(1)
            (size,) = struct.unpack(">I", await self._stdout.readexactly(4))
            return kind, await self._stdout.readexactly(min(size, _MOST_MESSAGE))
        except (asyncio.IncompleteReadError, OSError):
            raise Ended(await self.ended()) from None

    async def messages(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """All that it says, one after another. Raises `Ended`."""
        while True:
            yield await self.message()

    async def ended(self) -> int:
        """Its exit status, once it has ended."""
        return await asyncio.to_thread(self._process.wait)

    async def _started(self) -> None:
        try:
            async with asyncio.timeout(_START):
                await self._stdout.readexactly(1)
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            fields = {"status": self._process.poll()}
            _log.error("a child did not start", extra={"fields": fields})
            raise Unavailable("The file could not be read just now.") from None

    async def _end(self, grace: float) -> None:
        self.send_no_more()
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
    # Sockets, because what uvloop closes of a pipe that it was given, it closes twice.
    (ours_in, stdin), (ours_out, stdout) = socket.socketpair(), socket.socketpair()
    with stdin, stdout:
        command = [sys.executable, "-m", module, *arguments]
        process = await asyncio.to_thread(_launched, command, stdin, stdout, pass_fds)
    _, writer = await asyncio.open_unix_connection(sock=ours_in)
    reader, unused = await asyncio.open_unix_connection(sock=ours_out)
    child = Child(process, reader, writer)
    try:
        await child._started()
        yield child
    finally:
        await child._end(grace)
        writer.close()
        unused.close()


def _launched(
    command: list[str], stdin: socket.socket, stdout: socket.socket, pass_fds: tuple[int, ...]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - a module of ours
        command,
        stdin=stdin.fileno(),
        stdout=stdout.fileno(),
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
        cwd=Path(__file__).parent.parent,
        env=_nothing_secret(),
    )


def _nothing_secret() -> dict[str, str]:
    """What Python needs to start, and one thread for arithmetic."""
    kept = {k: os.environ[k] for k in ("PATH", "PYTHONPATH", "LANG") if k in os.environ}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
