"""`python -m tests.stress`: tries to break it, for a bounded time; exit status 1 if something broke."""

import argparse
import logging
import sys

from rich.console import Console
from rich.table import Table

from tests.stress import images

_SECONDS = 60


def main() -> None:
    parser = argparse.ArgumentParser(prog="make stress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="for each part")
    parser.add_argument("--seed", type=int, default=None, help="repeats an earlier run")
    wanted = parser.parse_args()
    console = Console()
    logging.disable(logging.WARNING)  # pydicom remarks on each damaged value
    found = images.fuzzed(wanted.seconds, wanted.seed, console)
    table = Table("what", "figure", title=f"Images that lie (seed {found.seed})")
    for what, figure in found.figures():
        table.add_row(what, figure)
    console.print(table)
    for path in found.kept:
        console.print(f"[red]kept: {path}")
    sys.exit(1 if found.deaths else 0)


if __name__ == "__main__":
    main()
