"""Memory of an idle function that has answered one read, so with its database client built."""

import time

import psutil

from tests.bench.serving import Deployed, bare, ours, serving
from tests.bench.table import Row, Target
from tests.bench.world import World

_MIB = 1024 * 1024
_SETTLE = 1.0


def measure(world: World) -> tuple[list[Row], list[str]]:
    path = f"/doctors/{world.doctor_id}"
    baseline, base_note = _idle(world, bare(world.platform, "sync_read"), path)
    rows, notes = [], [f"Memory of the bare reader: {base_note}."]
    for name, read_path in world.read_paths().items():
        function = ours(world.platform, name, **world.certificates)
        own, note = _idle(world, function, read_path)
        figures = (f"{baseline:.0f} MB", f"{own:.0f} MB")
        what = f"memory of idle {name}"
        rows.append(Row(what, *figures, own / baseline, Target("≤", 110, "MB"), judged=own))
        notes.append(f"Memory of {name}: {note}.")
    return rows, notes


def _idle(world: World, function: Deployed, path: str) -> tuple[float, str]:
    """Megabytes that the function occupies, and of what they consist."""
    with serving(world.platform, function) as served:
        served.first_answer(path, world.headers)
        time.sleep(_SETTLE)
        processes = served.processes()
        shares = [_share(process) for process in processes]
        resident = [process.memory_info().rss / _MIB for process in processes]
    parts = (
        f"{who} {share:.0f} MB (resident {rss:.0f} MB)"
        for who, share, rss in zip(("master", "worker"), shares, resident, strict=True)
    )
    return sum(shares), " + ".join(parts)


def _share(process: psutil.Process) -> float:
    """Its proportional share: pages that master and worker have in common count once."""
    info = process.memory_full_info()
    return float(getattr(info, "pss", info.rss)) / _MIB
