"""A day as tables: what was asked, what each function occupied, and what held."""

from collections.abc import Sequence

from rich.table import Table

from tests.load.checks import Check
from tests.load.memory import Growth
from tests.load.run import Day


def of_operations(day: Day) -> Table:
    title = f"{day.requests:,} requests of {day.users} people in {day.seconds:.0f} seconds"
    table = Table(title=title, title_justify="left")
    table.add_column("operation")
    for heading in ("requests", "share", "median", "p95", "409", "503", "failures"):
        table.add_column(heading, justify="right")
    for figure in sorted(day.figures, key=lambda each: -each["requests"]):
        statuses = figure["statuses"]
        failures = str(figure["failures"])
        table.add_row(
            figure["what"],
            f"{figure['requests']:,}",
            f"{figure['requests'] / max(1, day.requests):.1%}",
            f"{figure['median_ms']:.0f} ms",
            f"{figure['p95_ms']:.0f} ms",
            str(statuses.get("409", 0)),
            str(statuses.get("busy", 0)),
            f"[red]{failures}[/]" if figure["failures"] else failures,
        )
    return table


def of_memory(grown: Sequence[Growth]) -> Table:
    table = Table(title="Memory of each function (MB)", title_justify="left")
    table.add_column("function")
    for heading in ("after the warm-up", "at the end", "grown by"):
        table.add_column(heading, justify="right")
    for each in sorted(grown, key=lambda one: -one.megabytes):
        table.add_row(
            each.function, f"{each.warm:.0f}", f"{each.last:.0f}", f"{each.megabytes:+.1f}"
        )
    return table


def of_checks(checks: Sequence[Check]) -> Table:
    table = Table("promise", "kept", "what was found", title="After it", title_justify="left")
    for check in checks:
        kept = "[green]yes[/]" if check.is_kept else "[red]no[/]"
        table.add_row(check.promise, kept, check.words())
    return table
