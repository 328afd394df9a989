"""Where appointments live in Firestore: `appointments`; their times, in common/booking.py."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from common import audit, metrics, reminders
from common.access import access_grants
from common.appointments import appointments, practices
from common.clinical import AccessGrant, Patient
from common.firestore import Batch, Order, Where, now
from common.models import AuditEvent
from common.pages import PageQuery
from common.patients import patients
from common.scheduling import Appointment, AppointmentStatus, Practice
from common.settings import settings

_LAST_VISITS = 20


async def get(appointment_id: str) -> Appointment | None:
    return await appointments.get(appointment_id)


async def practice(doctor_id: str) -> Practice | None:
    return await practices.get(doctor_id)


async def both(doctor_id: str, patient_id: str) -> tuple[Practice | None, Patient | None]:
    return await asyncio.gather(practices.get(doctor_id), patients.get(patient_id))


async def grant(patient_id: str, doctor_id: str) -> AccessGrant | None:
    return await access_grants.get(patient_id, doctor_id)


async def list_(
    patient_id: str | None,
    doctor_id: str | None,
    status: AppointmentStatus | None,
    start: datetime | None,
    end: datetime | None,
    is_latest_first: bool,
    page: PageQuery,
) -> tuple[list[Appointment], str | None]:
    """By their start."""
    equal = {"patient_id": patient_id, "doctor_id": doctor_id, "status": status}
    where: Where = [(name, "==", value) for name, value in equal.items() if value is not None]
    where = [*where, *within(start, end)]
    order: Order = [("start", "DESCENDING" if is_latest_first else "ASCENDING")]
    return await appointments.list_(where=where, order=order, page=page)


def within(start: datetime | None, end: datetime | None) -> Where:
    lower = [("start", ">=", start)] if start is not None else []
    upper = [("start", "<", end)] if end is not None else []
    return [*lower, *upper]


def put_change(batch: Batch, old: Appointment, fields: Mapping[str, Any]) -> None:
    batch.update(old.path, {**fields, "update_time": now()}, old.revision)


async def save(
    old: Appointment,
    changed: Appointment,
    changes: Mapping[str, Any],
    minutes_before: Sequence[int] | None,
    event: AuditEvent,
) -> str:
    """Change what is not its time; returns the revision. Raises `RecordChanged`.

    With `minutes_before`, reminders tell what it is now.
    """
    batch = Batch()
    put_change(batch, old, changes)
    if minutes_before is not None:
        reminders.put_plan(batch, changed, minutes_before)
    audit.add(batch, event)
    return (await batch.commit()).revisions[old.path]


async def save_status(
    old: Appointment,
    status: AppointmentStatus,
    moment: datetime,
    ended: AccessGrant | None,
    event: AuditEvent,
) -> str:
    """Change the status and what is counted by it. Raises `RecordChanged`."""
    batch = Batch()
    put_change(batch, old, {"status": status, "status_time": moment})
    metrics.count_status(batch, old, status)
    if ended is not None:
        put_visits_end(batch, ended)
    audit.add(batch, event)
    return (await batch.commit()).revisions[old.path]


async def without_visit(appointment: Appointment) -> AccessGrant | None:
    """The doctor's grant as it is once this appointment no longer counts; None if that changes nothing."""
    found, others = await asyncio.gather(
        access_grants.get(appointment.patient_id, appointment.doctor_id),
        appointments.find(
            where=[
                ("patient_id", "==", appointment.patient_id),
                ("doctor_id", "==", appointment.doctor_id),
            ],
            order=[("start", "DESCENDING")],
            limit=_LAST_VISITS,
        ),
    )
    if found is None or not found.visits_until:
        return None
    counted = (
        other.end
        for other in others
        if other.id != appointment.id
        and other.status not in (AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW)
    )
    last = max(counted, default=None)
    until = settings().retention.visit_access_end(last) if last else None
    visits_until = int(until.timestamp()) if until else 0
    if visits_until >= found.visits_until:
        return None
    changed = found.model_copy(update={"visits_until": visits_until})
    changed.stored_as(found.path, found.revision)
    return changed


def put_visits_end(batch: Batch, grant: AccessGrant) -> None:
    fields = {
        "visits_until": grant.visits_until,
        "end_time": grant.end(),
        "update_time": now(),
    }
    batch.update(grant.path, fields, grant.revision)
