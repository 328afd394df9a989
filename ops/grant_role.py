"""Give an account a role: how the first administrator is made, and any after."""

from common import audit, identity
from common.auth import users
from common.directory import unlist
from common.firestore import Batch, now
from common.models import Role


class NoSuchAccount(Exception):
    """No account, or no profile, has this e-mail address."""


async def grant_role(email: str, role: Role) -> str:
    """Set the role in profile and claims; returns the uid. It counts everywhere within 30 seconds.

    Raises `NoSuchAccount`.
    """
    found = await users.find(where=[("email", "==", email.strip().lower())], limit=1)
    if not found:
        raise NoSuchAccount(f"no account with the address {email} is registered")
    user, moment = found[0], now()
    batch = Batch()
    batch.update(users.path(user.id), {"role": role.value, "update_time": moment})
    if role is not Role.DOCTOR:
        await unlist(batch, user.id, moment)
    event = audit.event(
        None, "users.change-role", users.path(user.id), user.id, reason="operator", detail=role
    )
    audit.add(batch, event)
    await batch.commit()
    await identity.set_role(user.id, role)
    return user.id
