"""A clinic's day, undisturbed: no function's memory grows. It tells something from some minutes on."""

import asyncio

from tests.load import checks
from tests.stress.disturbed import a_day
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen, is_over_within

_USERS = 20


async def tried(scene: Scene) -> Told:
    told = Told("Memory", f"a day of {_USERS} people for {scene.seconds:.0f} s")
    before = scene.unforeseen()

    async def disturb(is_over: asyncio.Event) -> None:
        while not await is_over_within(is_over, 60):  # as the clock does
            for clock in ("sweep_stuck_work", "send_reminders"):
                scene.platform.fire(clock)

    day = await a_day(scene, told, disturb, users=_USERS)
    for each in sorted(day.grown, key=lambda one: -one.megabytes)[:5]:
        told.add(
            f"{each.function}, MB", f"{each.warm:.1f} → {each.last:.1f} ({each.megabytes:+.1f})"
        )
    check = checks.memory_is_flat(day.grown)
    told.add(check.promise, check.words())
    told.broken += check.broken
    expect_nothing_unforeseen(scene, before, told)
    return told
