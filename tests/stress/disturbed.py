"""A clinic's day while something is done to the platform; what was acknowledged must outlast it."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.load import run
from tests.load.checks import Check
from tests.load.ledger import Ledger
from tests.load.people import Clinic, open_clinic
from tests.load.run import Day
from tests.stress.scene import Scene, Told
from tests.stress.settling import of_messages, settle

USERS = 12
_PROMISES = ("no slot", "each acknowledged", "each file", "no 5xx")

Disturb = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Goes on until the event."""


async def a_day(
    scene: Scene,
    told: Told,
    disturb: Disturb,
    *,
    users: int = USERS,
    undo: Callable[[], Awaitable[None]] | None = None,
    is_killed: bool = False,
) -> Day:
    """Play a day; `disturb` goes on beside it until it is over. Then `undo`, and the sweeps."""
    clinic = await open_clinic(scene.api, scene.admin, max(2, users // 4), users)
    folder: Path = scene.folder / secrets.token_hex(4)
    is_over = asyncio.Event()
    disturbing = asyncio.create_task(disturb(is_over))

    async def then(ledger: Ledger) -> None:
        is_over.set()
        await disturbing
        if undo is not None:
            await undo()
        await settle(scene.platform, clinic, ledger)

    try:
        day = await run.play(
            scene.platform,
            clinic,
            folder,
            seconds=scene.seconds,
            users=users,
            report=folder / "report.html",
            tell=lambda passed, said: scene.say(f"{said['requests']:,} requests"),
            then=then,
        )
    finally:
        is_over.set()
        await disturbing
    await _tell(scene, day, clinic, told, is_killed)
    return day


async def _tell(scene: Scene, day: Day, clinic: Clinic, told: Told, is_killed: bool) -> None:
    judged: list[Check] = [check for check in day.checks if check.promise.startswith(_PROMISES)]
    judged.append(await of_messages(scene.platform, clinic, is_killed=is_killed))
    for check in judged:
        told.add(check.promise, check.words())
        told.broken += [f"{check.promise}: {words}" for words in check.broken]
    statuses: Counter[str] = Counter()
    for figure in day.figures:
        statuses.update(figure["statuses"])
    told.add("answers", dict(sorted(statuses.items())))
