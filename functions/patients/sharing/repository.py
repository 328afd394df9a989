"""Where access lies in Firestore: `patients/{patient_id}/access_grants`, `…/break_glass`; the events."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any

from common import audit
from common.access import access_grants, repeated
from common.auth import users
from common.clinical import AccessGrant, BreakGlass, Notification, Patient
from common.crypto import Vault
from common.directory import doctors
from common.firestore import Batch, Collection
from common.idempotency import Once
from common.models import AuditEvent, Doctor, Role
from common.pages import PageQuery
from common.patients import break_glass

from .schemas import EmergencyAccess

notifications = Collection(Notification, "users/{}/notifications")


async def doctor(doctor_id: str) -> Doctor | None:
    return await doctors.get(doctor_id)


async def grant(patient_id: str, doctor_id: str) -> AccessGrant | None:
    return await access_grants.get(patient_id, doctor_id)


async def care_team(patient_id: str, most: int) -> list[AccessGrant]:
    return await access_grants.find(patient_id, limit=most)


def put_grant(batch: Batch, patient: Patient, old: AccessGrant | None, new: AccessGrant) -> None:
    """Add or change a grant.

    The commit insists on the patient as read: what a grant repeats of the
    patient must not be from before a change that did not see the grant.
    """
    if old is None:
        batch.create(access_grants.path(new.patient_id, new.doctor_id), new)
    else:
        batch.update(old.path, {**dict(new), **repeated(patient)}, old.revision)
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)


async def save_grant(
    patient: Patient, old: AccessGrant | None, new: AccessGrant, event: AuditEvent
) -> None:
    """Raises `RecordChanged`, `AlreadyExists` when patient or grant is not as it was read."""
    batch = Batch()
    put_grant(batch, patient, old, new)
    audit.add(batch, event)
    await batch.commit()


async def open_in_emergency(
    patient: Patient,
    old: AccessGrant | None,
    new: AccessGrant,
    emergency: BreakGlass,
    told: Mapping[str, Notification],
    once: Once,
    answer: EmergencyAccess,
    event: AuditEvent,
) -> None:
    """Grant, reason, audit event and every notification in one batch: it can't happen unannounced."""
    batch = Batch()
    put_grant(batch, patient, old, new)
    batch.create(emergency.path, emergency)
    for uid, notification in told.items():
        batch.create(notifications.path(uid, token_hex(12)), notification)
    once.remember(batch, 201, answer)
    audit.add(batch, event)
    await batch.commit()


async def administrators(most: int) -> list[str]:
    where = [("role", "==", Role.ADMIN), ("is_active", "==", True)]
    return [user.id for user in await users.find(where=where, limit=most)]


async def has_account(uid: str) -> bool:
    return await users.get(uid) is not None


async def events_of(patient_id: str, page: PageQuery) -> tuple[list[AuditEvent], str | None]:
    """Newest first."""
    return await audit.audit_events.list_(
        where=[("subject_uid", "==", patient_id)],
        order=[("create_time", "DESCENDING")],
        page=page,
    )


async def names(uids: Sequence[str]) -> dict[str, str]:
    """What these people are called, those who have an account."""
    found = await asyncio.gather(*(users.get(uid) for uid in uids))
    return {user.id: user.display_name for user in found if user is not None}


async def reasons(patient_id: str, paths: Sequence[str], vault: Vault) -> dict[str, str]:
    """The reasons given for these emergency accesses, by path."""
    ids = [path.rsplit("/", 1)[-1] for path in paths]
    found = await asyncio.gather(*(break_glass.get(patient_id, id) for id in ids))
    return {
        each.path: str(vault.open(each.path, "reason", each.sealed["reason"]))
        for each in found
        if each is not None
    }


def new_emergency(patient_id: str, doctor_id: str, moment: datetime, end: datetime) -> Any:
    emergency = BreakGlass(
        create_time=moment, update_time=moment, doctor_id=doctor_id, end_time=end, sealed={}
    )
    emergency.stored_as(break_glass.path(patient_id, token_hex(12)), "")
    return emergency
