"""The use case of the purge: delete what is due, wherever it lies, and say so.

It can be fired twice, or killed at any point: a deletion and its audit event
are one batch, what was deleted is not deleted again, and what was not is due
at the next firing.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from common import retention
from common.assistant import Exchange
from common.clinical import HistoryRecord, Patient
from common.firestore import now
from common.models import AuditEvent, Record
from common.problems import NotFound, RecordChanged
from common.settings import settings

from . import repository

R = TypeVar("R", bound=Record)

_REASON = "retention"

_SECONDS = 420.0
"""After which no further patient is begun: the function may run for 540 seconds."""

_EVENTS_AT_ONCE = 400

_log = logging.getLogger("healthhub.purge")


async def purge() -> None:
    """Raises what the last failing step raised, once every step was tried."""
    started = time.monotonic()
    failures: list[Exception] = []
    steps: dict[str, Callable[[float], Awaitable[int]]] = {
        "erasures": _complete_erasures,
        "patients": _purge_patients,
        "access": _purge_access,
        "notifications": _purge_notifications,
        "conversations": _purge_conversations,
        "audit_events": _purge_events,
        "dead_letters": _purge_dead_letters,
    }
    deleted = {}
    for name, step in steps.items():
        try:
            deleted[name] = await step(started + _SECONDS)
        except Exception as error:  # noqa: BLE001 - the others must not wait for this one
            _log.error("a step of the purge failed: %s", name, exc_info=error)
            failures.append(error)
    _log.info("purged", extra={"fields": {"deleted": deleted}})
    if failures:
        raise failures[-1]


async def _complete_erasures(deadline: float) -> int:
    deleted = 0
    async for patient in _until(deadline, repository.half_erased()):
        with suppress(NotFound, RecordChanged):  # who asked for it completes it just now
            deleted += await retention.finish_erasure(patient, "erasure")
    return deleted


async def _purge_patients(deadline: float) -> int:
    """The history that is due of each archived patient and, once none is left, the rest."""
    kept = settings().retention
    moment = now()
    latest = max(kept.cutoff("history", moment), kept.cutoff("patients", moment))
    deleted = 0
    async for patient in _until(deadline, repository.archived_before(latest)):
        if patient.has_legal_hold or patient.is_being_erased:
            continue
        with suppress(RecordChanged, NotFound):  # restored, held or purged by another meanwhile
            deleted += await _purge_patient(patient)
    return deleted


async def _purge_patient(patient: Patient) -> int:
    moment = now()

    async def due() -> AsyncIterator[HistoryRecord]:
        cutoff = settings().retention.cutoff("history", moment)
        async for record in repository.records_before(patient.id, cutoff):
            if retention.is_due(patient, record, moment):
                yield record

    deleted = await retention.delete_history(patient, due(), _REASON)
    if await _is_profile_due(patient, moment):
        patient = await retention.begin_erasure(patient, _REASON)
        deleted += await retention.finish_erasure(patient, _REASON)
    return deleted


async def _is_profile_due(patient: Patient, moment: datetime) -> bool:
    """The profile goes last: after the history, and when no appointment, recording or image keeps it."""
    if not retention.is_profile_due(patient, moment) or await repository.has_history(patient.id):
        return False
    visit, upload = await asyncio.gather(
        retention.last_visit(patient.id), retention.last_upload(patient.id)
    )
    return retention.is_visit_due(visit, moment) and retention.is_upload_due(upload, moment)


async def _purge_access(deadline: float) -> int:
    kept, moment = settings().retention, now()
    held = _Holds()
    ended: tuple[tuple[str, AsyncIterator[Record]], ...] = (
        (
            "access-grants.purge",
            repository.grants_ended_before(kept.cutoff("access_grants", moment)),
        ),
        (
            "break-glass.purge",
            repository.emergencies_ended_before(kept.cutoff("break_glass", moment)),
        ),
    )
    deleted = 0
    for action, records in ended:
        unheld = held.without(_until(deadline, records), _patient_of)
        deleted += await retention.delete_all(unheld, action, _REASON, _patient_of)
    return deleted


async def _purge_notifications(deadline: float) -> int:
    cutoff = settings().retention.cutoff("notifications", now())
    records = _until(deadline, repository.notifications_before(cutoff))
    return await retention.delete_all(records, "notifications.purge", _REASON, _owner_of)


async def _purge_conversations(deadline: float) -> int:
    """Exchanges first, so that no thread goes before what was said in it; kept while that patient is under legal hold."""
    cutoff = settings().retention.cutoff("conversations", now())
    held, deleted = _Holds(), 0
    due: tuple[AsyncIterator[Record], ...] = (
        repository.exchanges_before(cutoff),
        repository.threads_before(cutoff),
    )
    for records in due:
        unheld = held.without(held.without(_until(deadline, records), _owner_of), _whose_record)
        deleted += await retention.delete_all(unheld, "conversations.purge", _REASON, _owner_of)
    return deleted


async def _purge_events(deadline: float) -> int:
    """What the log says of who touched whom; kept while that patient is under legal hold."""
    cutoff = settings().retention.cutoff("audit_events", now())
    deleted = 0
    chunk: list[AuditEvent] = []
    events = _until(deadline, repository.events_before(cutoff))
    async for event in _Holds().without(events, lambda event: event.subject_uid):
        chunk.append(event)
        if len(chunk) == _EVENTS_AT_ONCE:
            await repository.delete_events(chunk)
            deleted += len(chunk)
            chunk = []
    if chunk:
        await repository.delete_events(chunk)
    return deleted + len(chunk)


async def _purge_dead_letters(deadline: float) -> int:
    """Of messages: they name objects, and hold nothing of a patient's."""
    cutoff = settings().retention.cutoff("dead_letters", now())
    letters = _until(deadline, repository.dead_letters_before(cutoff))
    return await retention.delete_all(letters, "dead-letters.purge", _REASON, lambda each: None)


class _Holds:
    """Which patients are under legal hold, each asked once in a run."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    async def without(
        self, records: AsyncIterator[R], patient_of: Callable[[R], str | None]
    ) -> AsyncIterator[R]:
        async for record in records:
            patient_id = patient_of(record)
            if patient_id is None or not await self._is_held(patient_id):
                yield record

    async def _is_held(self, patient_id: str) -> bool:
        if patient_id not in self._known:
            patient = await repository.patient(patient_id)
            self._known[patient_id] = patient is not None and patient.has_legal_hold
        return self._known[patient_id]


async def _until(deadline: float, records: AsyncIterator[R]) -> AsyncIterator[R]:
    """The records until time is up; the rest is due at the next firing."""
    async for record in records:
        if time.monotonic() > deadline:
            _log.warning("the purge goes on at its next firing")
            return
        yield record


def _patient_of(record: Record) -> str:
    """`patients/{patient_id}/…`"""
    return record.path.split("/")[1]


def _whose_record(record: Record) -> str | None:
    """Of an exchange: the patient with whose record it was answered."""
    return record.patient_id if isinstance(record, Exchange) else None


_owner_of = _patient_of
"""`users/{uid}/…`, `conversations/{uid}/…`"""
