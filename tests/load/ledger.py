"""What clients were promised during a day: a line for each effect that was acknowledged.

Written by `tests/load/day.py` in locust's process, read by the checks in ours.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Booking:
    id: str
    doctor: str
    patient: str
    start: str
    """As acknowledged last: at the booking, or by a move."""
    is_cancelled: bool = False
    is_unsure: bool = False
    """The answer to a change of it never came."""


@dataclass(frozen=True)
class Sent:
    kind: str
    """`transcriptions` or `medical-images`."""
    id: str


@dataclass
class Ledger:
    bookings: dict[str, Booking] = field(default_factory=dict)
    uploads: list[Sent] = field(default_factory=list)
    unsure_bookings: int = 0
    """Wishes to which no answer came, however often they were sent."""
    doubled: list[str] = field(default_factory=list)
    """Ids that two wishes were answered with."""

    def note(self, entry: dict[str, Any]) -> None:
        match entry:
            case {"what": "booked", "id": id, "doctor": doctor, "patient": patient, "start": start}:
                if id in self.bookings:
                    self.doubled.append(id)
                self.bookings[id] = Booking(id, doctor, patient, start)
            case {"what": "moved", "id": id, "start": start}:
                self.bookings[id].start = start
            case {"what": "cancelled", "id": id}:
                self.bookings[id].is_cancelled = True
            case {"what": "unsure", "id": id}:
                self.bookings[id].is_unsure = True
            case {"what": "unsure"}:
                self.unsure_bookings += 1
            case {"what": "sent", "kind": kind, "id": id}:
                self.uploads.append(Sent(kind, id))
            case _:
                raise ValueError("a line that nobody writes")


def read(lines: Iterable[str]) -> Ledger:
    ledger = Ledger()
    for line in lines:
        ledger.note(json.loads(line))
    return ledger


class Pen:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def note(self, what: str, **more: str) -> None:
        self._file.write(json.dumps({"what": what, **more}) + "\n")
        self._file.flush()
