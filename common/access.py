"""Who may see which patient. Whatever shows a patient's data asks here, and nowhere else.

The patient themself, an administrator, or a verified doctor who is on the
care team or broke the glass. For a doctor it costs two reads, made together,
and then none for some seconds.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common import audit
from common.auth import Principal
from common.clinical import AccessGrant, Ground, Patient
from common.directory import doctors
from common.firestore import Batch, Collection, at_least, now
from common.models import Role
from common.problems import NotFound
from common.recent import Recent
from common.settings import settings

MOST_GRANTS = 50
"""Doctors on one patient's care team."""

GRANT_MAX_AGE = 10.0
"""Seconds for which an instance may go on after a grant was taken back. None go on past its end."""

access_grants = Collection(AccessGrant, "patients/{}/access_grants")


_REPEATED = ("name", "birth_date", "sex", "is_archived")


def repeated(patient: Patient) -> dict[str, Any]:
    """What a grant repeats of its patient, for the doctor's list."""
    shown = {name: getattr(patient, name) for name in _REPEATED}
    return {**shown, "name_key": patient.name_key, "name_facets": patient.name_facets}


def grant_for(patient: Patient, doctor_id: str) -> AccessGrant:
    """A grant that lets nobody see anything yet."""
    moment = now()
    grant = AccessGrant(
        create_time=moment,
        update_time=moment,
        patient_id=patient.id,
        doctor_id=doctor_id,
        **repeated(patient),
    )
    grant.stored_as(access_grants.path(patient.id, doctor_id), "")
    return grant


@dataclass(frozen=True, slots=True)
class Standing:
    """What Firestore says of one doctor and one patient."""

    is_verified: bool
    grant: AccessGrant | None


def ground_for(
    principal: Principal, patient_id: str, standing: Standing | None, moment: datetime
) -> Ground | None:
    """Why this person may see this patient, or None. Pure; `standing` is for doctors."""
    if principal.is_admin:
        return Ground.ADMIN
    if principal.uid == patient_id:
        return Ground.SELF
    if principal.role is not Role.DOCTOR or standing is None:
        return None
    if not standing.is_verified or standing.grant is None:
        return None
    grant = standing.grant
    if is_on_care_team(grant, moment):
        return Ground.CARE_TEAM
    if grant.break_glass_until is not None and moment < grant.break_glass_until:
        return Ground.BREAK_GLASS
    return None


def is_on_care_team(grant: AccessGrant, moment: datetime) -> bool:
    """By the patient's grant, or by an appointment that lies ahead or not long ago."""
    is_granted = grant.is_on_care_team and (
        grant.care_team_until is None or moment < grant.care_team_until
    )
    return is_granted or moment < grant.visits_end


def visit(batch: Batch, patient: Patient, doctor_id: str, end: datetime) -> None:
    """Let a doctor see the patient until some time after an appointment that ends then.

    Blind, because a booking should not cost another read; what is there already
    stays, and the later end counts.
    """
    until = settings().retention.visit_access_end(end)
    fields = {
        "patient_id": patient.id,
        "doctor_id": doctor_id,
        "visits_until": at_least(int(until.timestamp())),
        "end_time": until,
        "update_time": now(),
        **repeated(patient),
    }
    batch.merge(access_grants.path(patient.id, doctor_id), fields)


def is_current(grant: AccessGrant, moment: datetime) -> bool:
    """Whether the grant lets its doctor see the patient on any ground."""
    return is_on_care_team(grant, moment) or (
        grant.break_glass_until is not None and moment < grant.break_glass_until
    )


async def ground(principal: Principal, patient_id: str, action: str, resource: str) -> Ground:
    """Why this person may see this patient.

    Raises `NotFound`, and records the attempt, for who may not: someone
    else's patient is answered as one that does not exist.
    """
    standing = None
    if principal.role is Role.DOCTOR and principal.uid != patient_id:
        standing = await _standings.get(f"{patient_id}/{principal.uid}")
    found = ground_for(principal, patient_id, standing, now())
    if found is None:
        raise await audit.refuse(principal, action, resource, patient_id, NotFound())
    return found


async def practises(doctor_id: str) -> bool:
    """Whether this doctor is verified and active; known for some seconds per instance."""
    return await _practising.get(doctor_id)


async def _read_practising(doctor_id: str) -> bool:
    doctor = await doctors.get(doctor_id)
    return doctor is not None and doctor.is_listed


def forget(patient_id: str, doctor_id: str) -> None:
    """Have this instance look again at once, after a grant was changed here."""
    _standings.forget(f"{patient_id}/{doctor_id}")


async def _read_standing(key: str) -> Standing:
    patient_id, doctor_id = key.split("/")
    doctor, grant = await asyncio.gather(
        doctors.get(doctor_id), access_grants.get(patient_id, doctor_id)
    )
    return Standing(doctor is not None and doctor.is_listed, grant)


# Refusals are not kept: what the patient grants now works now.
_standings: Recent[Standing] = Recent(
    _read_standing,
    max_age=GRANT_MAX_AGE,
    keep=lambda standing: standing.is_verified and standing.grant is not None,
)

_practising: Recent[bool] = Recent(_read_practising, max_age=GRANT_MAX_AGE, keep=bool)
