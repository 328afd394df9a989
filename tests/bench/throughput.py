"""Requests per second of one read: ours with token, policy and headers, against a bare one."""

import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from local.bootstrap import ROOT
from local.ports import HOST, free_ports
from tests.bench import load
from tests.bench.serving import Deployed, Served, bare, launched, ours, serving
from tests.bench.table import Row, Target
from tests.bench.world import World

_PAIRS = 5
_SECONDS = 4.0
_WARM_UP = 2.0


@dataclass(frozen=True)
class Run:
    result: load.Result
    cpu_ms: float
    """Of the function's processes, per answer."""


@dataclass(frozen=True)
class Pairs:
    """Runs of the baseline and of ours, which took turns."""

    bare: list[Run]
    ours: list[Run]

    def ratio(self, figure: Callable[[Run], float]) -> float:
        """The median over the pairs, so that a disturbance spoils one pair and not the figure."""
        both = zip(self.ours, self.bare, strict=True)
        return statistics.median(figure(ours) / figure(bare) for ours, bare in both)

    def row(self, what: str, unit: str, figure: Callable[[Run], float], target: Target) -> Row:
        medians = [statistics.median(map(figure, runs)) for runs in (self.bare, self.ours)]
        baseline, own = (f"{median:.0f} {unit}" for median in medians)
        return Row(what, baseline, own, self.ratio(figure), target)

    def notes(self, what: str) -> list[str]:
        ratios = ", ".join(
            f"{own.result.per_second / base.result.per_second:.2f}"
            for own, base in zip(self.ours, self.bare, strict=True)
        )
        cpu = [statistics.median(run.cpu_ms for run in runs) for runs in (self.bare, self.ours)]
        lines = [
            f"{what}: pairs gave {ratios}; one answer costs the bare function"
            f" {cpu[0]:.2f} ms of CPU, ours {cpu[1]:.2f} ms."
        ]
        for name, runs in (("bare", self.bare), ("ours", self.ours)):
            if errors := [run.result.errors for run in runs if run.result.errors]:
                lines.append(f"[red]{what}: errors of {name}: {errors}[/]")
        return lines


def on_the_emulator(world: World) -> tuple[list[Row], list[str]]:
    pairs = _measured(world, connections=32, env={})
    what = "GET /doctors/{id} on the emulator, 32 connections"
    rows = [pairs.row(what, "/s", lambda run: run.result.per_second, Target("≥", 1.8))]
    return rows, pairs.notes("emulator")


def on_the_stub(world: World, documents: Mapping[str, str]) -> tuple[list[Row], list[str]]:
    file = world.platform.run_dir / "documents.json"
    file.write_text(json.dumps(documents))
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "tests.bench.firestore_stub", str(port), str(file)]
    with launched(world.platform, "bench-stub", command, {}, ROOT):
        pairs = _measured(world, connections=64, env={"FIRESTORE_EMULATOR_HOST": f"{HOST}:{port}"})
    what = "GET /doctors/{id} on a 20 ms stub of Firestore, 64 connections"
    rows = [
        pairs.row(what, "/s", lambda run: run.result.per_second, Target("≥", 2.5)),
        pairs.row("… its p99", "ms", lambda run: run.result.p99_ms, Target("≤", 1)),
    ]
    threads = os.environ.get("THREADS", (os.cpu_count() or 1) * 4)
    note = f"The bare function has the framework's default of {threads} threads, ours one loop."
    return rows, [*pairs.notes("stub"), note]


def _measured(world: World, connections: int, env: dict[str, str]) -> Pairs:
    functions = [
        bare(world.platform, "sync_read", **env),
        ours(world.platform, "doctors", **env, **world.certificates),
    ]
    with ExitStack() as stack:
        served = [stack.enter_context(serving(world.platform, each)) for each in functions]
        for each, function in zip(served, functions, strict=True):
            _check(world, each, function)
            _run(world, each, connections, _WARM_UP)
        runs: list[list[Run]] = [[], []]
        for _ in range(_PAIRS):
            for each, its_runs in zip(served, runs, strict=True):
                its_runs.append(_run(world, each, connections, _SECONDS))
    return Pairs(*runs)


def _check(world: World, served: Served, function: Deployed) -> None:
    """That it really reads the document: a name is in it."""
    body = served.first_answer(f"/doctors/{world.doctor_id}", world.headers)
    assert b'"specialties"' in body, f"{function.name} did not return the document"


def _run(world: World, served: Served, connections: int, seconds: float) -> Run:
    path = f"/doctors/{world.doctor_id}"
    before = served.cpu_seconds()
    result = load.run(load.Order(served.port, path, world.headers, connections, seconds))
    spent = served.cpu_seconds() - before
    return Run(result, spent * 1000 / max(1, result.answers))
