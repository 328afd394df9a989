"""The use cases of the directory and of doctors' profiles."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from common import audit
from common.auth import Principal
from common.directory import directory_keys
from common.firestore import ANY_REVISION, now
from common.idempotency import Once
from common.models import AuditEvent, Doctor, Specialty
from common.preconditions import applied
from common.problems import (
    AlreadyExists,
    DoctorExists,
    DoctorHasAppointments,
    Forbidden,
    Invalid,
    NotFound,
    RecordChanged,
)

from . import policy, repository
from .schemas import (
    BySpecialtyQuery,
    DirectorySort,
    DoctorCreate,
    DoctorOwn,
    DoctorPublic,
    DoctorUpdate,
    Specialization,
    Verification,
)


async def search(
    wish: BySpecialtyQuery, specialty: Specialty | None
) -> tuple[list[Doctor], str | None]:
    by_rating = wish.sort is DirectorySort.RATING
    return await repository.search(
        specialty, wish.city, wish.language, wish.accepting_patients, wish.q, by_rating, wish
    )


class Specializations:
    """Every specialty and how many listed doctors it has, counted at most once a minute."""

    def __init__(self) -> None:
        self._counted_at = -1e9
        self._found: list[Specialization] = []
        self._lock = asyncio.Lock()

    async def all(self) -> list[Specialization]:
        async with self._lock:
            if time.monotonic() - self._counted_at > 60:
                counts = await asyncio.gather(*map(repository.count_listed, Specialty))
                found = [
                    Specialization(code=code, name=code.display, doctor_count=count)
                    for code, count in zip(Specialty, counts, strict=True)
                ]
                self._found = sorted(found, key=lambda item: item.name)
                self._counted_at = time.monotonic()
        return self._found


specializations = Specializations()


async def get(caller: Principal | None, doctor_id: str) -> Doctor:
    """Raises `NotFound`, also for a doctor whom the caller may not know of."""
    doctor = await repository.get(doctor_id)
    if doctor is None or not policy.can_read(caller, doctor):
        raise NotFound
    return doctor


def shown(caller: Principal | None, doctor: Doctor) -> DoctorPublic:
    """The profile as this caller may see it."""
    if policy.can_read_whole(caller, doctor):
        return DoctorOwn.of(doctor)
    return DoctorPublic.of(doctor)


async def create(caller: Principal, wish: DoctorCreate, once: Once) -> Doctor:
    """One profile per account: it is named after the account, so a second can't be created.

    Raises `Forbidden`, `Invalid` (an administrator named no doctor's account),
    `DoctorExists`.
    """
    if caller.is_admin and wish.user_id is None:
        raise Invalid.field("/user_id", "Name the account that this profile is for")
    uid = wish.user_id or caller.uid
    if not policy.can_create(caller, wish.user_id):
        path = f"doctors/{uid}"
        raise await audit.refuse(caller, "doctors.create", path, uid, Forbidden())
    if caller.is_admin and not await repository.is_doctors_account(uid):
        raise Invalid.field("/user_id", "Not the account of an active doctor")
    moment = now()
    fields = wish.model_dump(exclude={"user_id"})
    doctor = Doctor(create_time=moment, update_time=moment, **fields)
    doctor = doctor.model_copy(update=directory_keys(doctor))
    doctor.stored_as(uid, "")
    event = audit.event(caller, "doctors.create", f"doctors/{uid}", uid)
    try:
        await repository.add(uid, doctor, once, DoctorOwn.of(doctor), event)
    except AlreadyExists:
        await once.replay()
        removed = await repository.get(uid)
        if removed is None or removed.is_active:
            raise DoctorExists from None
        return await _return(removed, doctor, once, event)
    return doctor


async def _return(removed: Doctor, doctor: Doctor, once: Once, event: AuditEvent) -> Doctor:
    """Put a profile where a removed one was: its age and its ratings stay."""
    kept = ("create_time", "rating_sum", "rating_count", "rating_rank")
    doctor = doctor.model_copy(update={name: getattr(removed, name) for name in kept})
    doctor.stored_as(removed.path, "")
    try:
        revision = await repository.return_(removed, doctor, once, DoctorOwn.of(doctor), event)
    except (AlreadyExists, RecordChanged):
        await once.replay()
        raise DoctorExists from None
    doctor.stored_as(removed.path, revision)
    return doctor


_VERIFIED = ("name", "specialties", "qualifications")
"""What an administrator compared with the licence."""


async def update(
    caller: Principal, doctor_id: str, wish: DoctorUpdate, revision: str = ANY_REVISION
) -> Doctor:
    """Who changes what was verified of them must be verified anew."""
    fields = {name: getattr(wish, name) for name in wish.model_fields_set}

    def changes(doctor: Doctor) -> dict[str, Any]:
        is_other = any(fields.get(name, old := getattr(doctor, name)) != old for name in _VERIFIED)
        if caller.is_admin or not is_other:
            return fields
        return {**fields, "is_verified": False, "verification_note": None}

    return await _change(caller, doctor_id, changes, "doctors.update", revision)


async def remove(caller: Principal, doctor_id: str, revision: str = ANY_REVISION) -> None:
    """Out of the directory; the record stays, because appointments and reviews refer to it.

    Again is no harm. Raises `DoctorHasAppointments` while booked ones lie ahead.
    """
    doctor = await get(caller, doctor_id)
    if policy.can_read_whole(caller, doctor):
        if not doctor.is_active:
            return
        if count := await repository.count_booked_ahead(doctor_id):
            raise DoctorHasAppointments(members={"count": count})
    await _change(
        caller, doctor_id, lambda doctor: {"is_active": False}, "doctors.remove", revision
    )


async def verify(
    admin: Principal, doctor_id: str, wish: Verification, revision: str = ANY_REVISION
) -> Doctor:
    """Only a verified doctor is listed; taking verification back takes effect at once."""
    fields = {"is_verified": wish.is_verified, "verification_note": wish.note}
    return await _change(admin, doctor_id, lambda doctor: fields, "doctors.verify", revision)


async def _change(
    caller: Principal,
    doctor_id: str,
    changes: Callable[[Doctor], dict[str, Any]],
    action: str,
    revision: str,
) -> Doctor:
    """Apply a change to the record as it is now. Raises `RecordChanged` if it is not `revision`."""

    async def change() -> Doctor:
        doctor = await get(caller, doctor_id)
        if not policy.can_update(caller, doctor):
            path = f"doctors/{doctor_id}"
            raise await audit.refuse(caller, action, path, doctor_id, Forbidden())
        if revision not in (ANY_REVISION, doctor.revision):
            raise RecordChanged
        event = audit.event(caller, action, f"doctors/{doctor_id}", doctor_id)
        return await repository.replace(doctor, changes(doctor), event)

    return await applied(change, revision)
