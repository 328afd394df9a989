"""Accounts and sign-in: Firebase Auth, which Identity Platform runs.

Administration goes through the Admin SDK, in threads because it blocks;
sign-in, renewal and reset through Identity Platform's REST API, which the
SDK does not offer.
"""

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import jwt

from common import telemetry
from common.models import Role
from common.problems import (
    EmailTaken,
    IdentityUnavailable,
    Invalid,
    RefreshRefused,
    SecondFactorRequired,
    SignInRefused,
)
from common.settings import settings

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

_DEADLINE = 8.0


@dataclass(frozen=True, slots=True)
class Session:
    uid: str
    id_token: str
    refresh_token: str
    expires_in: int
    """Seconds for which the ID token is good."""
    auth_time: datetime


# ---------------------------------------------------------------- administration


async def create_account(email: str, password: str, display_name: str) -> str:
    """The new account's uid. Raises `EmailTaken`, `Invalid` (a password that policy refuses)."""

    def create(auth: Any) -> str:
        try:
            user = auth.create_user(email=email, password=password, display_name=display_name)
        except auth.EmailAlreadyExistsError:
            raise EmailTaken from None
        return str(user.uid)

    return await _administer(create)


async def set_role(uid: str, role: Role) -> None:
    """Put the role into the claims of the account's next tokens."""
    await _administer(lambda auth: auth.set_custom_user_claims(uid, {"role": role.value}))


async def revoke_sessions(uid: str) -> None:
    await _administer(lambda auth: auth.revoke_refresh_tokens(uid))


async def disable_account(uid: str) -> None:
    def disable(auth: Any) -> None:
        try:
            auth.update_user(uid, disabled=True)
            auth.revoke_refresh_tokens(uid)
        except auth.UserNotFoundError:
            pass  # what is gone can't sign in

    await _administer(disable)


async def delete_account(uid: str) -> None:
    await _administer(lambda auth: auth.delete_user(uid))


async def _administer(act: Callable[[Any], T]) -> T:
    return await asyncio.to_thread(_administered, act)


def _administered(act: Callable[[Any], T]) -> T:
    from firebase_admin import exceptions

    try:
        return act(admin_auth())
    except exceptions.InvalidArgumentError as error:
        if "PASSWORD" in str(error).upper():
            raise Invalid.field("/password", "This password is too weak") from None
        if "EMAIL" in str(error).upper():
            raise Invalid.field("/email", "This address can't have an account") from None
        raise
    except exceptions.FirebaseError as error:
        raise IdentityUnavailable from error


def admin_auth() -> Any:
    """The Admin SDK's `auth` module, ready for this project; it blocks."""
    with _preparing:
        return _admin_auth()


_preparing = Lock()
"""Calls come from threads, several at once as soon as an instance is there; the SDK must be prepared by one of them."""


@lru_cache
def _admin_auth() -> Any:
    # Imported here: it costs 340 ms, and most requests do not administer accounts.
    import firebase_admin
    from firebase_admin import auth

    options = {"projectId": settings().project_id, "httpTimeout": _DEADLINE}
    firebase_admin.initialize_app(options=options)
    return auth


# ---------------------------------------------------------------- sign-in


async def sign_in(email: str, password: str) -> Session:
    """Raises `SignInRefused`, for whatever reason but a second factor, and `IdentityUnavailable`."""
    answer = await _post(
        "identitytoolkit.googleapis.com/v1/accounts:signInWithPassword",
        {"email": email, "password": password, "returnSecureToken": True},
    )
    if reason := _reason(answer):
        if reason in _REFUSALS:
            raise SignInRefused
        raise IdentityUnavailable
    if "mfaPendingCredential" in answer:
        raise SecondFactorRequired
    return _session(answer["idToken"], answer["refreshToken"], answer["expiresIn"])


async def renew(refresh_token: str) -> Session:
    """Raises `RefreshRefused`, `IdentityUnavailable`."""
    answer = await _post(
        "securetoken.googleapis.com/v1/token",
        {"grant_type": "refresh_token", "refresh_token": refresh_token},
    )
    if reason := _reason(answer):
        raise RefreshRefused if reason in _REFUSALS else IdentityUnavailable
    return _session(answer["id_token"], answer["refresh_token"], answer["expires_in"])


async def send_password_reset(email: str) -> None:
    """Have a reset mail sent if there is such an account; nobody is told whether there is."""
    await _post(
        "identitytoolkit.googleapis.com/v1/accounts:sendOobCode",
        {"requestType": "PASSWORD_RESET", "email": email},
    )


async def is_reachable() -> bool:
    import httpx

    try:
        response = await _http().get(_url("identitytoolkit.googleapis.com/v1/projects"), timeout=2)
    except httpx.HTTPError:
        return False
    return response.status_code < 500


def _session(id_token: str, refresh_token: str, expires_in: str) -> Session:
    # It comes from the issuer over TLS, so its claims are read without another check.
    claims = jwt.decode(id_token, options={"verify_signature": False})
    auth_time = datetime.fromtimestamp(claims["auth_time"], UTC)
    return Session(claims["sub"], id_token, refresh_token, int(expires_in), auth_time)


_REFUSALS = {
    "EMAIL_NOT_FOUND",
    "INVALID_EMAIL",
    "INVALID_LOGIN_CREDENTIALS",
    "INVALID_PASSWORD",
    "INVALID_REFRESH_TOKEN",
    "MISSING_EMAIL",
    "MISSING_PASSWORD",
    "MISSING_REFRESH_TOKEN",
    "TOKEN_EXPIRED",
    "TOO_MANY_ATTEMPTS_TRY_LATER",  # only of accounts that exist, so it must not be told apart
    "USER_DISABLED",
    "USER_NOT_FOUND",
}


def _reason(answer: dict[str, Any]) -> str:
    """Identity Platform's code for a refusal (`INVALID_PASSWORD : more words`), or empty."""
    if "error" not in answer:
        return ""
    return str(answer["error"].get("message", "UNKNOWN")).split(" ")[0]


async def _post(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer, which has an `error` when Identity Platform refuses; tries a dead connection twice."""
    import httpx

    for attempt in (1, 2):
        try:
            with telemetry.span("identity"):
                response = await _http().post(_url(path), json=body)
        except httpx.HTTPError:
            if attempt == 2:
                raise IdentityUnavailable from None
            await asyncio.sleep(random.uniform(0.1, 0.3))
            continue
        if response.status_code >= 500:
            raise IdentityUnavailable
        try:
            answer = response.json()
        except ValueError:
            raise IdentityUnavailable from None
        if response.status_code == 200 or isinstance(answer.get("error"), dict):
            return dict(answer)
        raise IdentityUnavailable
    raise AssertionError("unreachable")


def _url(path: str) -> str:
    emulator = os.environ.get("FIREBASE_AUTH_EMULATOR_HOST")  # the SDKs' own convention
    base = f"http://{emulator}/" if emulator else "https://"
    return f"{base}{path}?key={settings().identity_api_key}"


@lru_cache
def _http() -> "httpx.AsyncClient":
    # Imported here: profiles are read and changed without it.
    import httpx

    return httpx.AsyncClient(timeout=_DEADLINE)
