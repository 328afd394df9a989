"""Who may do what to an account. Pure: everything needed is in the arguments."""

from common.auth import Principal


def can_read(principal: Principal, uid: str) -> bool:
    return principal.is_admin or principal.uid == uid


def can_update(principal: Principal, uid: str) -> bool:
    return principal.is_admin or principal.uid == uid


def can_deactivate(principal: Principal, uid: str) -> bool:
    return principal.is_admin or principal.uid == uid


def can_change_role(principal: Principal, uid: str) -> bool:
    """Not one's own: so there is always an administrator left who did not step down by mistake."""
    return principal.is_admin and principal.uid != uid
