"""What the functions' processes occupy over a day, and whether it grows."""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from local.platform import Platform

_MIB = 1024 * 1024
_EVERY = 3.0


@dataclass(frozen=True)
class Growth:
    function: str
    warm: float
    """MB: the median of the second quarter of the time; in the first, caches fill."""
    last: float
    """MB: the median of the last quarter."""

    @property
    def megabytes(self) -> float:
        return self.last - self.warm


Samples = Mapping[str, Sequence[float]]


def growth_of(samples: Samples) -> list[Growth]:
    """By function; of one that was looked at less than eight times nothing can be said."""
    return [
        Growth(
            name, _median(each[len(each) // 4 : len(each) // 2]), _median(each[-len(each) // 4 :])
        )
        for name, each in samples.items()
        if len(each) >= 8
    ]


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


class Watch:
    """Looks at the processes every few seconds, until it is told to end."""

    def __init__(self, platform: Platform, every: float = _EVERY) -> None:
        self.samples: dict[str, list[float]] = {name: [] for name in platform.functions}
        self._platform = platform
        self._every = every

    async def run(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            begun = time.monotonic()
            for name, occupied in (await asyncio.to_thread(self._look)).items():
                self.samples[name].append(occupied)
            left = self._every - (time.monotonic() - begun)
            try:
                await asyncio.wait_for(is_over.wait(), max(0.1, left))
            except TimeoutError:
                continue

    def _look(self) -> dict[str, float]:
        found = {}
        for process in self._platform.children.processes:
            if process.name in self.samples:
                occupied = occupied_by(process.popen.pid)
                if occupied is not None:
                    found[process.name] = occupied
        return found


def occupied_by(pid: int) -> float | None:
    """Megabytes of a function's master and worker; pages that they share count once.

    Not of what a worker starts for one file: that ends with it.
    """
    total = 0.0
    try:
        master = psutil.Process(pid)
        for process in (master, *master.children()):
            info = process.memory_full_info()
            total += float(getattr(info, "pss", info.rss)) / _MIB
    except psutil.Error:
        return None  # it ended while it was looked at
    return total
