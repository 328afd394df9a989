"""What may be due, found by queries that touch nothing else."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from common import audit
from common.access import access_grants
from common.assistant import Exchange, Thread, exchanges, threads
from common.clinical import AccessGrant, BreakGlass, HistoryRecord, Notification, Patient
from common.events import DeadLetter, dead_letters
from common.firestore import Batch, Collection, Order
from common.models import AuditEvent
from common.patients import break_glass, history, patients

notifications = Collection(Notification, "users/{}/notifications")


async def patient(patient_id: str) -> Patient | None:
    return await patients.get(patient_id)


def half_erased() -> AsyncIterator[Patient]:
    return patients.all_(where=[("is_being_erased", "==", True)])


def archived_before(moment: datetime) -> AsyncIterator[Patient]:
    where = [("is_archived", "==", True), ("archive_time", "<=", moment)]
    return patients.all_(where=where, order=[("archive_time", "ASCENDING")])


def records_before(patient_id: str, moment: datetime) -> AsyncIterator[HistoryRecord]:
    where = [("update_time", "<=", moment)]
    return history.all_(patient_id, where=where, order=[("update_time", "ASCENDING")])


async def has_history(patient_id: str) -> bool:
    return bool(await history.find(patient_id, limit=1))


async def grants_ended_before(moment: datetime) -> AsyncIterator[AccessGrant]:
    """A booking sets `end_time` without knowing of other grounds, so each is asked."""
    where = [("end_time", "<=", moment)]
    order: Order = [("end_time", "ASCENDING")]
    async for grant in access_grants.all_(where=where, order=order, everywhere=True):
        end = grant.end()
        if end is not None and end <= moment:
            yield grant


def emergencies_ended_before(moment: datetime) -> AsyncIterator[BreakGlass]:
    where = [("end_time", "<=", moment)]
    return break_glass.all_(where=where, order=[("end_time", "ASCENDING")], everywhere=True)


def notifications_before(moment: datetime) -> AsyncIterator[Notification]:
    where = [("create_time", "<=", moment)]
    return notifications.all_(where=where, order=[("create_time", "ASCENDING")], everywhere=True)


def exchanges_before(moment: datetime) -> AsyncIterator[Exchange]:
    where = [("create_time", "<=", moment)]
    return exchanges.all_(where=where, order=[("create_time", "ASCENDING")], everywhere=True)


def threads_before(moment: datetime) -> AsyncIterator[Thread]:
    """In which nothing was said since."""
    where = [("update_time", "<=", moment)]
    return threads.all_(where=where, order=[("update_time", "ASCENDING")], everywhere=True)


def events_before(moment: datetime) -> AsyncIterator[AuditEvent]:
    where = [("create_time", "<=", moment)]
    return audit.audit_events.all_(where=where, order=[("create_time", "ASCENDING")])


def dead_letters_before(moment: datetime) -> AsyncIterator[DeadLetter]:
    where = [("update_time", "<=", moment)]
    return dead_letters.all_(where=where, order=[("update_time", "ASCENDING")])


async def delete_events(events: Sequence[AuditEvent]) -> None:
    """Audit events, with one event that tells of their deletion: one for each would never end."""
    batch = Batch()
    for event in events:
        batch.delete(event.path, must_exist=True)
    resource = f"{events[0].path}…{events[-1].id}"
    told = audit.event(None, "audit-events.purge", resource, None, reason="retention")
    audit.add(batch, told)
    await batch.commit()
