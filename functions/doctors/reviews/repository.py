"""Where reviews live in Firestore: `doctors/{doctor_id}/reviews`, and what they add up to, at the doctor."""

from typing import Any

from common import audit, metrics
from common.appointments import appointments, reviews
from common.directory import doctors
from common.firestore import Batch, plus
from common.idempotency import Once
from common.models import AuditEvent, Doctor
from common.pages import PageQuery
from common.problems import NotFound, RecordChanged
from common.scheduling import Appointment, Review


async def doctor(doctor_id: str) -> Doctor | None:
    return await doctors.get(doctor_id)


async def appointment(appointment_id: str) -> Appointment | None:
    return await appointments.get(appointment_id)


async def list_(doctor_id: str, page: PageQuery) -> tuple[list[Review], str | None]:
    """Newest first."""
    return await reviews.list_(doctor_id, order=[("create_time", "DESCENDING")], page=page)


async def add(
    visit: Appointment, review: Review, once: Once, answer: Any, event: AuditEvent
) -> None:
    """Raises `AlreadyExists` when the visit was reviewed, `NotFound` when the doctor is gone."""
    batch = Batch()
    path = doctors.path(visit.doctor_id)
    batch.create(reviews.path(visit.doctor_id, visit.id), review)
    batch.update(path, {"rating_count": plus(1), "rating_sum": plus(review.stars)})
    metrics.count_review(batch, visit.doctor_id, visit.time_zone, review.stars)
    once.remember(batch, 201, answer)
    audit.add(batch, event)
    await batch.commit()


async def rank(doctor: Doctor, rating_rank: float) -> None:
    """Set what the directory orders by; who reviews at the same time sets it after us."""
    batch = Batch()
    batch.update(doctors.path(doctor.id), {"rating_rank": rating_rank}, doctor.revision)
    try:
        await batch.commit()
    except (RecordChanged, NotFound):
        return
