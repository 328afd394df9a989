"""Reads and writes of every route, counted on the wire, into docs/operations.md."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from local import tools
from local.bootstrap import ROOT
from local.platform import Platform, running
from local.ports import HOST, Ports
from tests.bench.table import Row, Target
from tests.client import Api
from tests.promises import matrix
from tests.promises.people import Six, ask, six
from tests.recorder import Counted, Recorder

DOCUMENT = ROOT / "docs" / "operations.md"
_TABLE = re.compile(r"(<!-- make bench: operations -->\n).*?(<!-- end -->)", re.DOTALL)


async def count(run_dir: Path) -> list[tuple[str, str, Counted]]:
    """Of each route what it costs whom it serves, the account and the access already known."""
    ports = Ports.free()
    recorder = Recorder(f"{HOST}:{ports.firestore}")
    recorder.start()
    env = {"REQUESTS_PER_MINUTE": "1000000", "FIRESTORE_EMULATOR_HOST": recorder.address}
    platform = Platform(tools.find(), ports, run_dir, function_env=env)
    counted = []
    try:
        with running(platform):
            os.environ.update(platform.client_env())  # for what makes the administrator
            async with Api(platform.url) as api:
                shared = await six(api)
                for row in matrix.ROWS:
                    who = _served(row)
                    people = await six(api, row) if row.is_destructive else shared
                    await _warm(api, row, who, people)
                    with recorder.counting() as counts:
                        async with api.from_elsewhere() as elsewhere:
                            await ask(elsewhere, row, who, people)
                    counted.append((row.operation, who, counts))
    finally:
        recorder.stop()
    return counted


def _served(row: matrix.Row) -> str:
    """The first identity that the route serves; a doctor rather than the patient, who costs less."""
    served = [
        who for who, status in zip(matrix.IDENTITIES, row.statuses, strict=True) if status < 300
    ]
    return (
        "doctor"
        if "doctor" in served and "/patients" in row.operation
        else (served or ["admin"])[0]
    )


async def _warm(api: Api, row: matrix.Row, who: str, people: Six) -> None:
    if row.is_destructive and who != "anonymous":
        path = row.operation.split("/")[1].split("/")[0]
        if path in ("users", "doctors", "patients", "appointments"):
            await api.get(f"/v1/{path}", people[who])
    elif not row.is_destructive:
        await ask(api, row, who, people)


def table_of(counted: list[tuple[str, str, Counted]]) -> str:
    lines = ["| route | asked by | reads | writes |", "|---|---|--:|--:|"]
    lines += [f"| {what} | {who} | {c.reads} | {c.writes} |" for what, who, c in counted]
    return "\n".join(lines)


def write_down(counted: list[tuple[str, str, Counted]]) -> None:
    """Put the table into its place in the document."""
    text = DOCUMENT.read_text()
    written, places = _TABLE.subn(
        lambda match: f"{match[1]}\n{table_of(counted)}\n\n{match[2]}", text
    )
    if places != 1:
        raise ValueError(f"{DOCUMENT.name} has {places} places for the table")
    DOCUMENT.write_text(written)


def measure() -> list[Row]:
    """The routes that a budget names. Counted in a process of its own: this one's clients know another platform."""
    subprocess.run([sys.executable, "-m", __spec__.name], cwd=ROOT, check=True)
    text = DOCUMENT.read_text()
    return [
        _row(text, "POST /appointments", "reads", 2),
        _row(text, "POST /appointments", "writes", 7),
        _row(text, "GET /patients/{patient_id}", "reads", 1),
        _row(text, "GET /patients/{patient_id}", "writes", 1),
    ]


def _row(text: str, route: str, what: str, most: int) -> Row:
    found = re.search(rf"^\| {re.escape(route)} \| \w+ \| (\d+) \| (\d+) \|$", text, re.M)
    if found is None:
        raise ValueError(f"{DOCUMENT.name} has no row of {route}")
    count = int(found[1 if what == "reads" else 2])
    return Row(
        f"{what} of {route}",
        str(most),
        str(count),
        count / most,
        Target("≤", most, what),
        judged=count,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="healthhub-bench-") as folder:
        write_down(asyncio.run(count(Path(folder))))
