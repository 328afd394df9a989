"""kill -9 of functions while people work: what was acknowledged comes to one end, each once."""

import asyncio
from collections import Counter

import psutil

from common import audit
from tests.processes import worker
from tests.stress.disturbed import a_day
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen, is_over_within

_BETWEEN = 1.0
_WHOLE = 0.3
"""The share of kills that end a function's whole instance, not its worker only."""


async def tried(scene: Scene) -> Told:
    told = Told(
        "kill -9 of functions", "a worker or a whole instance each second, of a function by chance"
    )
    before = scene.unforeseen()
    done: Counter[str] = Counter()
    names = list(scene.platform.functions)

    async def disturb(is_over: asyncio.Event) -> None:
        while not await is_over_within(is_over, _BETWEEN):
            name = scene.chance.choice(names)
            if scene.chance.random() < _WHOLE:
                await asyncio.to_thread(scene.platform.restart, name)
                done[f"{name} (whole)"] += 1
            else:
                done[name] += _kill_worker(scene, name)

    day = await a_day(scene, told, disturb, is_killed=True)
    told.add("kills", sum(done.values()))
    told.expect(sum(done.values()) > 0, "nothing was killed, so this proves nothing")
    stored = [
        await _stored_times(sent.id) for sent in day.ledger.uploads if sent.kind == "transcriptions"
    ]
    told.add("recordings whose transcript was stored", dict(Counter(stored)))
    told.expect(max(stored, default=0) <= 1, "a transcript was stored twice")
    expect_nothing_unforeseen(scene, before, told)
    return told


def _kill_worker(scene: Scene, name: str) -> bool:
    try:
        worker(scene.platform, name).kill()
    except (psutil.Error, ValueError):
        return False  # it is just being born
    return True


async def _stored_times(transcription_id: str) -> int:
    """By the audit trail, where each storing has its event."""
    where = [
        ("resource", "==", f"transcriptions/{transcription_id}"),
        ("action", "==", "transcriptions.store"),
    ]
    return len(await audit.audit_events.find(where=where, limit=5))
