"""The use cases of accounts and profiles."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager

from common import audit, identity, limits
from common.auth import Principal, accounts, is_revoked
from common.firestore import ANY_REVISION, now
from common.idempotency import Once
from common.models import AuditEvent, Device, Role, User
from common.problems import (
    AlreadyExists,
    EmailTaken,
    NotFound,
    OwnRole,
    ProfileMissing,
    RecordChanged,
    RefreshRefused,
    SignInRefused,
    TooManyDevices,
    Unavailable,
)

from . import policy, repository
from .schemas import (
    Credentials,
    DeviceCreate,
    DevicePublic,
    Registration,
    RoleChange,
    SignedIn,
    Tokens,
    UserFilter,
    UserPublic,
    UserUpdate,
)

# ---------------------------------------------------------------- accounts


async def register(wish: Registration, address: str, once: Once) -> SignedIn:
    """Make an account, its role and its profile, and sign the person in.

    These live in two systems that share no transaction. If the profile can't
    be stored the account is taken back; if even that fails, or the process
    dies, registering again with the same password completes what is there.
    """
    await limits.spend((limits.REGISTER_ADDRESS, address))
    if await once.reserve() is not None:  # done before; tokens are not stored, so it signs in anew
        return await _signed_in(wish.email, wish.password.get_secret_value())
    try:
        uid, is_new = await _account_for(wish, address)
        try:
            await _complete(uid, wish, once)
        except AlreadyExists:
            raise EmailTaken from None
        except BaseException:
            if is_new:
                await asyncio.shield(_take_back(uid))
            raise
    except BaseException:
        await asyncio.shield(once.release())
        raise
    return await _signed_in(wish.email, wish.password.get_secret_value())


async def _account_for(wish: Registration, address: str) -> tuple[str, bool]:
    """The account's uid, and whether it was made just now.

    An address that is taken may be a registration that broke off: whoever
    knows its password may complete it. Anybody else learns only that it is taken.
    """
    password = wish.password.get_secret_value()
    try:
        return await identity.create_account(wish.email, password, wish.display_name), True
    except EmailTaken:
        try:
            async with _counted(wish.email, address):
                session = await identity.sign_in(wish.email, password)
        except SignInRefused:
            raise EmailTaken from None
        if await repository.get(session.uid) is not None:
            raise EmailTaken from None
        return session.uid, False


async def _complete(uid: str, wish: Registration, once: Once) -> None:
    role = Role(wish.role)
    await identity.set_role(uid, role)
    moment = now()
    user = User(
        create_time=moment,
        update_time=moment,
        email=wish.email,
        display_name=wish.display_name,
        role=role,
        phone=wish.phone,
    )
    user.stored_as(uid, "")
    event = audit.event(Principal(uid, role), "users.register", f"users/{uid}", uid)
    await repository.add(uid, user, once, UserPublic.of(user), event)


async def _take_back(uid: str) -> None:
    """Remove an account that got no profile; when it may have got one after all, leave it."""
    try:
        if await repository.get(uid) is None:
            await identity.delete_account(uid)
    except Unavailable:
        pass  # registering again completes it


async def sign_in(wish: Credentials, address: str) -> SignedIn:
    """Raises `SignInRefused` alike for an unknown address, a wrong password and a disabled account."""
    email = wish.email.strip().lower()
    async with _counted(email, address):
        return await _signed_in(email, wish.password.get_secret_value())


def _counted(email: str, address: str) -> AbstractAsyncContextManager[None]:
    """Whoever tries a password is counted, by whatever route."""
    return limits.failures_only(
        own=[
            (limits.SIGN_IN_PAIR, f"{address} {email}"),
            (limits.SIGN_IN_ADDRESS, address),
        ],
        shared=[(limits.SIGN_IN_ACCOUNT, email)],
    )


async def _signed_in(email: str, password: str) -> SignedIn:
    session = await identity.sign_in(email, password)
    user = await repository.get(session.uid)
    if user is None:
        raise ProfileMissing
    if not user.is_active:
        raise SignInRefused
    if is_revoked(session.auth_time, user.tokens_valid_after):
        # Signed out within this very second: sign-ins of the next one are told apart from it.
        await asyncio.sleep(1 - time.time() % 1)
        session = await identity.sign_in(email, password)
    return SignedIn(user=UserPublic.of(user), **_tokens(session).model_dump())


async def renew(refresh_token: str) -> Tokens:
    """Raises `RefreshRefused` for garbage, and for a session that was ended."""
    session = await identity.renew(refresh_token)
    user = await repository.get(session.uid)
    if user is not None and not user.is_active:
        raise RefreshRefused
    if user is not None and is_revoked(session.auth_time, user.tokens_valid_after):
        raise RefreshRefused
    return _tokens(session)


def _tokens(session: identity.Session) -> Tokens:
    return Tokens(
        id_token=session.id_token,
        refresh_token=session.refresh_token,
        expires_in=session.expires_in,
    )


async def sign_out(caller: Principal) -> None:
    """End every session of the caller."""
    event = audit.event(caller, "users.sign-out", f"users/{caller.uid}", caller.uid)
    await repository.update(caller.uid, {"tokens_valid_after": now()}, event)
    accounts.forget(caller.uid)
    await identity.revoke_sessions(caller.uid)


async def reset_password(email: str, address: str) -> None:
    await limits.spend((limits.RESET_ACCOUNT, email), (limits.RESET_ADDRESS, address))
    await identity.send_password_reset(email)


# ---------------------------------------------------------------- profiles


async def list_(admin: Principal, wish: UserFilter) -> tuple[list[User], str | None]:
    event = audit.event(admin, "users.list", "users", None)
    email = wish.email.strip().lower() if wish.email else None
    return await audit.reading(event, repository.list_(wish.role, wish.is_active, email, wish))


async def get(caller: Principal, uid: str) -> User:
    if not policy.can_read(caller, uid):
        raise await _unknown(caller, "users.read", uid)
    user = await audit.reading(_event(caller, "users.read", uid), repository.get(uid))
    if user is None:
        raise NotFound
    return user


async def update(
    caller: Principal, uid: str, wish: UserUpdate, revision: str = ANY_REVISION
) -> User:
    """Raises `NotFound`, and `RecordChanged` when `revision` is not the current one."""
    if not policy.can_update(caller, uid):
        raise await _unknown(caller, "users.update", uid)
    fields = {name: getattr(wish, name) for name in wish.model_fields_set}
    await repository.update(uid, fields, _event(caller, "users.update", uid), revision)
    if "reminders" in fields:
        # Imported here: few changes touch it, and it brings the whole of scheduling.
        from common import reminders

        accounts.forget(uid)
        await reminders.replan(uid, wish.reminders.minutes_before)
    # Read, not merged here: an ETag must belong to the very content that it comes with.
    return await _current(uid)


async def deactivate(caller: Principal, uid: str, revision: str = ANY_REVISION) -> None:
    """Close an account: no sign-in, no session; what is clinical stays for its retention.

    The account is disabled before the profile says so. If the second step
    fails, the caller's token still works and deleting again completes it.
    """
    if not policy.can_deactivate(caller, uid):
        raise await _unknown(caller, "users.deactivate", uid)
    user = await _current(uid)
    if revision not in (ANY_REVISION, user.revision):
        raise RecordChanged
    await identity.disable_account(uid)
    event = _event(caller, "users.deactivate", uid)
    await repository.deactivate(user, now(), event, revision)
    accounts.forget(uid)


async def change_role(
    admin: Principal, uid: str, wish: RoleChange, revision: str = ANY_REVISION
) -> User:
    """The profile's role counts at once; the claims of later tokens follow it.

    Raises `OwnRole`, `NotFound`, and `RecordChanged` when `revision` is not the current one.
    """
    if not policy.can_change_role(admin, uid):
        path = f"users/{uid}"
        raise await audit.refuse(admin, "users.change-role", path, uid, OwnRole())
    user = await _current(uid)
    event = _event(admin, "users.change-role", uid, detail=wish.role)
    await repository.change_role(user, wish.role, event, revision)
    accounts.forget(uid)
    await identity.set_role(uid, wish.role)
    return await _current(uid)


async def _current(uid: str) -> User:
    user = await repository.get(uid)
    if user is None:
        raise NotFound
    return user


# ---------------------------------------------------------------- devices


async def add_device(caller: Principal, wish: DeviceCreate, once: Once) -> Device:
    """Send this account's notifications to a device too; adding it again changes nothing."""
    holders, count, present = await asyncio.gather(
        repository.holders(wish.token),
        repository.count_devices(caller.uid),
        repository.get_device(caller.uid, wish.token),
    )
    if present is not None:
        return present
    if count >= repository.MOST_DEVICES:
        raise TooManyDevices
    moment = now()
    device = Device(create_time=moment, update_time=moment, **wish.model_dump())
    answer = DevicePublic.model_validate(device.model_dump())
    event = _event(caller, "users.add-device", caller.uid)
    try:
        await repository.put_device(caller.uid, device, holders, once, answer, event)
    except AlreadyExists:
        await once.replay()
        return await repository.get_device(caller.uid, wish.token) or device
    return device


async def remove_device(caller: Principal, token: str) -> None:
    """Removing what is not there is no error: sign-out on a phone must not fail for it."""
    event = _event(caller, "users.remove-device", caller.uid)
    await repository.delete_device(caller.uid, token, event)


def _event(actor: Principal, action: str, uid: str, detail: str | None = None) -> AuditEvent:
    return audit.event(actor, action, f"users/{uid}", uid, detail=detail)


async def _unknown(caller: Principal, action: str, uid: str) -> NotFound:
    """Someone else's account is answered as one that does not exist, and the attempt is recorded."""
    problem = NotFound()
    await audit.refuse(caller, action, f"users/{uid}", uid, problem)
    return problem
