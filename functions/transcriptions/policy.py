"""Who may do what with a recording. Pure: everything needed is in the arguments.

Whether somebody may see the patient at all, and on what ground, is decided in
`common/access.py`; here is what that ground lets them do.
"""

from common.auth import Principal
from common.clinical import Ground
from common.transcripts import NoteState, Transcription

_CARING = (Ground.CARE_TEAM, Ground.BREAK_GLASS)


def can_record(ground: Ground) -> bool:
    """Patients for themselves, and their doctors."""
    return ground is not Ground.ADMIN


def can_list_all(principal: Principal) -> bool:
    """Whether they need not name a patient."""
    return principal.is_admin


def can_delete(principal: Principal, ground: Ground, record: Transcription) -> bool:
    """The doctor who recorded it, and administrators: a patient's own recording is part of the record."""
    if ground is Ground.ADMIN:
        return True
    return ground in _CARING and principal.uid == record.author_uid


def can_renew_upload(principal: Principal, record: Transcription) -> bool:
    return principal.uid == record.author_uid


def can_write_note(ground: Ground) -> bool:
    return ground in _CARING


def can_see_note(ground: Ground, state: NoteState | None) -> bool:
    """A draft is the doctors'; the patient sees what was signed."""
    return state is NoteState.SIGNED or ground in _CARING
