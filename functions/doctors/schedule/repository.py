"""Where schedules live in Firestore: in `doctors/{doctor_id}`."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from common import audit
from common.appointments import appointments, practices
from common.firestore import Batch, Where
from common.models import AuditEvent
from common.scheduling import Appointment, AppointmentStatus, Practice


async def get(doctor_id: str) -> Practice | None:
    return await practices.get(doctor_id)


async def save(practice: Practice, fields: Mapping[str, Any], event: AuditEvent) -> str:
    """Returns the new revision. Raises `RecordChanged`."""
    batch = Batch()
    path = practices.path(practice.id)
    batch.update(path, fields, practice.revision)
    audit.add(batch, event)
    return (await batch.commit()).revisions[path]


def booked_ahead(doctor_id: str, moment: datetime) -> AsyncIterator[Appointment]:
    where: Where = [
        ("doctor_id", "==", doctor_id),
        ("status", "==", AppointmentStatus.BOOKED),
        ("start", ">=", moment),
    ]
    return appointments.all_(where=where, order=[("start", "ASCENDING")])
