"""Reserved keys: who waits, who takes over what a crash left."""

import asyncio
import secrets
from datetime import timedelta

import pytest

from common.firestore import Batch, now
from common.idempotency import Once, _used_keys
from common.problems import IdempotencyInFlight, IdempotencyKeyReused
from local.platform import Platform


@pytest.fixture
def path(platform: Platform) -> str:
    return f"idempotency_keys/{secrets.token_hex(16)}"


async def test_while_a_key_is_reserved_others_are_told_to_wait(path: str) -> None:
    assert await Once(path, "f").reserve() is None
    with pytest.raises(IdempotencyInFlight):
        await Once(path, "f").reserve()


async def test_a_reserved_key_is_no_key_for_another_body(path: str) -> None:
    await Once(path, "f").reserve()
    with pytest.raises(IdempotencyKeyReused):
        await Once(path, "another").reserve()


async def test_a_released_key_can_be_reserved_again(path: str) -> None:
    first = Once(path, "f")
    await first.reserve()
    await first.release()
    assert await Once(path, "f").reserve() is None


async def test_of_many_who_find_a_lapsed_reservation_one_takes_it_over(path: str) -> None:
    await Once(path, "f").reserve()
    batch = Batch()
    batch.update(path, {"expire_time": now() - timedelta(seconds=1)})
    await batch.commit()
    outcomes = await asyncio.gather(
        *(Once(path, "f").reserve() for _ in range(8)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert {type(outcome) for outcome in outcomes if outcome} == {IdempotencyInFlight}


async def test_without_a_key_nothing_is_stored() -> None:
    once = Once()
    assert await once.reserve() is None
    assert await once.finished() is None
    await once.release()


async def test_a_reservation_lasts_as_long_as_its_effect_may_take(path: str) -> None:
    assert await Once(path, "f").reserve(timedelta(minutes=5)) is None
    used = await _used_keys.get(path.rsplit("/", 1)[-1])
    assert used is not None
    assert used.expire_time > now() + timedelta(minutes=4)
