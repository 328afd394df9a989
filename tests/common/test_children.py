"""Processes that read what strangers send: how they are started, and how they end."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common import children, live
from common.outside import Failed
from common.problems import Unavailable

ROOT = Path(__file__).parent.parent.parent

_FORKED_CHILDREN_END = """
import asyncio, os, uvloop
from common import children

os.register_at_fork(after_in_child=lambda: os._exit(7))

async def main():
    async with children.running("common.sound", "wav", "0", "1", grace=10) as child:
        print(*await child.message())

uvloop.run(main())
"""


def test_no_python_runs_between_fork_and_exec_on_the_loop_that_functions_run_on() -> None:
    """There it meets what other threads held at that moment, and crashes now and then."""
    command = [sys.executable, "-c", _FORKED_CHILDREN_END]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("b'E' "), done.stderr


async def test_a_child_that_does_not_start_is_not_the_files_fault() -> None:
    with pytest.raises(Unavailable):
        async with children.running("common.no_such_module", grace=0):
            raise AssertionError("it was given")


async def test_sound_that_no_process_can_read_just_now_is_not_called_unreadable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def sound() -> AsyncIterator[bytes]:
        yield b"RIFF"

    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Failed):
        async with live.samples(sound(), "wav"):
            raise AssertionError("it was given")


async def test_a_child_that_goes_on_is_ended() -> None:
    async with children.running("common.sound", "wav", "100", "1", grace=0) as child:
        assert (await child.message())[0] == b"R"  # it asks for the file
    assert await child.ended() == -signal.SIGKILL
    assert not await child.send(bytes(1 << 20))
