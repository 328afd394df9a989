"""The use case of reminders: what is due becomes a message, and each message goes out once.

Two steps, each made by whoever gets there first. A plan that is due is turned
into messages by creating their names, with the plan as it was read: a
cancelled appointment's plan is gone or changed, so nothing of it is sent. A
message is leased before it is sent. If the instance dies in between, another
sends it again after the lease, under the same id, which devices and mailboxes
recognise.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from common import mail, push
from common.clinical import Notification, NotificationKind
from common.firestore import now
from common.mail import Mail
from common.models import ReminderChannel, User
from common.outside import Failed, Refused
from common.push import Push, Unregistered
from common.reminders import Message, ReminderPlan, message_of, next_time
from common.scheduling import AppointmentStatus

from . import repository
from .schemas import Words, words_for

T = TypeVar("T")

_AT_ONCE = 300
_IN_PARALLEL = 20
_SECONDS = 420.0
"""After which nothing more is begun: the function may run for 540 seconds."""

_LEASE = timedelta(seconds=120)
_MOST_ATTEMPTS = 8
_FIRST_RETRY = timedelta(seconds=60)

_log = logging.getLogger("healthhub.reminders")


async def send() -> None:
    """Raises what the last failing message raised, once every other was tried."""
    ends = time.monotonic() + _SECONDS
    await _in_turns(repository.due_plans, _make_messages, ends)
    await _in_turns(repository.due_messages, _deliver, ends)


async def _in_turns(
    due: Callable[[datetime, int], Awaitable[Sequence[T]]],
    work: Callable[[T], Awaitable[None]],
    ends: float,
) -> None:
    """Until nothing is due, or time is up: then the next firing goes on."""
    gate = asyncio.Semaphore(_IN_PARALLEL)
    failures: list[BaseException] = []

    async def one(each: T) -> None:
        async with gate:
            await work(each)

    while time.monotonic() < ends:
        found = await due(now(), _AT_ONCE)
        done = await asyncio.gather(*map(one, found), return_exceptions=True)
        failed = [each for each in done if isinstance(each, BaseException)]
        failures += failed
        if len(found) < _AT_ONCE or len(failed) == len(found):
            break
    if failures:
        _log.error("some reminders failed", extra={"fields": {"count": len(failures)}})
        raise failures[-1]


# ---------------------------------------------------------------- what is due


async def _make_messages(plan: ReminderPlan) -> None:
    moment = now()
    due = [m for m in plan.minutes_before if plan.start - timedelta(minutes=m) <= moment]
    ahead = [m for m in plan.minutes_before if m not in due]
    made: list[tuple[str, Message]] = []
    if plan.news is not None:
        message = message_of(plan, plan.id, plan.news, moment)
        made.append((f"{plan.id}-{plan.version}-{plan.news}", message))
    if due and moment < plan.start:
        # The nearest of those that are due: after an outage, one reminder is enough.
        message = message_of(plan, plan.id, NotificationKind.REMINDER, moment)
        made.append((f"{plan.id}-{plan.version}-{min(due)}", message))
    changes = None
    if ahead:
        upcoming = next_time(plan.start, ahead, None, moment)
        changes = {"minutes_before": ahead, "news": None, "next_time": upcoming}
    await repository.claim(plan, made, changes)


# ---------------------------------------------------------------- telling it


async def _deliver(message: Message) -> None:
    moment = now()
    if not await repository.lease(message, moment + _LEASE):
        return
    attempts = message.attempts + 1
    user = await repository.user(message.uid)
    if user is None or not user.is_active or moment >= message.until or await _is_void(message):
        await repository.settle(message, {"next_time": None})
        return
    wanted = [c for c in user.reminders.channels if c not in (*message.sent, *message.failed)]
    words = words_for(user, message)
    outcomes = await asyncio.gather(*(_on(channel, user, message, words) for channel in wanted))
    by_channel = dict(zip(wanted, outcomes, strict=True))
    fields = {
        "sent": [*message.sent, *(c for c, outcome in by_channel.items() if outcome is True)],
        "failed": [*message.failed, *(c for c, outcome in by_channel.items() if outcome is False)],
        "reached": message.reached,
        "next_time": _retry_time(message, attempts) if None in outcomes else None,
    }
    await repository.settle(message, fields)


def _retry_time(message: Message, attempts: int) -> datetime | None:
    """Later each time; None once it is given up."""
    again: datetime = now() + _FIRST_RETRY * 2 ** (attempts - 1)
    if attempts < _MOST_ATTEMPTS and again < message.until:
        return again
    fields = {"message": message.id, "kind": message.kind}
    _log.error("a message was given up", extra={"fields": fields})
    return None


async def _is_void(message: Message) -> bool:
    """Whether what it tells is no longer so: asked last, because a message may wait for a retry."""
    if message.waitlist_id is not None:
        entry = await repository.waitlist_entry(message.waitlist_id)
        return entry is None or entry.offer is None or entry.offer.start != message.start
    appointment = await repository.appointment(message.appointment_id or "")
    if appointment is None or appointment.version != message.version:
        return True
    if message.kind is NotificationKind.CANCELLED:
        return False
    return appointment.status is not AppointmentStatus.BOOKED


async def _on(channel: ReminderChannel, user: User, message: Message, words: Words) -> bool | None:
    """Whether it went out; None if it may at another time."""
    try:
        match channel:
            case ReminderChannel.IN_APP:
                await repository.put_notification(
                    user.id, message.id, _notification(message, words)
                )
            case ReminderChannel.PUSH:
                await _push(user, message, words)
            case ReminderChannel.EMAIL:
                if not mail.is_configured():
                    return False
                text = f"{words.text}\n\n{words.footer}\n"
                await mail.send(Mail(message.id, user.email, words.title, text, words.language))
    except Refused:
        return False
    except Failed:
        return None
    return True


async def _push(user: User, message: Message, words: Words) -> None:
    """To each device that it has not reached. Raises `Failed` if one may take it later."""
    data = {"kind": message.kind.value, "start": message.start.isoformat()}
    if message.appointment_id is not None:
        data["appointment_id"] = message.appointment_id
    if message.waitlist_id is not None:
        data["waitlist_id"] = message.waitlist_id
    sent = Push(message.id, words.title, words.text, data)
    later: list[Failed] = []
    for device in await repository.devices_of(user.id):
        name = hashlib.sha256(device.token.encode()).hexdigest()[:16]
        if name in message.reached:
            continue
        try:
            await push.send(device.token, sent)
        except Unregistered:
            await repository.remove(device)
        except Refused:
            continue
        except Failed as error:
            later.append(error)
        else:
            message.reached.append(name)
    if later:
        raise later[-1]


def _notification(message: Message, words: Words) -> Notification:
    moment = now()
    return Notification(
        create_time=moment,
        update_time=moment,
        kind=message.kind,
        patient_id=message.uid,
        actor_uid=None,
        title=words.title,
        text=words.text,
        appointment_id=message.appointment_id,
        waitlist_id=message.waitlist_id,
    )
