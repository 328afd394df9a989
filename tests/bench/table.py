"""One line of the bench's report, and the table of all of them."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from local.bootstrap import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
_WHERE_IT_GOES = """
## Where the time goes, and what is missed

- **Starts.** A start is spent importing. Of `users`, by `python -X importtime`: FastAPI a quarter, half of that the models of its own OpenAPI
  document; Firestore's client with gRPC and api_core a quarter; functions-framework with Flask a fifth, which the bare function has too; settings, pydantic and
  telemetry a sixth; PyJWT with cryptography a sixteenth. Byte code is there (`local/bundles.py`), collection is off
  meanwhile (`common/coldstart.py`), and what only some requests need is imported by them (`tests/test_imports.py` keeps that). Tried and turned
  down: deferring FastAPI's own models and email-validator takes a twentieth off, for a hook into pydantic's internals.
- **`patients`, memory and first read.** Tink and the client of Cloud KMS, gRPC again: 12 MB and a tenth of a second. Tink's own integration needs that client.
- **The race, in answers a second,** is compared with a fixed 400, so it is the one row that is about the machine. Where the budgets were set, the bare read
  made more than twice as many answers a second as it does here.
- **Bookings against a bare transaction.** The transaction writes as many documents, uncontended, on an emulator that is in the same memory; ours also checks a token,
  seals what is clinical, keeps an audit chain and an idempotency record. What the design gains is seen under contention: there a transaction gives up, ours answers.
- **The growing database.** The emulator looks through a collection where the cloud has an index, so its times grow with what is stored; the reads, which the cloud bills and
  follows, are equal.
- **Metadata of a picture.** Reading the bare header takes pydicom longer than the whole budget; ours looks at every element besides.
- **p99 on the stub** was not looked into.
"""

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
        f"Written by `make bench`, on {machine}.",
        "Each row was measured against its bare counterpart in the same run; figures of another machine differ, ratios much less.",
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
    return "\n".join(lines) + "\n" + _WHERE_IT_GOES


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
