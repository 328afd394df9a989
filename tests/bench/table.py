"""One line of the bench's report, and the table of all of them."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from local.bootstrap import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {"≥": operator.ge, "≤": operator.le}


@dataclass(frozen=True)
class Target:
    sign: str
    value: float
    unit: str = "×"

    def is_met(self, figure: float) -> bool:
        return _COMPARISONS[self.sign](figure, self.value)

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g} {self.unit}"


@dataclass(frozen=True)
class Row:
    what: str
    baseline: str
    ours: str
    ratio: float
    target: Target
    judged: float | None = None
    """The figure that the target is about, where that is not the ratio."""

    @property
    def is_met(self) -> bool:
        return self.target.is_met(self.ratio if self.judged is None else self.judged)


def document_of(rows: Sequence[Row], notes: Sequence[str], machine: str) -> str:
    """docs/performance.md: ratios only, for what a machine takes is the machine's."""
    lines = [
        "# Performance",
        "",
        f"Written by `make bench`, on {machine}. Each row was measured against its bare counterpart in the same run; figures of",
        "another machine differ, ratios much less.",
        "",
        "| what | ratio | target | met |",
        "|---|--:|--:|---|",
    ]
    for row in rows:
        is_ratio = row.judged is None
        target = str(row.target) if is_ratio else f"{row.target} (not of the ratio)"
        met = "yes" if row.is_met else "no"
        lines.append(f"| {row.what} | {row.ratio:.2f} × | {target} | {met} |")
    lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(title="Budgets, side by side in this run", title_justify="left")
    table.add_column("what")
    for heading in ("baseline", "ours", "ratio", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("met?")
    for row in rows:
        met = "[green]yes[/]" if row.is_met else "[red]no[/]"
        table.add_row(row.what, row.baseline, row.ours, f"{row.ratio:.2f} ×", str(row.target), met)
    return table
