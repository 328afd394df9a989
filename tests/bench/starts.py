"""How long a function takes from process start to its first answer, against a bare hello."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from local import catalog
from tests.bench.serving import Deployed, bare, ours, serving
from tests.bench.table import Row, Target
from tests.bench.world import World

_ROUNDS = 7
_FIRST_ANSWER = Target("≤", 3)
_FIRST_READ = Target("≤", 4.5)


@dataclass(frozen=True)
class Start:
    what: str
    function: Deployed
    path: str
    headers: Mapping[str, str]
    target: Target = _FIRST_ANSWER


def measure(world: World) -> tuple[list[Row], list[str]]:
    hello = Start("hello", bare(world.platform, "hello"), "/", {})
    starts = list(_starts(world))
    took: dict[str, list[float]] = {start.what: [] for start in (hello, *starts)}
    cpu: dict[str, list[float]] = {what: [] for what in took}
    for _ in range(_ROUNDS):  # they take turns, so that a busy minute of the machine is shared
        for start in (hello, *starts):
            seconds, cpu_seconds = _timed(world, start)
            took[start.what].append(seconds)
            cpu[start.what].append(cpu_seconds)
    baseline = statistics.median(took[hello.what])
    rows = []
    for start in starts:
        own = statistics.median(took[start.what])
        figures = (f"{baseline:.2f} s", f"{own:.2f} s")
        rows.append(Row(start.what, *figures, own / baseline, start.target))
    spread = (
        f"{what} {min(all_):.2f} to {max(all_):.2f} s, {statistics.median(cpu[what]):.2f} s of CPU"
        for what, all_ in took.items()
    )
    return rows, [f"Starts ranged: {'; '.join(spread)}."]


def _starts(world: World) -> list[Start]:
    starts = []
    for declared in catalog.read():
        if declared.kind != "http":
            continue
        name = declared.name
        function = ours(world.platform, name, **world.certificates)
        # Not the OpenAPI document: no app asks for it, and building it takes longer than a read.
        starts.append(Start(f"start of {name}", function, "/nothing", {}))
        if path := world.read_paths().get(name):
            what = f"start of {name}, first read"
            starts.append(Start(what, function, path, world.headers, _FIRST_READ))
    return starts


def _timed(world: World, start: Start) -> tuple[float, float]:
    """Seconds until the answer, and seconds of CPU, which a busy machine changes less."""
    started = time.perf_counter()
    with serving(world.platform, start.function) as served:
        served.first_answer(start.path, start.headers)
        return time.perf_counter() - started, served.cpu_seconds()
