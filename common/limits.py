"""Rate limits.

Costly routes (sign-in, registration, reset) are counted in Firestore, where
all instances see the count: the attempt is added first and the commit gives
back the new number, so of many at once exactly the allowed ones pass, in one
round trip. They fail closed: no count, no attempt. Windows are those of the
clock, so around the turn of one up to twice as many pass: counting backwards
from each attempt would double the writes of every sign-in. Everything else is counted
in memory, per instance, to stop a runaway client; Cloud Armor stands before it.
"""

import asyncio
import hashlib
import hmac
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from common.firestore import Batch, now
from common.problems import Busy, SignInRefused, TooManyRequests, Unavailable
from common.settings import settings


@dataclass(frozen=True)
class Limit:
    name: str
    most: int
    seconds: int


SIGN_IN_PAIR = Limit("sign-in-pair", 10, 900)
"""Failures of one address at one account."""
SIGN_IN_ACCOUNT = Limit("sign-in-account", 50, 900)
"""Failures at one account from anywhere: high, or strangers could lock its owner out."""
SIGN_IN_ADDRESS = Limit("sign-in-address", 300, 900)
"""Failures of one address, and attempts that are under way: a hospital shares one."""
REGISTER_ADDRESS = Limit("register-address", 60, 3600)
RESET_ACCOUNT = Limit("reset-account", 5, 3600)
BREAK_GLASS = Limit("break-glass", 20, 3600)
"""Emergency accesses of one doctor: an emergency room passes, who leafs through patients does not."""
RESET_ADDRESS = Limit("reset-address", 60, 3600)

_SLOW_AFTER = 5
_SLOW_STEP = 0.4


def throttle(key: str) -> None:
    """Count one request of `key` in this instance's memory; raises `TooManyRequests`."""
    _window.count(key, settings().requests_per_minute)


class _Window:
    """Requests per key within the current minute; all keys are dropped when it ends."""

    def __init__(self) -> None:
        self._ends = 0.0
        self._counts: dict[str, int] = {}

    def count(self, key: str, most: int) -> None:
        moment = time.monotonic()
        if moment >= self._ends:
            self._ends = moment + 60
            self._counts = {}
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > most:
            raise TooManyRequests(int(self._ends - moment) + 1)


_window = _Window()


Limited = tuple[Limit, str]
"""A limit, and whose it is: an address, an account."""

_stopped: dict[str, float] = {}
"""Limits that were passed, by path, and when their window ends: no attempt need be counted until then."""

_MOST_STOPPED = 10_000


async def spend(*limited: Limited, moment: float | None = None) -> int:
    """Count one attempt against each limit; returns the first limit's new count.

    An attempt that one limit stops was not made, so the others get it back.
    Raises `TooManyRequests` when a limit is passed and `Unavailable` when
    they can't be counted.
    """
    moment = moment or time.time()
    _raise_if_stopped(limited, moment)
    batch = Batch()
    for limit, key in limited:
        expire_time = now() + timedelta(seconds=2 * limit.seconds)
        batch.increment(path_of(limit, key, moment), 1, {"expire_time": expire_time})
    counts = list((await batch.commit()).counts.values())
    stopping = [pair for pair, count in zip(limited, counts, strict=True) if count > pair[0].most]
    if stopping:
        _remember(stopping, moment)
        await _give_back([pair for pair in limited if pair not in stopping], moment)
        _raise_if_stopped(stopping, moment)
    return counts[0]


def _remember(stopping: Sequence[Limited], moment: float) -> None:
    if len(_stopped) >= _MOST_STOPPED:
        _stopped.clear()
    for limit, key in stopping:
        ends = (int(moment) // limit.seconds + 1) * limit.seconds
        _stopped[path_of(limit, key, moment)] = ends


def _raise_if_stopped(limited: Sequence[Limited], moment: float) -> None:
    ends = [_stopped.get(path_of(limit, key, moment), 0.0) for limit, key in limited]
    if max(ends) > moment:
        raise TooManyRequests(int(max(ends) - moment) + 1)


@asynccontextmanager
async def failures_only(own: Sequence[Limited], shared: Sequence[Limited]) -> AsyncIterator[None]:
    """Within this block, only a `SignInRefused` is counted; after a few, each waits longer.

    The attempt is counted before it is made and given back if it succeeds or
    could not be made, so attempts in parallel can't slip through together.
    `shared` is counted only for who is within their `own` limits: else one
    who is stopped at theirs could still use up an account's.
    """
    moment = time.time()
    count = await spend(*own, moment=moment)
    try:
        await spend(*shared, moment=moment)
    except BaseException:
        await _give_back(own, moment)
        raise
    if count > _SLOW_AFTER:
        await asyncio.sleep(_SLOW_STEP * (count - _SLOW_AFTER))
    try:
        yield
    except SignInRefused:
        raise
    except BaseException:
        await _give_back([*own, *shared], moment)
        raise
    await _give_back([*own, *shared], moment)


async def _give_back(limited: Sequence[Limited], moment: float) -> None:
    """Take an attempt off again. If the database is away it stays counted, which errs on the safe side."""
    for attempt in (1, 2, 3) if limited else ():
        batch = Batch()
        for limit, key in limited:
            batch.increment(path_of(limit, key, moment), -1, {})
        try:
            await batch.commit()
        except Busy:
            await asyncio.sleep(random.uniform(0, 0.1 * attempt))
        except Unavailable:
            return
        else:
            return


def path_of(limit: Limit, key: str, moment: float) -> str:
    """Named by a keyed hash: an e-mail address must not be legible in a document's name."""
    window = int(moment) // limit.seconds
    text = f"{limit.name}:{key}:{window}".encode()
    digest = hmac.new(settings().page_token_key, text, hashlib.sha256).hexdigest()[:32]
    return f"rate_limits/{digest}"
