"""What chapters work on, and what they tell."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.platform import Platform
from tests.between import Between
from tests.client import Api, Person
from tests.processes import unforeseen
from tests.recorder import Recorder


@dataclass
class Told:
    """A chapter's outcome."""

    title: str
    tried: str
    figures: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Promises, each in words; there is nothing to say when all were kept."""

    def add(self, what: str, figure: object) -> None:
        self.figures.append((what, str(figure)))

    def expect(self, is_kept: bool, otherwise: str) -> None:
        if not is_kept:
            self.broken.append(otherwise)


@dataclass
class Scene:
    platform: Platform
    recorder: Recorder
    """Before Firestore."""
    between: dict[str, Between]
    """Before `auth` and `pubsub`, where functions reach them that way."""
    api: Api
    admin: Person
    seconds: float
    """For each chapter, more or less."""
    chance: random.Random
    folder: Path
    say: Callable[[str], None] = lambda words: None

    def ends(self) -> float:
        return time.monotonic() + self.seconds

    def unforeseen(self) -> list[str]:
        """As `tests.processes.unforeseen` has it."""
        return unforeseen(self.platform)


async def is_over_within(is_over: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(is_over.wait(), seconds)
    return is_over.is_set()


def expect_nothing_unforeseen(scene: Scene, before: list[str], told: Told) -> None:
    """No function met an error that it did not foresee since `before` was counted."""
    left = scene.unforeseen()
    for name in before:
        left.remove(name)
    told.add("unforeseen errors", len(left))
    told.expect(not left, f"unforeseen errors in {', '.join(sorted(set(left)))}")
