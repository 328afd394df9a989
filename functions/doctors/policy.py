"""Who may do what to a doctor's profile. Pure: everything needed is in the arguments."""

from common.auth import Principal
from common.models import Doctor, Role


def can_read(principal: Principal | None, doctor: Doctor) -> bool:
    return doctor.is_listed or can_read_whole(principal, doctor)


def can_read_whole(principal: Principal | None, doctor: Doctor) -> bool:
    """Also before verification and after removal, with the note of the verification."""
    return principal is not None and (principal.is_admin or principal.uid == doctor.id)


def can_create(principal: Principal, uid: str | None) -> bool:
    """Doctors for themselves; administrators for an account that they name."""
    if principal.is_admin:
        return uid is not None
    return principal.role is Role.DOCTOR and uid in (None, principal.uid)


def can_update(principal: Principal, doctor: Doctor) -> bool:
    return principal.is_admin or (
        principal.role is Role.DOCTOR and principal.uid == doctor.id and doctor.is_active
    )
