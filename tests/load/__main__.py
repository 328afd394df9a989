"""`python -m tests.load`: a clinic's day against a platform of its own; exit status 1 if a promise was broken."""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it remarks on every child that is started

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from local import tools
from local.bootstrap import ROOT
from local.platform import Platform, running
from local.ports import Ports
from tests import asked
from tests.client import Api, make_admin
from tests.load import people, table
from tests.load.run import Day, play

_FOLDER = ROOT / ".healthhub" / "load"
_LIMITS = {
    "REQUESTS_PER_MINUTE": "1000000",
    "DAILY_TOKENS": "100000000",
    "DAILY_CENTS": "100000000",
}
"""As if the people were as many as their requests are."""


async def played(
    platform: Platform, console: Console, *, seconds: float, users: int, report: Path
) -> Day:
    with console.status("Opening the clinic …"):
        async with Api(platform.url) as api:
            await asked.load()
            admin = await make_admin(api)
            doctors, patients = max(2, users // 4), max(3, users)
            clinic = await people.open_clinic(api, admin, doctors, patients)
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("A clinic's day …", total=seconds, said="")

        def tell(passed: float, said: dict[str, int]) -> None:
            words = f"{said['users']} people, {said['requests']:,} requests, {said['failures']} failures"
            progress.update(task, completed=passed, said=words)

        return await play(
            platform,
            clinic,
            _FOLDER / "run",
            seconds=seconds,
            users=users,
            report=report,
            tell=tell,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3, help="how long the day lasts (3)")
    parser.add_argument("--users", type=int, default=20, help="how many people at once (20)")
    parser.add_argument(
        "--report", type=Path, default=_FOLDER / "report.html", help="where locust's report goes"
    )
    wanted = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="healthhub-load-") as run_dir:
        platform = Platform(
            tools.find(), Ports.free(), Path(run_dir), function_env=_LIMITS, is_clocked=True
        )
        console.print("Starting the platform …")
        with running(platform):
            os.environ.update(platform.client_env())  # the checks look into the stores themselves
            day = asyncio.run(
                played(
                    platform,
                    console,
                    seconds=wanted.minutes * 60,
                    users=wanted.users,
                    report=wanted.report.resolve(),
                )
            )
    console.print(table.of_operations(day), table.of_memory(day.grown), table.of_checks(day.checks))
    console.print(f"Plots: {wanted.report}")
    sys.exit(0 if day.is_kept else 1)


if __name__ == "__main__":
    main()
