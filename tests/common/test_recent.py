"""What an instance keeps of its reads: for how long, how many, and shared by whom."""

import asyncio

import pytest

from common import recent
from common.recent import Recent


class Source:
    """Counts the reads; a read ends when it is let go."""

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def read(self, key: str) -> str:
        self.reads.append(key)
        number = len(self.reads)
        await self.gate.wait()
        if self.fails:
            raise ConnectionError
        return f"{key}{number}"


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(recent, "time", clock)
    return clock


async def test_a_value_is_read_once_while_it_is_young(clock: Clock) -> None:
    source = Source()
    values = Recent(source.read, max_age=10)
    assert [await values.get("a"), await values.get("a")] == ["a1", "a1"]
    clock.now += 10
    assert await values.get("a") == "a2"


async def test_many_who_ask_together_share_one_read_and_one_who_leaves_harms_nobody(
    clock: Clock,
) -> None:
    source = Source()
    source.gate.clear()
    values = Recent(source.read, max_age=10)
    asking = [asyncio.create_task(values.get("a")) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    source.gate.set()
    assert await asyncio.gather(*asking[1:]) == ["a1"] * 4
    assert source.reads == ["a"]


async def test_a_value_in_use_is_renewed_behind_the_answer(clock: Clock) -> None:
    source = Source()
    values = Recent(source.read, max_age=10, renew_after=5)
    await values.get("a")
    clock.now += 6
    assert await values.get("a") == "a1"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await values.get("a") == "a2"


async def test_a_renewal_that_fails_leaves_the_old_value_until_its_end(clock: Clock) -> None:
    source = Source()
    values = Recent(source.read, max_age=10, renew_after=5)
    await values.get("a")
    source.fails = True
    clock.now += 6
    assert await values.get("a") == "a1"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await values.get("a") == "a1"
    clock.now += 5
    with pytest.raises(ConnectionError):
        await values.get("a")


async def test_what_is_not_to_be_kept_is_read_each_time(clock: Clock) -> None:
    source = Source()
    values = Recent(source.read, max_age=10, keep=lambda value: value != "a1")
    assert [await values.get("a") for _ in range(3)] == ["a1", "a2", "a2"]


async def test_what_is_forgotten_during_a_read_is_not_kept_from_it(clock: Clock) -> None:
    source = Source()
    source.gate.clear()
    values = Recent(source.read, max_age=10)
    asking = asyncio.create_task(values.get("a"))
    await asyncio.sleep(0)
    values.forget("a")
    source.gate.set()
    assert await asking == "a1"
    assert await values.get("a") == "a2"


async def test_only_so_many_are_kept_and_the_oldest_go(clock: Clock) -> None:
    source = Source()
    values = Recent(source.read, max_age=10, most=2)
    for key in "abc":
        await values.get(key)
    assert await values.get("c") == "c3"
    assert await values.get("b") == "b2"
    assert await values.get("a") == "a4"
