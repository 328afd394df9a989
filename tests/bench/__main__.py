"""`python -m tests.bench`: measures the budgets and prints them. It reports; nothing slow fails it."""

import asyncio
import os
import platform
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it remarks on every child that is started

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
from tests.bench.world import a_world, stored_documents

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


async def _measure(console: Console) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    notes: list[str] = []

    def add(measured: tuple[list[Row], list[str]]) -> None:
        rows.extend(measured[0])
        notes.extend(measured[1])

    with (
        tempfile.TemporaryDirectory(prefix="healthhub-bench-") as run_dir,
        console.status("Starting the platform …") as status,
    ):
        async with a_world(Path(run_dir)) as world:
            status.update("Requests on the emulator …")
            add(throughput.on_the_emulator(world))
            status.update("Requests on a stub of Firestore …")
            add(throughput.on_the_stub(world, await stored_documents(world)))
            status.update("Bookings …")
            add(booking.measure(world, *await booking.prepare(world.platform)))
            status.update("Starts …")
            add(starts.measure(world))
            status.update("Memory …")
            add(memory.measure(world))
            status.update("An hour of audio …")
            add(await asyncio.to_thread(recordings.measure, world.platform))
            status.update("Images …")
            add(await images.measure())
            status.update("The assistant …")
            notes.extend(await assistant.measure())
        status.update("100,000 appointments …")
        add(await asyncio.to_thread(growth.measure))
        status.update("Firestore operations …")
        await asyncio.to_thread(operations.measure)
        notes.append("Reads and writes of every route are in docs/operations.md.")
        add(recordings.understanding())
        status.update("Tokens …")
        add(token_check.measure())
    return rows, notes


def main() -> None:
    console = Console(highlight=False)
    started = time.monotonic()
    rows, notes = asyncio.run(_measure(console))
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
    DOCUMENT.write_text(document_of(rows, [*notes, *_MEANING], machine))


if __name__ == "__main__":
    main()
