"""Who may do what with a note. Pure: everything needed is in the arguments.

What holds for every uploaded file is in `common/upload_policy.py`.
"""

from common.clinical import Ground
from common.transcripts import NoteState
from common.upload_policy import CARING


def can_write_note(ground: Ground) -> bool:
    return ground in CARING


def can_see_note(ground: Ground, state: NoteState | None) -> bool:
    """A draft is the doctors'; the patient sees what was signed."""
    return state is NoteState.SIGNED or ground in CARING
