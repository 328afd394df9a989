"""Who may ask the assistant for what. Pure: everything needed is in the arguments."""

from common.auth import Principal


def can_read_history(principal: Principal, user_id: str) -> bool:
    """The person themself; an administrator learns that there are conversations, and how many."""
    return principal.uid == user_id or principal.is_admin


def can_read_words(principal: Principal, user_id: str) -> bool:
    return principal.uid == user_id


def can_change_consent(principal: Principal, patient_id: str) -> bool:
    """The patient, or an administrator to whom they said so; no doctor for them."""
    return principal.uid == patient_id or principal.is_admin
