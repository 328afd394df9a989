"""What travels to and from the patients service: who may see a patient, and who did."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from common.clinical import AccessGrant
from common.models import AuditEvent, Outcome, Prose, Role
from common.schemas import Body


class CareTeamGrant(Body):
    expires_at: AwareDatetime | None = None
    """With time zone; left out: until it is taken back."""


class CareTeamMember(BaseModel):
    patient_id: str
    doctor_id: str
    expires_at: datetime | None
    """Null: until it is taken back."""
    is_granted: bool
    """Whether the patient put the doctor there; otherwise it is by an appointment."""
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, grant: AccessGrant) -> "CareTeamMember":
        return cls(
            patient_id=grant.patient_id,
            doctor_id=grant.doctor_id,
            expires_at=grant.care_team_until if grant.is_on_care_team else grant.visits_end,
            is_granted=grant.is_on_care_team,
            create_time=grant.create_time,
            update_time=grant.update_time,
        )


class Emergency(Body):
    reason: Annotated[Prose, Field(min_length=20, max_length=1000)]
    """Why the record is needed now; the patient and administrators see it."""


class EmergencyAccess(BaseModel):
    patient_id: str
    doctor_id: str
    expires_at: datetime


class AccessLogEntry(BaseModel):
    time: datetime
    actor_id: str | None
    """Null for the platform itself and its operators."""
    actor_role: Role | None
    actor_name: str
    action: str
    """`<noun>.<verb>`, such as `patients.read`, for apps that put their own words to it."""
    text: str
    """What happened, in a sentence."""
    reason: str | None
    """What allowed it (`self`, `admin`, `care_team`, `break_glass`), or the problem that refused it."""
    emergency_reason: str | None
    """What the doctor gave as the reason of an emergency access."""
    outcome: Outcome


_DID = {
    "patients.create": "made your record",
    "patients.read": "looked at your record",
    "patients.update": "changed your record",
    "patients.archive": "archived your record",
    "patients.restore": "took your record out of the archive",
    "patients.export": "exported your whole record",
    "patients.erase": "had your record erased",
    "patients.purge": "deleted a part of your record",
    "patients.hold": "placed a legal hold on your record",
    "patients.lift-hold": "lifted the legal hold on your record",
    "patients.read-hold": "looked whether your record is under legal hold",
    "history.list": "looked at your medical history",
    "history.read": "read an entry of your medical history",
    "history.read-versions": "looked at earlier versions of an entry of your medical history",
    "history.create": "added an entry to your medical history",
    "history.amend": "amended an entry of your medical history",
    "history.purge": "deleted an entry of your medical history",
    "care-team.list": "looked at your care team",
    "care-team.read": "looked at your care team",
    "care-team.grant": "put a doctor on your care team",
    "care-team.revoke": "took a doctor off your care team",
    "break-glass.open": "opened your record in an emergency",
    "break-glass.purge": "deleted the record of an emergency access",
    "access-grants.purge": "deleted what was left of an ended access",
    "notifications.purge": "deleted an old notification",
    "access-log.read": "looked at who saw your record",
    "role.refuse": "asked for something of yours that their role does not allow",
    "appointments.create": "booked an appointment for you",
    "appointments.read": "looked at an appointment of yours",
    "appointments.list": "looked at your appointments",
    "appointments.update": "changed an appointment of yours",
    "appointments.cancel": "cancelled an appointment of yours",
    "appointments.reschedule": "moved an appointment of yours",
    "appointments.set-status": "noted how a visit of yours went",
    "appointments.purge": "deleted an old appointment of yours",
    "waitlist.join": "put you on a waitlist",
    "waitlist.list": "looked at what you wait for",
    "waitlist.leave": "took you off a waitlist",
    "waitlist.accept": "took a slot that was held for you",
    "waitlist.decline": "let a slot go that was held for you",
    "waitlist.offer": "held a slot for you that became free",
    "waitlist.pass-on": "gave a slot that was held for you to the next in line",
    "waitlist.expire": "took you off a waitlist, because its time was over",
    "waitlist.purge": "deleted an old place on a waitlist",
    "calendar.read": "looked at your calendar",
    "calendar.renew-feed": "made a new address of your calendar feed",
    "transcriptions.create": "announced a recording of your consultation",
    "transcriptions.listen": "had your consultation heard live",
    "transcriptions.renew-upload": "asked to upload a recording of your consultation again",
    "transcriptions.store": "stored what was said in your consultation",
    "transcriptions.list": "looked at your recorded consultations",
    "transcriptions.status": "looked how far a recording of yours is",
    "transcriptions.read": "read what was said in your consultation",
    "transcriptions.delete": "deleted a recording of your consultation",
    "transcriptions.purge": "deleted a recording of your consultation",
    "medical-images.create": "announced an image of you",
    "medical-images.renew-upload": "asked to upload an image of you again",
    "medical-images.store": "stored what was found in an image of you",
    "medical-images.list": "looked at the list of your images",
    "medical-images.read": "looked what an image of you is",
    "medical-images.analysis": "read what was found in an image of you",
    "medical-images.preview": "looked at an image of you",
    "medical-images.content": "downloaded an image of you",
    "medical-images.deidentified": "downloaded a copy without identifiers of an image of you",
    "medical-images.delete": "deleted an image of you",
    "medical-images.purge": "deleted an image of you",
    "notes.draft": "had a note drafted from your consultation",
    "notes.edit": "edited the note of your consultation",
    "notes.sign": "signed the note of your consultation",
    "notes.read-versions": "looked at earlier versions of the note of your consultation",
    "prompts.send": "sent something about you, without what identifies you, to a language model",
    "prompts.list": "looked at what was sent about you to language models",
    "prompts.purge": "deleted what had been sent to a language model",
    "chat.ask": "asked the assistant",
    "chat.read-record": "let the assistant use your record for an answer",
    "conversations.list": "looked at the list of your conversations with the assistant",
    "conversations.read": "read a conversation of yours with the assistant",
    "conversations.delete": "deleted what you had asked the assistant",
    "conversations.purge": "deleted what you had asked the assistant",
    "consents.read": "looked whether language models may see your record",
    "consents.change": "changed whether language models may see your record",
    "consents.give": "agreed that language models see your record without what identifies you",
    "consents.withdraw": "withdrew the consent that language models see your record",
    "triage.analyze": "had symptoms assessed",
    "recommendations.read": "had your record looked through for conflicts and suggestions",
    "reviews.create": "reviewed a visit",
    "users.register": "made your account",
    "users.read": "looked at your account",
    "users.update": "changed your account",
    "users.deactivate": "closed your account",
    "users.change-role": "changed what your account may do",
    "users.sign-out": "signed out everywhere",
    "users.add-device": "added a device for notifications",
    "users.remove-device": "removed a device for notifications",
    "users.import": "brought your account over from an older system",
}

_BECAUSE = {
    "care_team": " as a member of your care team",
    "break_glass": " during an emergency access",
    "retention": " because the time for which it must be kept had ended",
    "erasure": " because it was to be erased",
    "calendar_feed": " by the secret address of the feed",
}


def sentence(event: AuditEvent, actor: str) -> str:
    """What happened, as its subject reads it: `Dr. Inés García looked at your record …`."""
    did = _DID.get(event.action, f"did something with your record ({event.action})")
    if event.outcome is Outcome.REFUSED:
        return f"{actor} tried to do this and was refused: {did}."
    because = "" if event.action == "break-glass.open" else _BECAUSE.get(event.reason or "", "")
    return f"{actor} {did}{because}."


def knows(action: str) -> bool:
    """Whether there are words for this action."""
    return action in _DID
