"""The use cases of reviews."""

from common import audit
from common.auth import Principal
from common.firestore import now
from common.idempotency import Once
from common.models import Role
from common.pages import PageQuery
from common.problems import AlreadyExists, Forbidden, NotFound, NotVisited, ReviewExists
from common.scheduling import AppointmentStatus, Review

from .. import policy
from ..schemas import FEWEST_RATINGS
from . import repository
from .schemas import ReviewCreate, ReviewOwn, ReviewPublic


async def list_(
    caller: Principal | None, doctor_id: str, page: PageQuery
) -> tuple[list[ReviewPublic], str | None]:
    """Newest first; none of a doctor who has fewer than three. Raises `NotFound`."""
    doctor = await repository.doctor(doctor_id)
    if doctor is None or not policy.can_read(caller, doctor):
        raise NotFound
    if doctor.rating_count < FEWEST_RATINGS:
        return [], None
    found, token = await repository.list_(doctor_id, page)
    return [ReviewPublic.of(review) for review in found], token


async def create(caller: Principal, doctor_id: str, wish: ReviewCreate, once: Once) -> ReviewOwn:
    """Review a visit that took place, once.

    Raises `Forbidden` for all but patients, `NotFound` for a visit that is not
    the caller's with this doctor, `NotVisited`, `ReviewExists`.
    """
    action, path = "reviews.create", f"doctors/{doctor_id}/reviews/{wish.appointment_id}"
    if caller.role is not Role.PATIENT:
        raise await audit.refuse(caller, action, path, None, Forbidden())
    visit = await repository.appointment(wish.appointment_id)
    if visit is None or (visit.patient_id, visit.doctor_id) != (caller.uid, doctor_id):
        subject = visit.patient_id if visit else None
        raise await audit.refuse(caller, action, path, subject, NotFound())
    if visit.status is not AppointmentStatus.FULFILLED:
        raise NotVisited
    moment = now()
    review = Review(
        create_time=moment,
        update_time=moment,
        patient_id=caller.uid,
        stars=wish.stars,
        comment=wish.comment,
    )
    answer = ReviewOwn(
        doctor_id=doctor_id,
        appointment_id=visit.id,
        stars=wish.stars,
        comment=wish.comment,
        create_time=moment,
    )
    event = audit.event(caller, action, path, caller.uid, reason="self")
    try:
        await repository.add(visit, review, once, answer, event)
    except AlreadyExists:
        await once.replay()
        raise ReviewExists from None
    await _rank(doctor_id)
    return answer


async def _rank(doctor_id: str) -> None:
    """Order the doctor by their average, once it is shown. The sums are exact; this follows them."""
    doctor = await repository.doctor(doctor_id)
    if doctor is not None and doctor.rating_count >= FEWEST_RATINGS:
        average = round(doctor.rating_sum / doctor.rating_count, 3)
        if average != doctor.rating_rank:
            await repository.rank(doctor, average)
