"""Who may do what to a patient's record. Pure: everything needed is in the arguments.

Whether somebody may see the patient at all, and on what ground, is decided in
`common/access.py`; here is what that ground lets them do.
"""

from collections.abc import Set

from common.auth import Principal
from common.clinical import Ground, HistoryRecord
from common.models import Role

NOT_FOR_DOCTORS = frozenset(
    {"national_id", "contacts", "address", "insurance", "emergency_contacts"}
)

_CARING = (Ground.CARE_TEAM, Ground.BREAK_GLASS)


def can_list(principal: Principal) -> bool:
    """Administrators list all patients, doctors theirs."""
    return principal.role is not Role.PATIENT


def can_create(principal: Principal, user_id: str | None) -> bool:
    """Patients for themselves; doctors one without an account; administrators either."""
    if principal.is_admin:
        return True
    if principal.role is Role.PATIENT:
        return user_id in (None, principal.uid)
    return user_id is None


def can_update(ground: Ground, fields: Set[str]) -> bool:
    """A doctor changes what is clinical, not how to reach or bill the patient."""
    return ground not in _CARING or not fields & NOT_FOR_DOCTORS


def can_see_national_id(ground: Ground) -> bool:
    return ground not in _CARING


def can_archive(ground: Ground) -> bool:
    return ground not in _CARING


def can_administer(principal: Principal) -> bool:
    """Restore, hold and erase."""
    return principal.is_admin


def can_export(ground: Ground) -> bool:
    return ground not in _CARING


def can_share(ground: Ground) -> bool:
    """Say who is on the care team, and see who looked."""
    return ground not in _CARING


def can_break_glass(principal: Principal, is_verified: bool) -> bool:
    return principal.role is Role.DOCTOR and is_verified


def can_write_history(ground: Ground) -> bool:
    """Not patients: what they say, a doctor enters."""
    return ground is not Ground.SELF


def can_amend(principal: Principal, ground: Ground, record: HistoryRecord) -> bool:
    return ground is Ground.ADMIN or (ground in _CARING and principal.uid == record.author_uid)
