"""Where doctors live in Firestore: `doctors`."""

from typing import Any

from common import audit
from common.appointments import appointments
from common.auth import users
from common.directory import directory_keys, doctors, facet, name_facet
from common.firestore import Batch, Where, now
from common.idempotency import Once
from common.models import AuditEvent, Doctor, Role, Specialty
from common.pages import PageQuery
from common.scheduling import AppointmentStatus

_MOST_ROUNDS = 5


async def get(doctor_id: str) -> Doctor | None:
    return await doctors.get(doctor_id)


async def is_doctors_account(uid: str) -> bool:
    user = await users.get(uid)
    return user is not None and user.is_active and user.role is Role.DOCTOR


async def search(
    specialty: Specialty | None,
    city: str | None,
    language: str | None,
    accepting: bool | None,
    name: str | None,
    by_rating: bool,
    page: PageQuery,
) -> tuple[list[Doctor], str | None]:
    """A page of the directory, and the token of the next.

    Without a name the index answers exactly. With one it answers the name, and
    the filters are applied to what it finds; such a page may be short.
    """
    wanted = facet(specialty, city, language, accepting)
    key = name_facet(name) if name is not None else wanted
    order: list[Any] = [("name_key", "ASCENDING")]
    if by_rating:
        order.insert(0, ("rating_rank", "DESCENDING"))
    for _ in range(_MOST_ROUNDS):
        found, token = await doctors.list_(
            where=[("facets", "array_contains", key)], order=order, page=page, besides=wanted
        )
        matching = [doctor for doctor in found if wanted in doctor.facets]
        if matching or token is None:
            return matching, token
        page = page.model_copy(update={"page_token": token})
    return [], token


async def count_listed(specialty: Specialty) -> int:
    return await doctors.count(where=[("facets", "array_contains", facet(specialty))])


async def count_booked_ahead(doctor_id: str) -> int:
    where: Where = [
        ("doctor_id", "==", doctor_id),
        ("status", "==", AppointmentStatus.BOOKED),
        ("start", ">=", now()),
    ]
    return await appointments.count(where=where)


async def add(uid: str, doctor: Doctor, once: Once, answer: Any, event: AuditEvent) -> None:
    """Raises `AlreadyExists` when the account has a profile."""
    batch = Batch()
    batch.create(doctors.path(uid), doctor)
    once.remember(batch, 201, answer, f"/v1/doctors/{uid}")
    audit.add(batch, event)
    await batch.commit()


async def return_(
    removed: Doctor, doctor: Doctor, once: Once, answer: Any, event: AuditEvent
) -> str:
    """Put a profile where a removed one was; returns its revision.

    Raises `RecordChanged`, and `AlreadyExists` when the key was used meanwhile.
    """
    batch = Batch()
    path = doctors.path(removed.id)
    batch.update(path, dict(doctor), removed.revision)
    once.remember(batch, 201, answer, f"/v1/doctors/{removed.id}")
    audit.add(batch, event)
    return (await batch.commit()).revisions[path]


async def replace(doctor: Doctor, fields: dict[str, Any], event: AuditEvent) -> Doctor:
    """The doctor with these fields and what the directory derives from them.

    The derived fields rest on the record as it was read, so the write insists
    on that revision. Raises `NotFound`, `RecordChanged`.
    """
    changed = doctor.model_copy(update={**fields, "update_time": now()})
    batch = Batch()
    path = doctors.path(doctor.id)
    derived = directory_keys(changed)
    batch.update(path, {**fields, "update_time": changed.update_time, **derived}, doctor.revision)
    audit.add(batch, event)
    changed.stored_as(doctor.id, (await batch.commit()).revisions[path])
    return changed
