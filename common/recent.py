"""What this instance has read lately, kept for some seconds and in bounded number."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """The values of `read` by key, none older than `max_age` seconds.

    Many who ask for one key together share one read. With `renew_after`, who
    finds a value older than that gets it, and it is read again behind their
    answer. A value for which `keep` does not hold is given out, not kept.
    """

    def __init__(
        self,
        read: Callable[[str], Awaitable[V]],
        *,
        max_age: float,
        renew_after: float | None = None,
        keep: Callable[[V], bool] = lambda value: True,
        most: int = 10_000,
    ) -> None:
        self._read = read
        self._max_age = max_age
        self._renew_after = max_age if renew_after is None else renew_after
        self._keep = keep
        self._most = most
        self._known: OrderedDict[str, tuple[float, V]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[V]] = {}

    async def get(self, key: str) -> V:
        known = self._known.get(key)
        age = time.monotonic() - known[0] if known else self._max_age
        if known is None or age >= self._max_age:
            # Shielded: the read is shared, and one caller who hangs up must not cancel it for all.
            return await asyncio.shield(self._renew(key))
        if age >= self._renew_after:
            self._renew(key)
        return known[1]

    def forget(self, key: str) -> None:
        self._known.pop(key, None)
        self._reading.pop(key, None)

    def _renew(self, key: str) -> "asyncio.Task[V]":
        task = self._reading.get(key)
        if task is None:
            asked_at = time.monotonic()
            task = self._reading[key] = asyncio.create_task(self._reading_of(key))
            task.add_done_callback(lambda done: self._renewed(key, asked_at, done))
        return task

    async def _reading_of(self, key: str) -> V:
        return await self._read(key)

    def _renewed(self, key: str, asked_at: float, task: "asyncio.Task[V]") -> None:
        is_read = not task.cancelled() and task.exception() is None
        if self._reading.get(key) is not task:
            return  # forgotten meanwhile: what it read is from before a change
        del self._reading[key]
        if not is_read:
            return
        self._known.pop(key, None)
        if self._keep(task.result()):
            self._known[key] = (asked_at, task.result())
            if len(self._known) > self._most:
                self._known.popitem(last=False)
