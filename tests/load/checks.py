"""What must hold after a day: of what was acknowledged, and of what is stored.

The functions without `async` judge what they are given, so that tests can give them what is wrong.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.appointments import appointments
from common.images import medical_images
from common.scheduling import Appointment, AppointmentStatus
from common.transcripts import transcriptions
from tests.booked import broken_rules
from tests.load.ledger import Ledger, Sent
from tests.load.memory import Growth
from tests.load.people import Clinic

MOST_GROWTH = 16.0
"""MB from the warm-up to the end: allocators and caches move by less, what leaks does not stop there."""
_TOLD = 3


@dataclass(frozen=True)
class Check:
    promise: str
    """As in the table."""
    broken: Sequence[str]
    """In words; the promise is kept when there is nothing to say."""
    told: str = ""

    @property
    def is_kept(self) -> bool:
        return not self.broken

    def words(self) -> str:
        if self.is_kept:
            return self.told
        more = len(self.broken) - _TOLD
        return "; ".join(self.broken[:_TOLD]) + (f"; and {more} more" if more > 0 else "")


# ---------------------------------------------------------------- judged


def acknowledged_once(ledger: Ledger, stored: Iterable[Appointment]) -> Check:
    """Each booking that was answered 201 is there as its client knows it, and nothing besides."""
    found = {each.id: each for each in stored}
    broken = [f"two wishes were answered with {id}" for id in ledger.doubled]
    for id, known in ledger.bookings.items():
        appointment = found.pop(id, None)
        if appointment is None:
            broken.append(f"{id} was acknowledged and is not there")
        elif known.is_unsure:
            continue
        elif known.is_cancelled:
            if appointment.status is not AppointmentStatus.CANCELLED:
                broken.append(f"{id} was cancelled and is {appointment.status}")
        elif not appointment.status.is_live:
            broken.append(f"{id} was never cancelled and is {appointment.status}")
        elif appointment.start != datetime.fromisoformat(known.start):
            broken.append(f"{id} lies at {appointment.start}, its patient was told {known.start}")
    if len(found) > ledger.unsure_bookings:
        broken.append(f"{len(found)} are there that nobody was told of")
    cancelled = sum(each.is_cancelled for each in ledger.bookings.values())
    told = f"{len(ledger.bookings)} acknowledged, {cancelled} of them cancelled"
    if unsure := ledger.unsure_bookings + sum(each.is_unsure for each in ledger.bookings.values()):
        told += f", {unsure} without an answer"
    return Check("each acknowledged booking is there once, as it was acknowledged", broken, told)


def nobody_twice(broken: Sequence[str]) -> Check:
    return Check("no slot and no patient is booked twice", broken, "nothing overlaps")


def ended(states: Mapping[Sent, str | None]) -> Check:
    broken = [
        f"{sent.kind} {sent.id} is {state or 'not there'}"
        for sent, state in states.items()
        if (state or "").split(":")[0] not in ("completed", "failed", "rejected")
    ]
    counts = Counter(str(state) for state in states.values())
    told = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    return Check("each file that was sent came to an end", broken, told or "none was sent")


def no_errors(figures: Iterable[Mapping[str, Any]]) -> Check:
    """Of 5xx, only a 503 that says when to come again may be answered; those are told."""
    broken, busy, answers = [], 0, 0
    for figure in figures:
        statuses: Mapping[str, int] = figure["statuses"]
        answers += sum(statuses.values())
        busy += statuses.get("busy", 0)
        broken += [
            f"{figure['what']}: {count} × {'no answer' if status == '0' else status}"
            for status, count in statuses.items()
            if status == "0" or (status.isdigit() and status.startswith("5"))
        ]
    told = f"{answers:,} answers, {busy} of them 503 with Retry-After"
    if not answers:
        broken.append("nothing was asked")
    return Check("no 5xx", broken, told)


def nothing_unexpected(figures: Iterable[Mapping[str, Any]]) -> Check:
    failed = {figure["what"]: figure["failures"] for figure in figures if figure["failures"]}
    broken = [f"{what}: {count}" for what, count in failed.items()]
    return Check("each answer is one that the client expects", broken, "no failures")


def memory_is_flat(grown: Sequence[Growth], most: float = MOST_GROWTH) -> Check:
    broken = [
        f"{each.function} grew by {each.megabytes:.0f} MB"
        for each in grown
        if each.megabytes > most
    ]
    worst = max(grown, key=lambda each: each.megabytes, default=None)
    told = (
        f"most by {worst.function}: {worst.megabytes:+.1f} MB, to {worst.last:.0f} MB"
        if worst
        else "too short to tell"
    )
    return Check(f"no function grows by more than {most:.0f} MB", broken, told)


# ---------------------------------------------------------------- looked up


async def of_bookings(clinic: Clinic, ledger: Ledger) -> list[Check]:
    stored = [
        appointment
        for patient in clinic.patients
        async for appointment in appointments.all_(where=[("patient_id", "==", patient.uid)])
    ]
    rules = await broken_rules(clinic.doctors, clinic.patients)
    return [nobody_twice(rules), acknowledged_once(ledger, stored)]


async def of_uploads(uploads: Sequence[Sent], patience: float) -> Check:
    """Waits until each has ended, for so many seconds at most."""
    deadline = time.monotonic() + patience
    states: dict[Sent, str | None] = dict.fromkeys(uploads)
    open_ = set(uploads)
    while open_ and time.monotonic() < deadline:
        for sent in sorted(open_, key=lambda each: each.id):
            states[sent] = await state_of(sent)
        check = ended({sent: states[sent] for sent in open_})
        if check.is_kept:
            break
        open_ = {sent for sent in open_ if not ended({sent: states[sent]}).is_kept}
        await asyncio.sleep(1)
    return ended(states)


async def state_of(sent: Sent) -> str | None:
    """With the reason, if there is one."""
    records: Any = transcriptions if sent.kind == "transcriptions" else medical_images
    record = await records.get(sent.id)
    if record is None:
        return None
    return f"{record.state}: {record.reason}" if record.reason else str(record.state)
