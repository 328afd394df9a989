"""What a person may have models read in a day: reserved before, settled after, each day by itself."""

import secrets
import time

import pytest

from common.budget import Cost, Meter, Reserved
from common.problems import BudgetSpent
from local.platform import Platform

DAY = 86_400


async def spent(meter: Meter, moment: float) -> tuple[int, int]:
    return await meter._add(Cost(0, 0), moment)


@pytest.fixture
def meter(platform: Platform) -> Meter:
    return Meter(secrets.token_hex(10))


async def test_what_was_reserved_and_not_used_is_given_back(meter: Meter) -> None:
    reserved = await meter.reserve(Cost(1000, 50))
    await meter.settle(reserved, Cost(300, 20))
    assert await spent(meter, reserved.moment) == (300, 20)


async def test_two_questions_at_once_are_settled_each_by_itself(meter: Meter) -> None:
    one, other = await meter.reserve(Cost(1000, 50)), await meter.reserve(Cost(500, 10))
    await meter.settle(one, Cost(0, 0))
    assert await spent(meter, other.moment) == (500, 10)


async def test_what_was_asked_before_midnight_is_settled_in_that_day(meter: Meter) -> None:
    yesterday = time.time() - DAY
    await meter._add(Cost(1000, 50), yesterday)
    await meter.settle(Reserved(Cost(1000, 50), yesterday), Cost(200, 10))
    assert await spent(meter, yesterday) == (200, 10)
    assert await spent(meter, time.time()) == (0, 0)


async def test_what_goes_beyond_the_day_is_refused_and_not_reserved(meter: Meter) -> None:
    with pytest.raises(BudgetSpent):
        await meter.reserve(Cost(100_000_000, 1))
    assert await spent(meter, time.time()) == (0, 0)
