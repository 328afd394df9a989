"""The use cases of calendars."""

import hashlib
import hmac
from datetime import timedelta
from secrets import token_urlsafe

from common import access, audit
from common.auth import Principal, accounts
from common.firestore import now
from common.models import AuditEvent, Role
from common.problems import Invalid, NotFound
from common.scheduling import CalendarFeed

from ..schemas import AppointmentSummary, Calendar
from . import repository
from .schemas import CalendarQuery, Feed, to_ics

_MOST = 1000
_LONGEST = timedelta(days=93)
_FEED_BACK = timedelta(days=30)
_FEED_AHEAD = timedelta(days=366)


async def get(caller: Principal, user_id: str, wish: CalendarQuery) -> Calendar:
    """One person's appointments. Raises `NotFound`, `Invalid`."""
    role = await _role_of(caller, user_id, "calendar.read")
    start = wish.from_ or now()
    end = wish.to or start + timedelta(days=31)
    if end <= start:
        raise Invalid.field("?to", "This is not after from")
    if end - start > _LONGEST:
        raise Invalid.field("?to", "93 days at most can be asked for at once")
    event = _event(caller, "calendar.read", user_id)
    found = await audit.reading(event, repository.between(user_id, role, start, end, _MOST))
    items = [AppointmentSummary.of(each) for each in found]
    return Calendar(user_id=user_id, start=start, end=end, items=items)


async def renew_feed(caller: Principal, user_id: str) -> Feed:
    """A new secret address; the one before ends at once. Raises `NotFound`."""
    await _role_of(caller, user_id, "calendar.renew-feed")
    secret = token_urlsafe(32)
    moment = now()
    feed = CalendarFeed(create_time=moment, update_time=moment, secret_digest=_digest(secret))
    await repository.put_feed(user_id, feed, _event(caller, "calendar.renew-feed", user_id))
    return Feed(url=f"/v1/appointments/calendar/{user_id}.ics?token={secret}")


async def feed(user_id: str, secret: str) -> bytes:
    """The calendar for who has its secret. Raises `NotFound`, whatever is wrong."""
    found = await repository.feed(user_id)
    if found is None or not hmac.compare_digest(found.secret_digest, _digest(secret)):
        raise NotFound
    accounts.forget(user_id)  # no token tells how fresh this is
    account = await accounts.get(user_id)
    if not account.is_active or account.role is None:
        raise NotFound
    reader = Principal(user_id, account.role)
    if account.role is Role.DOCTOR and not await access.practises(user_id):
        raise NotFound
    moment = now()
    event = audit.event(
        reader, "calendar.read", f"calendar_feeds/{user_id}", user_id, reason="calendar_feed"
    )
    start, end = moment - _FEED_BACK, moment + _FEED_AHEAD
    shown = repository.between(user_id, account.role, start, end, _MOST)
    return to_ics(await audit.reading(event, shown), account.role)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def _role_of(caller: Principal, user_id: str, action: str) -> Role:
    """Whose calendar it is: a doctor's of their practice, a patient's of their visits."""
    is_theirs = caller.uid == user_id
    if is_theirs and caller.role is Role.DOCTOR:
        is_theirs = await access.practises(user_id)
    if is_theirs:
        return caller.role
    account = await accounts.get(user_id) if caller.is_admin else None
    if account is None or account.role is None:
        path = f"calendar_feeds/{user_id}"
        raise await audit.refuse(caller, action, path, user_id, NotFound())
    return account.role


def _event(caller: Principal, action: str, user_id: str) -> AuditEvent:
    reason = "self" if caller.uid == user_id else "admin"
    return audit.event(caller, action, f"calendar_feeds/{user_id}", user_id, reason=reason)
