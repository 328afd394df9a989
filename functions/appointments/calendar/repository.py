"""Where calendars come from: `appointments`, and `calendar_feeds` for who may fetch one by its secret."""

from datetime import datetime

from common import audit
from common.appointments import appointments, feeds
from common.firestore import Batch, Where
from common.models import AuditEvent, Role
from common.scheduling import Appointment, CalendarFeed


async def between(
    user_id: str, role: Role, start: datetime, end: datetime, most: int
) -> list[Appointment]:
    party = "doctor_id" if role is Role.DOCTOR else "patient_id"
    where: Where = [(party, "==", user_id), ("start", ">=", start), ("start", "<", end)]
    return await appointments.find(where=where, order=[("start", "ASCENDING")], limit=most)


async def feed(user_id: str) -> CalendarFeed | None:
    return await feeds.get(user_id)


async def put_feed(user_id: str, made: CalendarFeed, event: AuditEvent) -> None:
    batch = Batch()
    batch.put(feeds.path(user_id), made)
    audit.add(batch, event)
    await batch.commit()
