"""Where users live in Firestore: `users`, `users/{uid}/devices`."""

from datetime import datetime
from typing import Any

from common import audit
from common.auth import users
from common.directory import unlist
from common.firestore import ANY_REVISION, Batch, Collection, now
from common.idempotency import Once
from common.models import AuditEvent, Device, Role, User
from common.pages import PageQuery

devices = Collection(Device, "users/{}/devices")

MOST_DEVICES = 20


async def get(uid: str) -> User | None:
    return await users.get(uid)


async def list_(
    role: Role | None, is_active: bool | None, email: str | None, page: PageQuery
) -> tuple[list[User], str | None]:
    """Newest first."""
    wanted = {"role": role and role.value, "is_active": is_active, "email": email}
    where = [(name, "==", value) for name, value in wanted.items() if value is not None]
    return await users.list_(where=where, order=[("create_time", "DESCENDING")], page=page)


async def add(uid: str, user: User, once: Once, answer: Any, event: AuditEvent) -> None:
    """Raises `AlreadyExists` when the account has a profile."""
    batch = Batch()
    batch.create(users.path(uid), user)
    once.remember(batch, 201, answer)
    audit.add(batch, event)
    await batch.commit()


async def update(
    uid: str, fields: dict[str, Any], event: AuditEvent, revision: str = ANY_REVISION
) -> None:
    """Raises `NotFound`, `RecordChanged`."""
    batch = Batch()
    batch.update(users.path(uid), {**fields, "update_time": now()}, revision)
    audit.add(batch, event)
    await batch.commit()


async def deactivate(
    user: User, moment: datetime, event: AuditEvent, revision: str = ANY_REVISION
) -> None:
    """The account ends and, if it was a doctor's, its place in the directory with it."""
    batch = Batch()
    ended = {"is_active": False, "tokens_valid_after": moment, "update_time": moment}
    batch.update(users.path(user.id), ended, revision)
    audit.add(batch, event)
    await unlist(batch, user.id, moment)
    await batch.commit()


async def change_role(
    user: User, role: Role, event: AuditEvent, revision: str = ANY_REVISION
) -> None:
    moment = now()
    batch = Batch()
    batch.update(users.path(user.id), {"role": role.value, "update_time": moment}, revision)
    audit.add(batch, event)
    if role is not Role.DOCTOR:
        await unlist(batch, user.id, moment)
    await batch.commit()


async def holders(token: str) -> list[str]:
    """Paths of the device documents, of whatever account, that hold this push token."""
    found = await devices.find(where=[("token", "==", token)], limit=50, everywhere=True)
    return [device.path for device in found]


async def count_devices(uid: str) -> int:
    return await devices.count(uid)


async def put_device(
    uid: str, device: Device, elsewhere: list[str], once: Once, answer: Any, event: AuditEvent
) -> None:
    """A phone that changed hands notifies its new owner only: its token leaves the others.

    Raises `AlreadyExists` when this account has the token.
    """
    batch = Batch()
    batch.create(devices.path(uid, device.token), device)
    for path in elsewhere:
        batch.delete(path)
    once.remember(batch, 201, answer, None)
    audit.add(batch, event)
    await batch.commit()


async def get_device(uid: str, token: str) -> Device | None:
    return await devices.get(uid, token)


async def delete_device(uid: str, token: str, event: AuditEvent) -> None:
    batch = Batch()
    batch.delete(devices.path(uid, token))
    audit.add(batch, event)
    await batch.commit()
