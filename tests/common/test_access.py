"""The one decision who may see which patient, as a table; and what it costs."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from common.access import Standing, ground_for, is_current
from common.auth import Principal
from common.clinical import AccessGrant, Ground, Sex
from common.models import Role
from tests.client import Api, Person, a_listed_doctor, a_patient, admit
from tests.recorder import Recorder

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOON, JUST = NOW + timedelta(microseconds=1), NOW - timedelta(microseconds=1)

PATIENT, OTHER = Principal("p", Role.PATIENT), Principal("q", Role.PATIENT)
DOCTOR, ADMIN = Principal("d", Role.DOCTOR), Principal("a", Role.ADMIN)
DOCTOR_AS_PATIENT = Principal("p", Role.DOCTOR)


def grant(**fields: Any) -> AccessGrant:
    return AccessGrant(
        create_time=NOW,
        update_time=NOW,
        patient_id="p",
        doctor_id="d",
        name="A",
        birth_date=date(1990, 1, 1),
        sex=Sex.OTHER,
        **fields,
    )


def standing(is_verified: bool = True, **fields: Any) -> Standing:
    return Standing(is_verified, grant(**fields))


@pytest.mark.parametrize(
    ("who", "standing", "expected"),
    [
        (PATIENT, None, Ground.SELF),
        (DOCTOR_AS_PATIENT, None, Ground.SELF),
        (OTHER, None, None),
        (ADMIN, None, Ground.ADMIN),
        (DOCTOR, None, None),
        (DOCTOR, Standing(True, None), None),
        (DOCTOR, standing(), None),
        (DOCTOR, standing(is_on_care_team=True), Ground.CARE_TEAM),
        (DOCTOR, standing(is_on_care_team=True, care_team_until=SOON), Ground.CARE_TEAM),
        (DOCTOR, standing(is_on_care_team=True, care_team_until=NOW), None),
        (DOCTOR, standing(is_on_care_team=False, care_team_until=SOON), None),
        (DOCTOR, standing(is_verified=False, is_on_care_team=True), None),
        (DOCTOR, standing(break_glass_until=SOON), Ground.BREAK_GLASS),
        (DOCTOR, standing(break_glass_until=NOW), None),
        (DOCTOR, standing(is_verified=False, break_glass_until=SOON), None),
        (DOCTOR, standing(is_on_care_team=True, break_glass_until=SOON), Ground.CARE_TEAM),
        (
            DOCTOR,
            standing(is_on_care_team=True, care_team_until=JUST, break_glass_until=SOON),
            Ground.BREAK_GLASS,
        ),
        (OTHER, standing(is_on_care_team=True), None),
    ],
)
def test_who_may_see_the_patient_and_why(
    who: Principal, standing: Standing | None, expected: Ground | None
) -> None:
    assert ground_for(who, "p", standing, NOW) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"is_on_care_team": True}, True),
        ({"is_on_care_team": True, "care_team_until": JUST}, False),
        ({"break_glass_until": SOON}, True),
        ({"break_glass_until": JUST}, False),
    ],
)
def test_a_grant_is_current_while_it_lets_its_doctor_see_the_patient(
    fields: dict[str, Any], expected: bool
) -> None:
    assert is_current(grant(**fields), NOW) is expected


async def test_a_decision_costs_two_reads_at_first_and_then_none(
    api: Api, admin: Person, recorder: Recorder
) -> None:
    patient, doctor = await a_patient(api), await a_listed_doctor(api, admin)
    await admit(api, patient, doctor)
    path = f"/v1/patients/{patient.uid}"
    await api.get(path, patient)  # so that the key and the accounts are known
    await api.get("/v1/patients", doctor)
    with recorder.counting() as first:
        await api.get(path, doctor)
    with recorder.counting() as then:
        await api.get(path, doctor)
    assert (first.reads, first.writes) == (3, 1)  # doctor, grant, patient; the audit event
    assert (then.reads, then.writes) == (1, 1)
