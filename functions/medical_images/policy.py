"""Who may do what with an image. Pure: everything needed is in the arguments.

Whether somebody may see the patient at all, and on what ground, is decided in
`common/access.py`; here is what that ground lets them do.
"""

from common.auth import Principal
from common.clinical import Ground
from common.images import MedicalImage

_CARING = (Ground.CARE_TEAM, Ground.BREAK_GLASS)


def can_upload(ground: Ground) -> bool:
    """Patients for themselves, and their doctors."""
    return ground is not Ground.ADMIN


def can_list_all(principal: Principal) -> bool:
    """Whether they need not name a patient."""
    return principal.is_admin


def can_delete(principal: Principal, ground: Ground, record: MedicalImage) -> bool:
    """The doctor who uploaded it, and administrators: a patient's own image is part of the record."""
    if ground is Ground.ADMIN:
        return True
    return ground in _CARING and principal.uid == record.author_uid


def can_renew_upload(principal: Principal, record: MedicalImage) -> bool:
    return principal.uid == record.author_uid
