"""What the functions need ends and comes again while people work: afterwards all that was acknowledged is finished.

Killed are those that hold nothing which the cloud would keep, and Pub/Sub, whose undelivered messages are
then lost: more than the cloud does. The database, the files, the accounts and what was sent lie in their
emulators' memory, so those are only stopped for a while, and go on.
"""

import asyncio
import itertools
from collections import Counter

import psutil

from tests.stress.disturbed import a_day
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen, is_over_within

_SLOW = "pubsub"
"""Takes seconds to start again, so the others don't wait for it."""
_KILLED = ("kms", "speech", "vision", "model", "clamd")
_STOPPED = ("storage", "auth", "outbox", "firestore")
_PAUSE = 2.0
_BETWEEN = 1.0


async def tried(scene: Scene) -> Told:
    told = Told(
        "Restarts of what functions need",
        f"kill -9 of {_SLOW}, {', '.join(_KILLED)}; SIGSTOP for {_PAUSE:.0f} s of {', '.join(_STOPPED)}",
    )
    before = scene.unforeseen()
    done: Counter[str] = Counter()

    async def restart(name: str) -> None:
        await asyncio.to_thread(scene.platform.restart, name)
        done[name] += 1

    async def disturb(is_over: asyncio.Event) -> None:
        await asyncio.gather(_slow(is_over), _quick(is_over))

    async def _slow(is_over: asyncio.Event) -> None:
        while not await is_over_within(is_over, _BETWEEN):
            await restart(_SLOW)

    async def _quick(is_over: asyncio.Event) -> None:
        turns = itertools.zip_longest(_KILLED, _STOPPED)
        order = itertools.cycle(name for turn in turns for name in turn if name is not None)
        while not await is_over_within(is_over, _BETWEEN):
            name = next(order)
            if name in _KILLED:
                await restart(name)
            else:
                await _stopped(scene, name, is_over)
                done[name] += 1

    await a_day(scene, told, disturb)
    told.add("killed or stopped", ", ".join(f"{name} {count} ×" for name, count in done.items()))
    left = [name for name in (_SLOW, *_KILLED, *_STOPPED) if not done[name]]
    told.add("not reached in this time", ", ".join(left) or "none")
    told.expect(sum(done.values()) > 0, "nothing was killed or stopped, so this proves nothing")
    expect_nothing_unforeseen(scene, before, told)
    return told


async def _stopped(scene: Scene, name: str, is_over: asyncio.Event) -> None:
    found = next(each for each in scene.platform.children.processes if each.name == name)
    process = psutil.Process(found.popen.pid)
    process.suspend()
    try:
        await is_over_within(is_over, _PAUSE)
    finally:
        process.resume()
