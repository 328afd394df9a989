"""What must come to its end, does: also when who waits is cancelled, also when it fails."""

import asyncio

import pytest

from common.problems import Unavailable
from common.surely import surely


async def test_it_ends_though_who_waits_is_cancelled() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.set()

    waiting = asyncio.create_task(surely(work()))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_a_problem_does_not_take_the_place_of_an_answer() -> None:
    async def work() -> None:
        raise Unavailable

    await surely(work())
