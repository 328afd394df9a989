"""`python -m tests.bench`: measures the budgets and prints them. It reports; nothing slow fails it.

Each part has its bare counterpart in the same run. `--whole` adds what takes half an hour.
"""

import asyncio
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it remarks on every child that is started

import typer
from rich.console import Console

from tests.bench import (
    assistant,
    booking,
    growth,
    images,
    memory,
    operations,
    recordings,
    starts,
    throughput,
    token_check,
)
from tests.bench.table import DOCUMENT, Row, document_of, table_of
from tests.bench.world import World, a_world, stored_documents

_MEANING = (
    "Requests: ours checks the token's signature, the account, the policy and the path, writes a"
    " log line and adds headers; the bare function only reads. Ratios are medians of pairs that"
    " took turns.",
    "The stub shows what waiting costs: threads wait one request each, the event loop as many as"
    " come.",
    "Starts: from launching the process to the whole first answer, medians of turns; the first"
    " read adds building the database's client, the certificates and the reads themselves.",
    "Token: with the certificate at hand, without the network. A token that was found good is taken"
    " for five minutes without another check of its signature; the load above sends one token.",
    "Memory: master and worker after one read, pages that they share counted once; the target is"
    " about ours, not about the ratio.",
)


_OPERATIONS = (
    "Reads and writes of every route are in docs/operations.md. A week of availability takes as many reads as"
    " slots are booked, and one; a page of a list its size and one: tests/promises/test_booking.py and"
    " tests/functions/doctors/test_directory.py keep that."
)
Measured = tuple[list[Row], list[str]]


async def _in_the_world(world: World, part: str) -> Measured:
    """Parts that need a platform with people on it."""
    match part:
        case "requests":
            rows, notes = throughput.on_the_emulator(world)
            stubbed = throughput.on_the_stub(world, await stored_documents(world))
            return [*rows, *stubbed[0]], [*notes, *stubbed[1]]
        case "bookings":
            return booking.measure(world, *await booking.prepare(world.platform))
        case "starts":
            return starts.measure(world)
        case "memory":
            return memory.measure(world)
        case "audio":
            return await asyncio.to_thread(recordings.measure, world.platform)
        case "pictures":
            return await images.corpora()
        case _:
            return await assistant.measure()


def _alone(part: str) -> Measured:
    """Parts that need none, or start one of their own."""
    match part:
        case "images":
            return images.measure()
        case "growth":
            return growth.measure()
        case "operations":
            return operations.measure(), [_OPERATIONS]
        case "words":
            return recordings.understanding()
        case _:
            return token_check.measure()


_BUDGETS = ("tokens", "images", "requests", "bookings", "starts", "memory", "growth", "operations")
_CORPORA = ("audio", "pictures", "assistant", "words")
_WORLDLY = {"requests", "bookings", "starts", "memory", "audio", "pictures", "assistant"}


async def _measure(console: Console, parts: list[str]) -> Measured:
    found: dict[str, Measured] = {}
    with console.status("") as status:
        for part in (each for each in parts if each not in _WORLDLY):
            status.update(f"{part} …")
            found[part] = await asyncio.to_thread(_alone, part)
            console.print(f"  {part}: done")
        worldly = [each for each in parts if each in _WORLDLY]
        if worldly:
            status.update("Starting the platform …")
            with tempfile.TemporaryDirectory(prefix="healthhub-bench-") as run_dir:
                async with a_world(Path(run_dir)) as world:
                    for part in worldly:
                        status.update(f"{part} …")
                        found[part] = await _in_the_world(world, part)
                        console.print(f"  {part}: done")
    rows = [row for part in parts for row in found[part][0]]
    return rows, [note for part in parts for note in found[part][1]]


def main(
    only: Annotated[
        str, typer.Option(help=f"Some of: {', '.join((*_BUDGETS, *_CORPORA))}; with commas.")
    ] = "",
    whole: Annotated[
        bool, typer.Option(help="An hour of audio, hundreds of pictures and questions too.")
    ] = False,
) -> None:
    """Measure the budgets; all of them are written to docs/performance.md."""
    parts = only.split(",") if only else [*_BUDGETS, *(_CORPORA if whole else ())]
    if unknown := set(parts) - {*_BUDGETS, *_CORPORA}:
        raise typer.BadParameter(f"there is no {', '.join(sorted(unknown))}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # into a file, nothing is to be cut off
    started = time.monotonic()
    rows, notes = asyncio.run(_measure(console, parts))
    console.print(table_of(rows))
    for line in (*notes, *_MEANING):
        console.print(f"· {line}")
    machine = (
        f"{os.cpu_count()} cores ({platform.machine()}), shared by the function, the load and the database;"
        f" Python {platform.python_version()}"
    )
    load = os.getloadavg()[0]
    console.print(
        f"· {machine}; load average {load:.1f}; {time.monotonic() - started:.0f} s in all."
    )
    if set(_BUDGETS) <= set(parts):
        DOCUMENT.write_text(document_of(rows, [*notes, *_MEANING], machine))


if __name__ == "__main__":
    typer.run(main)
