"""Where what is to be told lies: `reminders`, `messages`; and whom, and on which devices."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from common.appointments import appointments, waitlist
from common.auth import users
from common.clinical import Notification
from common.firestore import Batch, Collection, Where, now
from common.models import Device, User
from common.problems import AlreadyExists, NotFound, RecordChanged
from common.reminders import Message, ReminderPlan, messages, plans
from common.scheduling import Appointment, WaitlistEntry

R = TypeVar("R", ReminderPlan, Message)

_log = logging.getLogger("healthhub.reminders")

devices = Collection(Device, "users/{}/devices")
notifications = Collection(Notification, "users/{}/notifications")

_MOST_HOLDERS = 10


async def due_plans(moment: datetime, most: int) -> list[ReminderPlan]:
    return await _due(plans, moment, most)


async def due_messages(moment: datetime, most: int) -> list[Message]:
    return await _due(messages, moment, most)


async def _due(collection: Collection[R], moment: datetime, most: int) -> list[R]:
    """The longest due first. One that can't be read is told and passed over: others must not wait for it."""
    where: Where = [("next_time", "<=", moment)]
    due = collection.all_(
        where=where, order=[("next_time", "ASCENDING")], chunk=most, unreadable=_unreadable
    )
    found: list[R] = []
    async for each in due:
        found.append(each)
        if len(found) == most:
            break
    return found


def _unreadable(path: str) -> None:
    _log.error("a reminder can't be read", extra={"fields": {"path": path}})


async def claim(
    plan: ReminderPlan, made: Sequence[tuple[str, Message]], changes: dict[str, Any] | None
) -> bool:
    """Make these messages and move the plan on, or end it; False when somebody else did.

    A plan that was changed since it was read is not claimed: what it would
    tell may be void.
    """
    batch = Batch()
    for id, message in made:
        batch.create(messages.path(id), message)
    if changes is None:
        batch.delete(plan.path, revision=plan.revision)
    else:
        batch.update(plan.path, {**changes, "update_time": now()}, plan.revision)
    return await _first(batch)


async def lease(message: Message, until: datetime) -> bool:
    """Have the message to oneself for some time; False when somebody else has it."""
    batch = Batch()
    fields = {"next_time": until, "attempts": message.attempts + 1, "update_time": now()}
    batch.update(message.path, fields, message.revision)
    return await _first(batch)


async def _first(batch: Batch) -> bool:
    try:
        await batch.commit()
    except (AlreadyExists, NotFound, RecordChanged):
        return False
    return True


async def settle(message: Message, fields: dict[str, Any]) -> None:
    batch = Batch()
    batch.update(message.path, {**fields, "update_time": now()})
    await batch.commit()


async def user(uid: str) -> User | None:
    return await users.get(uid)


async def appointment(appointment_id: str) -> Appointment | None:
    return await appointments.get(appointment_id)


async def waitlist_entry(waitlist_id: str) -> WaitlistEntry | None:
    return await waitlist.get(waitlist_id)


async def devices_of(uid: str) -> list[Device]:
    """Those of this person's devices that nobody signed in on after them."""
    own = await devices.find(uid, limit=50)
    kept = []
    for device in own:
        where: Where = [("token", "==", device.token)]
        holders = await devices.find(where=where, limit=_MOST_HOLDERS, everywhere=True)
        newest = max(holders, key=lambda each: each.update_time, default=device)
        if newest.path == device.path:
            kept.append(device)
        else:
            await remove(device)
    return kept


async def remove(device: Device) -> None:
    batch = Batch()
    batch.delete(device.path)
    await batch.commit()


async def put_notification(uid: str, id: str, notification: Notification) -> None:
    """Again is no harm: it has the message's name."""
    batch = Batch()
    batch.create(notifications.path(uid, id), notification)
    await _first(batch)
