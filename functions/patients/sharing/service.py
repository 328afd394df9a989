"""The use cases of access: the care team, breaking the glass, and the log of who looked."""

import asyncio
import logging
from datetime import datetime, timedelta

from common import access, audit, crypto, limits, telemetry
from common.auth import Principal
from common.clinical import AccessGrant, BreakGlass, Notification, NotificationKind
from common.firestore import now
from common.idempotency import Once
from common.models import AuditEvent
from common.pages import PageQuery
from common.patients import changeable, current
from common.preconditions import applied
from common.problems import (
    AlreadyExists,
    CareTeamFull,
    Forbidden,
    Invalid,
    NotFound,
)
from common.telemetry import Metric

from .. import policy
from . import repository
from .schemas import (
    AccessLogEntry,
    CareTeamGrant,
    CareTeamMember,
    Emergency,
    EmergencyAccess,
    sentence,
)

_LONGEST_GRANT = timedelta(days=100 * 366)

BREAK_GLASS_FOR = timedelta(minutes=60)

_MOST_READ = 4 * access.MOST_GRANTS
"""Grants that are read to count a care team: those that have ended lie there for another month."""

_MOST_TOLD = 400
"""Administrators who are told of an emergency access; each takes a write of its batch."""

_log = logging.getLogger("healthhub.break_glass")

# ---------------------------------------------------------------- the care team


async def list_care_team(caller: Principal, patient_id: str) -> list[CareTeamMember]:
    await _sharing(caller, patient_id, "care-team.list")
    event = _event(caller, "care-team.list", patient_id)
    grants = await audit.reading(event, repository.care_team(patient_id, _MOST_READ))
    moment = now()
    return [CareTeamMember.of(g) for g in grants if access.is_on_care_team(g, moment)]


async def get_member(caller: Principal, patient_id: str, doctor_id: str) -> CareTeamMember:
    await _sharing(caller, patient_id, "care-team.read")
    event = _event(caller, "care-team.read", patient_id)
    grant = await audit.reading(event, repository.grant(patient_id, doctor_id))
    if grant is None or not access.is_on_care_team(grant, now()):
        raise NotFound
    return CareTeamMember.of(grant)


async def grant(
    caller: Principal, patient_id: str, doctor_id: str, wish: CareTeamGrant
) -> CareTeamMember:
    """Put a doctor on the care team, or change until when. Only a verified doctor sees anything by it.

    Raises `NotFound` (patient or doctor), `Invalid`, `PatientArchived`, `CareTeamFull`.
    """
    await _sharing(caller, patient_id, "care-team.grant")
    if wish.expires_at is not None and wish.expires_at <= now():
        raise Invalid.field("/expires_at", "This is past")
    if wish.expires_at is not None and wish.expires_at > now() + _LONGEST_GRANT:
        raise Invalid.field("/expires_at", "This is too far ahead; leave it out for no end")
    doctor = await repository.doctor(doctor_id)
    if doctor is None or not doctor.is_listed:
        raise NotFound("There is no such doctor in the directory.")

    async def change() -> CareTeamMember:
        patient, old, team = await asyncio.gather(
            changeable(patient_id),
            repository.grant(patient_id, doctor_id),
            repository.care_team(patient_id, _MOST_READ),
        )
        moment = now()
        others = [g for g in team if g.doctor_id != doctor_id and g.is_on_care_team]
        others = [g for g in others if access.is_on_care_team(g, moment)]
        if len(others) >= access.MOST_GRANTS:
            raise CareTeamFull
        new = _changed(old or access.grant_for(patient, doctor_id), moment)
        new.is_on_care_team, new.care_team_until = True, wish.expires_at
        new.end_time = new.end()
        event = _event(caller, "care-team.grant", patient_id, doctor_id)
        await repository.save_grant(patient, old, new, event)
        return CareTeamMember.of(new)

    member = await applied(change)
    access.forget(patient_id, doctor_id)
    return member


async def revoke(caller: Principal, patient_id: str, doctor_id: str) -> None:
    """Take a doctor off the care team; who is not on it is no error.

    Appointments give no access any more either, until another is booked. An
    emergency access that still lasts is not ended by it.
    """
    await _sharing(caller, patient_id, "care-team.revoke")

    async def change() -> None:
        patient, old = await asyncio.gather(
            current(patient_id), repository.grant(patient_id, doctor_id)
        )
        if old is None or not (old.is_on_care_team or old.visits_until):
            return
        new = _changed(old, now())
        new.is_on_care_team, new.care_team_until, new.visits_until = False, None, 0
        new.end_time = new.end()
        event = _event(caller, "care-team.revoke", patient_id, doctor_id)
        await repository.save_grant(patient, old, new, event)

    await applied(change)
    access.forget(patient_id, doctor_id)


async def _sharing(caller: Principal, patient_id: str, action: str) -> None:
    """Raises `NotFound`, or `Forbidden` for a doctor of the patient."""
    path = f"patients/{patient_id}/access_grants"
    ground = await access.ground(caller, patient_id, action, path)
    if not policy.can_share(ground):
        raise await audit.refuse(caller, action, path, patient_id, Forbidden())


