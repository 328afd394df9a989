"""From a bearer token to the person who is asking.

The token says who; `users/{uid}` says what they may be: role, status, and
from when on their sessions count. It is kept for 30 seconds per instance, so
a demotion, a deactivation or a sign-out bites everywhere within that time.
Halfway through, a request that finds the entry renews it behind its answer:
people in mid-use do not wait for it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from common import limits
from common.firestore import Collection
from common.logs import request_context
from common.models import Outcome, Role, User
from common.problems import (
    AccountDisabled,
    Forbidden,
    Problem,
    ProfileMissing,
    TokenRevoked,
    Unauthenticated,
)
from common.recent import Recent
from common.tokens import Claims, verifier

ACCOUNT_MAX_AGE = 30.0
_RENEW_AFTER = 15.0

users = Collection(User, "users")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, as far as policies need to know."""

    uid: str
    role: Role

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class Account:
    """What `users/{uid}` said of a person."""

    role: Role | None
    is_active: bool
    tokens_valid_after: datetime | None
    minutes_before: tuple[int, ...] = ()
    """An appointment when to be reminded of it."""


async def _account(uid: str) -> Account:
    user = await users.get(uid)
    if user is None:
        return Account(None, True, None)
    minutes_before = tuple(user.reminders.minutes_before)
    return Account(user.role, user.is_active, user.tokens_valid_after, minutes_before)


accounts = Recent(
    _account,
    max_age=ACCOUNT_MAX_AGE,
    renew_after=_RENEW_AFTER,
    keep=lambda account: account.role is not None,  # who registers now, counts now
)
"""The accounts that this instance has seen within 30 seconds."""

_bearer = HTTPBearer(
    auto_error=False, scheme_name="firebase", bearerFormat="JWT", description="Firebase ID token"
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def possible_caller(request: Request, credentials: _Credentials) -> Principal | None:
    """Who is asking, or None when no token was sent; a token that is sent must be good.

    Raises `TokenInvalid`, `TokenExpired`, `TokenRevoked`, `AccountDisabled`,
    `ProfileMissing`, `TooManyRequests`.
    """
    context = request_context.get()
    if credentials is None:
        if request.headers.get("authorization"):
            raise Unauthenticated
        limits.throttle(f"address:{context.address if context else ''}")
        return None
    try:
        claims = await verifier().verify(credentials.credentials)
    except Unauthenticated:
        limits.throttle(f"address:{context.address if context else ''}")
        raise
    if context:
        context.actor_uid = claims.uid
    limits.throttle(f"person:{claims.uid}")
    return principal(claims, await accounts.get(claims.uid))


def principal(claims: Claims, account: Account) -> Principal:
    if not account.is_active:
        raise AccountDisabled
    if is_revoked(claims.auth_time, account.tokens_valid_after):
        raise TokenRevoked
    if account.role is None:
        raise ProfileMissing
    return Principal(claims.uid, account.role)


def is_revoked(auth_time: datetime, tokens_valid_after: datetime | None) -> bool:
    """Whether a sign-in at `auth_time` is void.

    A token tells its sign-in to the second, so one in the very second of the
    sign-out counts as before it: a void session must never look valid.
    """
    return tokens_valid_after is not None and auth_time <= tokens_valid_after.replace(microsecond=0)


PossibleCaller = Annotated[Principal | None, Depends(possible_caller)]


async def caller(someone: PossibleCaller) -> Principal:
    if someone is None:
        raise Unauthenticated
    return someone


Caller = Annotated[Principal, Depends(caller)]


def _with_role(*roles: Role) -> object:
    async def check(request: Request, someone: Caller) -> Principal:
        if someone.role not in roles:
            raise await _refused(request, someone)
        return someone

    return Depends(check)


async def _refused(request: Request, someone: Principal) -> Problem:
    """Record that a role did not do for a route, with whose data it was about."""
    from common import audit  # it builds on this module

    route = request.scope["route"]
    subject = request.path_params.get("user_id") or request.path_params.get("doctor_id")
    event = audit.event(
        someone,
        "role.refuse",
        route.path.lstrip("/"),
        subject,
        Outcome.REFUSED,
        Forbidden.slug(),
        detail=f"{request.method} {route.path}",
    )
    await audit.record(event)
    return Forbidden()


Admin = Annotated[Principal, _with_role(Role.ADMIN)]
Clinician = Annotated[Principal, _with_role(Role.DOCTOR, Role.ADMIN)]

PROBLEMS: tuple[type[Problem], ...] = (Unauthenticated, Forbidden)
"""What any route with a caller can answer, for its OpenAPI document."""
