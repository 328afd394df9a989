"""`python -m tests.stress`: tries to break it, for a bounded time; exit status 1 if a promise was broken."""

import argparse
import asyncio
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it remarks on every child that is started

from rich.console import Console
from rich.table import Table

from local import tools
from local.platform import Platform, running
from local.ports import HOST, Ports
from tests import asked
from tests.between import Between
from tests.client import Api, make_admin
from tests.recorder import Recorder
from tests.stress import (
    bodies,
    emulators,
    faults,
    floods,
    images,
    kills,
    memory,
    races,
    slow,
)
from tests.stress.scene import Scene, Told

_SECONDS = 15.0

CHAPTERS: dict[str, Callable[[Scene], Awaitable[Told]]] = {
    "races": races.tried,
    "floods": floods.tried,
    "bodies": bodies.tried,
    "slow": slow.tried,
    "faults": faults.tried,
    "emulators": emulators.tried,
    "kills": kills.tried,
    "memory": memory.tried,
}
IMAGES = "images"
"""Needs no platform, and comes first."""

_LIMITS = {
    "REQUESTS_PER_MINUTE": "1000000",
    "DAILY_TOKENS": "100000000",
    "DAILY_CENTS": "100000000",
    "TRACE_RATIO": "0.1",
}


@asynccontextmanager
async def a_scene(console: Console, seconds: float, seed: int) -> AsyncIterator[Scene]:
    """A platform whose functions reach the database, accounts and Pub/Sub through what can break."""
    ports = Ports.free()
    recorder = Recorder(f"{HOST}:{ports.firestore}")
    between = {
        name: Between(f"http://{HOST}:{getattr(ports, name)}") for name in ("auth", "pubsub")
    }
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="healthhub-stress-"))
        recorder.start()
        stack.callback(recorder.stop)
        for before in between.values():
            before.start()
            stack.callback(before.stop)
        env = {
            **_LIMITS,
            "FIRESTORE_EMULATOR_HOST": recorder.address,
            "FIREBASE_AUTH_EMULATOR_HOST": between["auth"].address,
            "PUBSUB_EMULATOR_HOST": between["pubsub"].address,
        }
        platform = Platform(tools.find(), ports, Path(folder) / "platform", function_env=env)
        console.print("Starting the platform …")
        stack.enter_context(running(platform))
        os.environ.update(platform.client_env())  # the checks look into the stores themselves
        async with Api(platform.url) as api:
            await asked.load()
            admin = await make_admin(api)
            yield Scene(
                platform,
                recorder,
                between,
                api,
                admin,
                seconds,
                random.Random(seed),
                Path(folder),
            )


async def _all(console: Console, names: list[str], seconds: float, seed: int) -> list[Told]:
    told = []
    async with a_scene(console, seconds, seed) as scene:
        for name in names:
            with console.status(f"{name} …") as status:
                scene.say = lambda words, name=name: status.update(f"{name} … {words}")  # type: ignore[misc]
                begun = time.monotonic()
                one = await _tried(name, scene)
                one.add("seconds", f"{time.monotonic() - begun:.0f}")
            _show(console, one)
            told.append(one)
    return told


async def _tried(name: str, scene: Scene) -> Told:
    try:
        return await CHAPTERS[name](scene)
    except Exception as error:  # noqa: BLE001 - the other chapters are still to be tried
        words = f"the chapter itself broke off: {type(error).__name__}: {error}"
        return Told(name, "not to its end", broken=[words[:500]])


def _images(console: Console, seconds: float, seed: int) -> Told:
    logging.disable(logging.WARNING)  # pydicom remarks on each damaged value
    found = images.fuzzed(seconds, seed, console)
    logging.disable(logging.NOTSET)
    told = Told(f"Images that lie (seed {found.seed})", "real images, damaged at random")
    told.figures += found.figures()
    told.broken += [f"a process died; kept: {path}" for path in found.kept]
    return told


def _show(console: Console, told: Told) -> None:
    verdict = "[red]broken[/]" if told.broken else "[green]kept[/]"
    table = Table("what", "figure", title=f"{told.title}: {verdict}", title_justify="left")
    table.add_row("tried", told.tried)
    for what, figure in told.figures:
        table.add_row(what, figure)
    for words in dict.fromkeys(told.broken):
        table.add_row("[red]broken[/]", words)
    console.print(table)


def _chosen(only: str) -> list[str]:
    names = [IMAGES, *CHAPTERS]
    chosen = [name for name in only.split(",") if name] or names
    if unknown := set(chosen) - set(names):
        raise SystemExit(
            f"there is no chapter {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(prog="make stress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="for each chapter (15)")
    parser.add_argument("--only", default="", help=f"of {','.join([IMAGES, *CHAPTERS])}")
    parser.add_argument("--seed", type=int, default=None, help="repeats an earlier run's chances")
    wanted = parser.parse_args()
    console = Console(highlight=False)
    seed = random.randrange(1 << 32) if wanted.seed is None else wanted.seed
    chosen, told = _chosen(wanted.only), []
    if IMAGES in chosen:
        told.append(_images(console, wanted.seconds, seed))
        _show(console, told[0])
        chosen.remove(IMAGES)
    if chosen:
        told += asyncio.run(_all(console, chosen, wanted.seconds, seed))
    broken = [one.title for one in told if one.broken]
    console.print(f"Broken: {', '.join(broken)} (seed {seed})" if broken else "All promises kept.")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
