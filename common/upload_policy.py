"""Who may do what with a file that was uploaded. Pure: everything needed is in the arguments.

Whether somebody may see the patient at all, and on what ground, is decided in
`common/access.py`; here is what that ground lets them do.
"""

from common.auth import Principal
from common.clinical import Ground
from common.uploads import Upload

CARING = (Ground.CARE_TEAM, Ground.BREAK_GLASS)


def can_upload(ground: Ground) -> bool:
    """Patients for themselves, and their doctors."""
    return ground is not Ground.ADMIN


def can_list_all(principal: Principal) -> bool:
    """Whether they need not name a patient."""
    return principal.is_admin


def can_delete(principal: Principal, ground: Ground, record: Upload) -> bool:
    """The doctor who made it, and administrators: a patient's own file is part of the record."""
    if ground is Ground.ADMIN:
        return True
    return ground in CARING and principal.uid == record.author_uid


def can_renew_upload(principal: Principal, record: Upload) -> bool:
    return principal.uid == record.author_uid
