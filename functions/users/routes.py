"""Paths and schemas of the users service; each route calls one use case."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from common import limits
from common.auth import PROBLEMS, Admin, Caller
from common.idempotency import ByHand, FirstTime
from common.logs import request_context
from common.models import User
from common.pages import Page
from common.preconditions import revision_of
from common.problems import (
    Conflict,
    EmailTaken,
    IdempotencyInFlight,
    MalformedJson,
    NotFound,
    OwnRole,
    PageTokenInvalid,
    RecordChanged,
    RefreshRefused,
    SecondFactorRequired,
    SignInRefused,
    TooManyDevices,
    responses,
)
from common.schemas import ID_PATTERN, IF_MATCH

from . import service
from .schemas import (
    Credentials,
    DeviceCreate,
    DevicePublic,
    PasswordReset,
    Registration,
    Renewal,
    RoleChange,
    SignedIn,
    Tokens,
    UserFilter,
    UserPublic,
    UserUpdate,
)

router = APIRouter()

Uid = Annotated[str, Path(alias="user_id", pattern=ID_PATTERN)]
PushTokenPath = Annotated[
    str, Path(alias="token", max_length=1000, pattern=r"^[A-Za-z0-9][A-Za-z0-9_:\-]{15,999}$")
]
IfMatch = Annotated[str | None, Header(description=IF_MATCH)]


def _address() -> str:
    """The client's address, with this request counted for it: nobody is known yet on these routes."""
    context = request_context.get()
    address = context.address if context else ""
    limits.throttle(f"address:{address}")
    return address


def _profile(response: Response, user: User) -> UserPublic:
    response.headers["ETag"] = user.etag
    return UserPublic.of(user)


# ---------------------------------------------------------------- sign-in


@router.post(
    "/register",
    status_code=201,
    tags=["sign-in"],
    responses=responses(MalformedJson, EmailTaken, IdempotencyInFlight),
)
async def register(wish: Registration, once: ByHand, response: Response) -> SignedIn:
    """Make an account and sign in. A doctor's profile is listed once an administrator has verified it."""
    signed_in = await service.register(wish, _address(), once)
    response.headers["Location"] = f"/v1/users/{signed_in.user.user_id}"
    return signed_in


@router.post(
    "/login",
    tags=["sign-in"],
    responses=responses(MalformedJson, SignInRefused, SecondFactorRequired),
)
async def sign_in(wish: Credentials) -> SignedIn:
    """Sign in. Repeated failures are slowed down, then refused for up to 15 minutes."""
    return await service.sign_in(wish, _address())


@router.post("/refresh-token", tags=["sign-in"], responses=responses(MalformedJson, RefreshRefused))
async def renew(wish: Renewal) -> Tokens:
    """New tokens for a session that goes on."""
    _address()
    return await service.renew(wish.refresh_token)


@router.post("/logout", status_code=204, tags=["sign-in"], responses=responses(*PROBLEMS))
async def sign_out(caller: Caller) -> None:
    """End every session of this account, on all devices, within 30 seconds."""
    await service.sign_out(caller)


@router.post(
    "/password-reset",
    status_code=202,
    response_class=Response,
    tags=["sign-in"],
    responses=responses(MalformedJson),
)
async def reset_password(wish: PasswordReset) -> Response:
    """Have a reset link mailed, if the address has an account; the answer never tells."""
    await service.reset_password(wish.email, _address())
    return Response(status_code=202)


# ---------------------------------------------------------------- profiles


@router.get("/users", tags=["users"], responses=responses(*PROBLEMS, PageTokenInvalid))
async def list_users(admin: Admin, wish: Annotated[UserFilter, Query()]) -> Page[UserPublic]:
    """All accounts, newest first."""
    users, next_page_token = await service.list_(admin, wish)
    return Page(items=[UserPublic.of(user) for user in users], next_page_token=next_page_token)


@router.get("/users/me", tags=["users"], responses=responses(*PROBLEMS))
async def get_own_user(caller: Caller, response: Response) -> UserPublic:
    return _profile(response, await service.get(caller, caller.uid))


@router.get("/users/{user_id}", tags=["users"], responses=responses(*PROBLEMS, NotFound))
async def get_user(caller: Caller, uid: Uid, response: Response) -> UserPublic:
    return _profile(response, await service.get(caller, uid))


@router.put(
    "/users/{user_id}",
    tags=["users"],
    responses=responses(*PROBLEMS, MalformedJson, NotFound, RecordChanged),
)
async def update_user(
    caller: Caller, uid: Uid, wish: UserUpdate, response: Response, if_match: IfMatch = None
) -> UserPublic:
    """Change name, phone, language, time zone or reminders; fields left out stay as they are."""
    return _profile(response, await service.update(caller, uid, wish, revision_of(if_match)))


@router.delete(
    "/users/{user_id}",
    status_code=204,
    tags=["users"],
    responses=responses(*PROBLEMS, NotFound, RecordChanged),
)
async def delete_user(caller: Caller, uid: Uid, if_match: IfMatch = None) -> None:
    """Close the account: no sign-in, no session. Clinical records stay for their retention."""
    await service.deactivate(caller, uid, revision_of(if_match))


@router.put(
    "/users/{user_id}/role",
    tags=["users"],
    responses=responses(*PROBLEMS, MalformedJson, NotFound, OwnRole, RecordChanged),
)
async def change_role(
    admin: Admin, uid: Uid, wish: RoleChange, response: Response, if_match: IfMatch = None
) -> UserPublic:
    """Takes effect everywhere within 30 seconds."""
    changed = await service.change_role(admin, uid, wish, revision_of(if_match))
    return _profile(response, changed)


# ---------------------------------------------------------------- devices


@router.post(
    "/users/me/devices",
    status_code=201,
    tags=["users"],
    responses=responses(*PROBLEMS, MalformedJson, TooManyDevices, Conflict),
)
async def add_device(caller: Caller, wish: DeviceCreate, once: FirstTime) -> DevicePublic:
    """Send notifications to this device; a token that another account had leaves that account."""
    device = await service.add_device(caller, wish, once)
    return DevicePublic.model_validate(device.model_dump())


@router.delete(
    "/users/me/devices/{token}", status_code=204, tags=["users"], responses=responses(*PROBLEMS)
)
async def remove_device(caller: Caller, token: PushTokenPath) -> None:
    await service.remove_device(caller, token)
