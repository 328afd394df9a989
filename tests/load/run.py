"""Has locust play a day against a platform that runs, watches it, and looks up what came of it."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.bootstrap import ROOT
from local.platform import Platform
from tests.load import checks, ledger, people
from tests.load.checks import Check
from tests.load.ledger import Ledger
from tests.load.memory import Growth, Watch, growth_of
from tests.load.people import Clinic

_DAY = Path(__file__).with_name("day.py")
_PATIENCE = 120.0
"""Seconds for the files that were sent last."""
_A_RECORDING = 8.0
"""Seconds more for each recording: one after another, they are recognised on this machine."""


class LoadBroken(Exception):
    """locust did not play the day, so nothing was measured."""


@dataclass
class Day:
    seconds: float
    users: int
    figures: list[dict[str, Any]]
    ledger: Ledger
    grown: list[Growth]
    checks: list[Check]

    @property
    def requests(self) -> int:
        return sum(int(each["requests"]) for each in self.figures)

    @property
    def is_kept(self) -> bool:
        return all(check.is_kept for check in self.checks)


Tell = Callable[[float, dict[str, int]], None]
"""Is told the seconds so far, and `users`, `requests`, `failures`."""


async def play(
    platform: Platform,
    clinic: Clinic,
    folder: Path,
    *,
    seconds: float,
    users: int,
    report: Path,
    tell: Tell = lambda seconds, said: None,
    then: Callable[[Ledger], Awaitable[None]] | None = None,
) -> Day:
    """A day of so many seconds, and whether what must hold after it does.

    `then` has what stood still go on, before it is looked at what became of it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    people.write(clinic, folder)
    report.parent.mkdir(parents=True, exist_ok=True)
    watch, is_over = Watch(platform), asyncio.Event()
    watching = asyncio.create_task(watch.run(is_over))
    try:
        await _played(platform.url, folder, seconds, users, report, tell)
    finally:
        is_over.set()
        await watching
    figures: list[dict[str, Any]] = json.loads((folder / "figures.json").read_text())
    told = folder / "ledger.jsonl"
    promised = ledger.read(told.read_text().splitlines())
    recordings = sum(sent.kind == "transcriptions" for sent in promised.uploads)
    if then is not None:
        await then(promised)
    grown = growth_of(watch.samples)
    found = [
        *await checks.of_bookings(clinic, promised),
        await checks.of_uploads(promised.uploads, _PATIENCE + _A_RECORDING * recordings),
        checks.no_errors(figures),
        checks.nothing_unexpected(figures),
        checks.memory_is_flat(grown),
    ]
    return Day(seconds, users, figures, promised, grown, found)


async def _played(
    url: str, folder: Path, seconds: float, users: int, report: Path, tell: Tell
) -> None:
    """Run locust, and tell how far it is. Raises `LoadBroken`."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(_DAY), "--host", url]
    command += ["--headless", "--users", str(users), "--spawn-rate", str(max(1, users / 5))]
    command += ["--run-time", f"{round(seconds)}s", "--stop-timeout", "30", "--loglevel", "WARNING"]
    command += ["--html", str(report), "--only-summary", "--exit-code-on-error", "0"]
    # Coverage would be measured in a process that runs greenlets, and none of our code.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    env["HEALTHHUB_LOAD"] = str(folder)
    with (folder / "locust.log").open("wb") as log:
        locust = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=env, stdout=log, stderr=log
        )
    try:
        begun = asyncio.get_running_loop().time()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(locust.wait()), 1)
                break
            with suppress(FileNotFoundError):
                said = json.loads((folder / "progress.json").read_text())
                tell(asyncio.get_running_loop().time() - begun, said)
    finally:
        if locust.returncode is None:
            locust.kill()
            await locust.wait()
    if locust.returncode or not (folder / "figures.json").exists():
        last = (folder / "locust.log").read_text(errors="replace").strip().splitlines()[-5:]
        raise LoadBroken("\n".join(last))
