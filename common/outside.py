"""Calls to services that are not ours: a deadline, a few more tries with jitter, and a breaker.

A service that keeps failing is left alone for a while, so that what waits for
it fails at once and is tried again later, instead of holding an instance.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from common import telemetry

T = TypeVar("T")

_log = logging.getLogger("healthhub.outside")


class Failed(Exception):
    """The service did not do it, and may do it later. Says nothing of what was sent."""


class Refused(Exception):
    """The service will not do it, however often it is asked."""


class Outside:
    """One service.

    Its callers' errors are `Failed` and `Refused`; anything else, and a call
    that outlasts the deadline, counts as `Failed`.
    """

    def __init__(
        self,
        name: str,
        *,
        deadline: float,
        attempts: int = 3,
        failures_to_open: int = 5,
        open_for: float = 30.0,
    ) -> None:
        self._name = name
        self._deadline = deadline
        self._attempts = attempts
        self._failures_to_open = failures_to_open
        self._open_for = open_for
        self._failures = 0
        self._opened_at = -1e9

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Raises `Failed` or `Refused`; all attempts together end by the deadline."""
        if time.monotonic() - self._opened_at < self._open_for:
            raise Failed(f"{self._name} is left alone for a while")
        try:
            with telemetry.span(self._name):
                async with asyncio.timeout(self._deadline):
                    answer = await self._tried(ask)
        except Refused:
            self._failures = 0
            raise
        except Exception as error:
            self._failed(error)
            raise Failed(self._name) from error
        self._failures = 0
        return answer

    async def _tried(self, ask: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, self._attempts):
            try:
                return await ask()
            except Failed:
                await asyncio.sleep(random.uniform(0.05, 0.2) * 2**attempt)
        return await ask()

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        kind = type(error).__name__
        _log.warning("outside service failed", extra={"fields": {"name": self._name, "kind": kind}})
        if self._failures >= self._failures_to_open:
            self._failures = 0
            self._opened_at = time.monotonic()


async def until(moment: float, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """These, as they come, until a moment of the loop's clock; then raises `TimeoutError`.

    The clock is looked at only while one is awaited: a timeout around a `yield` would cancel
    the caller in whatever it does just then.
    """
    while True:
        try:
            async with asyncio.timeout_at(moment):
                item = await anext(items)
        except StopAsyncIteration:
            return
        yield item