def _event(
    caller: Principal, action: str, patient_id: str, doctor_id: str | None = None
) -> AuditEvent:
    path = f"patients/{patient_id}/access_grants" + (f"/{doctor_id}" if doctor_id else "")
    reason = access.ground_for(caller, patient_id, None, now())
    return audit.event(caller, action, path, patient_id, reason=reason)


def _changed(grant: AccessGrant, moment: datetime) -> AccessGrant:
    new = grant.model_copy(update={"update_time": moment})
    new.stored_as(grant.path, grant.revision)
    return new


# ---------------------------------------------------------------- breaking the glass


async def break_glass(
    caller: Principal, patient_id: str, wish: Emergency, once: Once
) -> EmergencyAccess:
    """Let a verified doctor see a patient for 60 minutes; the patient and administrators are told.

    Raises `Forbidden` for all but verified doctors, `NotFound`, `TooManyRequests`.
    """
    path = f"patients/{patient_id}/break_glass"
    doctor = await repository.doctor(caller.uid)
    is_verified = doctor is not None and doctor.is_listed
    if not policy.can_break_glass(caller, is_verified):
        problem = Forbidden("Only verified doctors open a record in an emergency.")
        raise await audit.refuse(caller, "break-glass.open", path, patient_id, problem)
    await limits.spend((limits.BREAK_GLASS, caller.uid))

    async def change() -> EmergencyAccess:
        return await _opened(caller, patient_id, wish, once)

    try:
        answer = await applied(change)
    except NotFound as problem:
        raise await audit.refuse(caller, "break-glass.open", path, patient_id, problem) from None
    access.forget(patient_id, caller.uid)
    _log.warning(
        "break glass",
        extra={"fields": {"patient_id": patient_id, "doctor_id": caller.uid}},
    )
    return answer


async def _opened(
    caller: Principal, patient_id: str, wish: Emergency, once: Once
) -> EmergencyAccess:
    patient, old, administrators, is_account = await asyncio.gather(
        current(patient_id),
        repository.grant(patient_id, caller.uid),
        repository.administrators(_MOST_TOLD),
        repository.has_account(patient_id),
    )
    vault = await crypto.vault_of(patient_id)
    moment = now()
    end = moment + BREAK_GLASS_FOR
    new = _changed(old or access.grant_for(patient, caller.uid), moment)
    new.break_glass_until = end
    new.end_time = new.end()
    emergency: BreakGlass = repository.new_emergency(patient_id, caller.uid, moment, end)
    emergency.sealed = {"reason": vault.seal(emergency.path, "reason", wish.reason)}
    told = {uid: _told(caller, patient_id, moment) for uid in administrators}
    if is_account:
        told[patient_id] = _told(caller, patient_id, moment)
    answer = EmergencyAccess(patient_id=patient_id, doctor_id=caller.uid, expires_at=end)
    event = audit.event(
        caller, "break-glass.open", emergency.path, patient_id, reason="break_glass"
    )
    try:
        await repository.open_in_emergency(patient, old, new, emergency, told, once, answer, event)
    except AlreadyExists:
        await once.replay()
        raise
    telemetry.count(Metric.BREAK_GLASS)
    return answer


def _told(doctor: Principal, patient_id: str, moment: datetime) -> Notification:
    return Notification(
        create_time=moment,
        update_time=moment,
        kind=NotificationKind.BREAK_GLASS,
        patient_id=patient_id,
        actor_uid=doctor.uid,
    )


# ---------------------------------------------------------------- who looked


async def access_log(
    caller: Principal, patient_id: str, wish: PageQuery
) -> tuple[list[AccessLogEntry], str | None]:
    """Who saw or changed what, when and why, newest first, in words."""
    path = f"patients/{patient_id}"
    ground = await access.ground(caller, patient_id, "access-log.read", path)
    if not policy.can_share(ground):
        raise await audit.refuse(caller, "access-log.read", path, patient_id, Forbidden())
    happened = audit.event(caller, "access-log.read", path, patient_id, reason=ground)
    events, token = await audit.reading(happened, repository.events_of(patient_id, wish))
    emergencies = [e.resource for e in events if "/break_glass/" in e.resource]
    reasons: dict[str, str] = {}
    if emergencies:
        vault = await crypto.vault_of(patient_id)
        reasons = await repository.reasons(patient_id, emergencies, vault)
    names = await repository.names(sorted({e.actor_uid for e in events if e.actor_uid}))
    return [_entry(caller, event, names, reasons.get(event.resource)) for event in events], token


def _entry(
    reader: Principal, event: AuditEvent, names: dict[str, str], emergency_reason: str | None
) -> AccessLogEntry:
    if event.actor_uid is None:
        name = "HealthHub"
    elif event.actor_uid == reader.uid:
        name = "You"
    else:
        name = names.get(event.actor_uid, "Somebody whose account is gone")
    return AccessLogEntry(
        time=event.create_time,
        actor_id=event.actor_uid,
        actor_role=event.actor_role,
        actor_name=name,
        action=event.action,
        text=sentence(event, name),
        reason=event.reason,
        emergency_reason=emergency_reason,
        outcome=event.outcome,
    )
