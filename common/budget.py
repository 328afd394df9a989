"""What one person may have language models read and write in a day: tokens, and money.

The estimate is added before a model is asked, and the commit gives back the new
sum: of many requests at once none slips past. What was not used is given back afterwards. Who can't be
counted is not stopped here: the assistant then answers without a model.
"""

import time
from dataclasses import dataclass
from datetime import timedelta

from common.firestore import Batch, now
from common.limits import Limit, path_of
from common.problems import BudgetSpent
from common.settings import settings

_DAY = 86_400
_CHARACTERS = 3
"""A token's, at least: an estimate should be too high."""
_MICRO = 10_000
"""Millionths of a dollar in a cent."""


@dataclass(frozen=True)
class Cost:
    """Tokens, and millionths of a US dollar."""

    tokens: int
    micro: int

    @classmethod
    def of(cls, model: str, read: int, written: int) -> "Cost":
        price_read, price_written = settings().model_prices.of(model)
        return cls(read + written, round(read * price_read + written * price_written))

    @classmethod
    def at_most(cls, model: str, text: str, most_written: int) -> "Cost":
        return cls.of(model, len(text) // _CHARACTERS + 1, most_written)


@dataclass(frozen=True)
class Reserved:
    """What one question may cost at most, and of which day it is taken."""

    cost: Cost
    moment: float


class Meter:
    """One person's day."""

    def __init__(self, uid: str) -> None:
        self._uid = uid

    async def reserve(self, cost: Cost) -> Reserved:
        """Raises `BudgetSpent`, and then nothing is reserved; `Unavailable`, `Busy`."""
        moment = time.time()
        tokens, micro = await self._add(cost, moment)
        if tokens > settings().daily_tokens or micro > settings().daily_cents * _MICRO:
            await self._add(Cost(-cost.tokens, -cost.micro), moment)
            raise BudgetSpent(_DAY - int(moment) % _DAY)
        return Reserved(cost, moment)

    async def settle(self, reserved: Reserved, used: Cost) -> None:
        """Give back what was not used, to the day of which it was taken."""
        tokens = used.tokens - reserved.cost.tokens
        micro = used.micro - reserved.cost.micro
        if tokens or micro:
            await self._add(Cost(tokens, micro), reserved.moment)

    async def _add(self, cost: Cost, moment: float) -> tuple[int, int]:
        batch = Batch()
        expire_time = now() + timedelta(seconds=2 * _DAY)
        paths = [path_of(Limit(name, 0, _DAY), self._uid, moment) for name in ("tokens", "money")]
        for path, amount in zip(paths, (cost.tokens, cost.micro), strict=True):
            batch.increment(path, amount, {"expire_time": expire_time})
        counts = (await batch.commit()).counts
        return counts[paths[0]], counts[paths[1]]
