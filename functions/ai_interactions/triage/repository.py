"""Doctors of a specialty whom a patient can book, with their next free slot."""

import asyncio

from common import slots
from common.appointments import practices
from common.directory import doctors, facet
from common.firestore import Order, Where, now
from common.models import Doctor, Specialty

from .schemas import BookableDoctor

_BY_RATING: Order = [("rating_rank", "DESCENDING"), ("name_key", "ASCENDING")]
_LOOKED_AT = 5


async def bookable(specialty: Specialty, most: int = 3) -> list[BookableDoctor]:
    """Whose next slot comes first; five are looked at, the best rated ones."""
    where: Where = [("facets", "array_contains", facet(specialty=specialty, accepting=True))]
    found = await doctors.find(where=where, order=_BY_RATING, limit=_LOOKED_AT)
    shown = await asyncio.gather(*(_with_slot(doctor) for doctor in found))
    return sorted(
        shown, key=lambda each: (each.next_free is None, each.next_free or now(), each.name)
    )[:most]


async def _with_slot(doctor: Doctor) -> BookableDoctor:
    practice = await practices.get(doctor.id)
    free = []
    if practice is not None:
        free = await slots.next_free(practice, now(), None, None, most=1)
    return BookableDoctor(
        doctor_id=doctor.id,
        name=doctor.name,
        city=doctor.location.city,
        next_free=free[0].start if free else None,
    )
