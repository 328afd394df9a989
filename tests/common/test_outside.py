"""Calls to services that are not ours end in time, are tried again, and stop when it is of no use."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from common.outside import Failed, Outside, Refused, until

pytestmark = pytest.mark.usefixtures("platform")  # calls are traced, by its settings


class Service:
    """Does what it is told, call by call: an exception to raise, seconds to take, or nothing."""

    def __init__(self, *does: Exception | float | None) -> None:
        self._does = list(does)
        self.calls = 0

    async def ask(self) -> str:
        self.calls += 1
        does = self._does.pop(0) if self._does else None
        if isinstance(does, Exception):
            raise does
        if does:
            await asyncio.sleep(does)
        return "done"


async def test_what_fails_once_is_tried_again() -> None:
    service = Service(Failed(), Failed())
    assert await Outside("it", deadline=5).call(service.ask) == "done"
    assert service.calls == 3


async def test_what_keeps_failing_has_failed() -> None:
    service = Service(*[Failed()] * 9)
    with pytest.raises(Failed):
        await Outside("it", deadline=5).call(service.ask)
    assert service.calls == 3


async def test_what_is_refused_is_not_asked_again() -> None:
    service = Service(Refused())
    with pytest.raises(Refused):
        await Outside("it", deadline=5).call(service.ask)
    assert service.calls == 1


@pytest.mark.parametrize("error", [ValueError("of a library"), OSError(), KeyError("x")])
async def test_whatever_a_library_raises_counts_as_failed(error: Exception) -> None:
    with pytest.raises(Failed):
        await Outside("it", deadline=5).call(Service(error).ask)


async def test_a_call_that_hangs_ends_at_the_deadline_with_all_its_tries() -> None:
    service = Service(60.0)
    begun = time.monotonic()
    with pytest.raises(Failed):
        await Outside("it", deadline=0.2).call(service.ask)
    assert time.monotonic() - begun < 5
    assert service.calls == 1


async def test_after_some_failures_it_is_left_alone_and_then_asked_again() -> None:
    outside = Outside("it", deadline=5, attempts=1, failures_to_open=3, open_for=0.2)
    service = Service(*[Failed()] * 3)
    for _ in range(5):
        with pytest.raises(Failed):
            await outside.call(service.ask)
    assert service.calls == 3  # the last two did not reach it
    await asyncio.sleep(0.25)
    assert await outside.call(service.ask) == "done"


async def test_a_success_or_a_refusal_in_between_shows_that_it_is_there() -> None:
    outside = Outside("it", deadline=5, attempts=1, failures_to_open=2)
    service = Service(Failed(), None, Failed(), Refused(), Failed(), None)
    for outcome in (Failed, None, Failed, Refused, Failed, None):
        if outcome is None:
            assert await outside.call(service.ask) == "done"
        else:
            with pytest.raises(outcome):
                await outside.call(service.ask)


# ---------------------------------------------------------------- what comes in pieces


async def pieces(*seconds: float) -> AsyncIterator[float]:
    for each in seconds:
        await asyncio.sleep(each)
        yield each


def in_a(second: float) -> float:
    return asyncio.get_running_loop().time() + second


async def test_what_comes_in_time_comes_whole() -> None:
    assert [each async for each in until(in_a(5), pieces(0, 0.01))] == [0, 0.01]


async def test_what_is_waited_for_too_long_has_failed() -> None:
    with pytest.raises(TimeoutError):
        async for _ in until(in_a(0.05), pieces(0, 60)):
            pass


async def test_who_takes_long_over_a_piece_is_not_ended_by_it() -> None:
    took = []

    async def take() -> None:
        async for piece in until(in_a(0.05), pieces(0, 0)):
            await asyncio.sleep(0.2)
            took.append(piece)

    with pytest.raises(TimeoutError):
        await take()
    assert took == [0]
