"""Who may see a patient: the care team, breaking the glass; and the log of who looked."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from common.access import MOST_GRANTS, access_grants
from common.clinical import AccessGrant, Sex
from common.firestore import Batch, now
from common.models import AuditEvent, Outcome
from functions.patients.sharing.schemas import knows, sentence
from local.bootstrap import ROOT
from tests.client import (
    A_RECORD,
    Api,
    Person,
    a_listed_doctor,
    a_patient,
    a_record,
    admit,
    register,
)


@pytest.fixture
async def patient(api: Api) -> Person:
    return await a_patient(api)


@pytest.fixture
async def carer(api: Api, admin: Person) -> Person:
    """A verified doctor who is on nobody's care team."""
    return await a_listed_doctor(api, admin, name="Dr. Inés García")


async def status(api: Api, patient: Person, who: Person) -> int:
    return (await api.get(f"/v1/patients/{patient.uid}", who)).status_code


async def store_grant(patient: Person, doctor: Person, **fields: object) -> None:
    """A grant as it would be at another time."""
    moment = now()
    values: dict[str, object] = {
        "create_time": moment,
        "update_time": moment,
        "patient_id": patient.uid,
        "doctor_id": doctor.uid,
        "name": "A",
        "birth_date": moment.date(),
        "sex": Sex.OTHER,
        **fields,
    }
    batch = Batch()
    path = access_grants.path(patient.uid, doctor.uid)
    batch.create(path, AccessGrant.model_validate(values))
    await batch.commit()


# ---------------------------------------------------------------- the care team


async def test_a_doctor_sees_a_patient_from_the_grant_until_it_is_taken_back(
    api: Api, patient: Person, carer: Person
) -> None:
    path = f"/v1/patients/{patient.uid}/care-team/{carer.uid}"
    assert await status(api, patient, carer) == 404
    assert (await api.get(path, patient)).status_code == 404
    await admit(api, patient, carer)
    assert await status(api, patient, carer) == 200
    assert (await api.get(path, patient)).json()["expires_at"] is None
    team = (await api.get(f"/v1/patients/{patient.uid}/care-team", patient)).json()
    assert [member["doctor_id"] for member in team] == [carer.uid]
    for _ in range(2):  # again is no harm
        assert (await api.delete(path, patient)).status_code == 204
    assert await status(api, patient, carer) == 404
    assert (await api.get(f"/v1/patients/{patient.uid}/care-team", patient)).json() == []


async def test_a_grant_ends_when_it_says(api: Api, patient: Person, carer: Person) -> None:
    end = datetime.now(UTC) + timedelta(seconds=2)
    await admit(api, patient, carer, expires_at=end.isoformat())
    assert await status(api, patient, carer) == 200
    await asyncio.sleep((end - datetime.now(UTC)).total_seconds() + 0.05)
    assert await status(api, patient, carer) == 404  # though the instance still remembers the grant
    assert (await api.get("/v1/patients", carer)).json()["items"] == []


async def test_granting_again_changes_until_when(api: Api, patient: Person, carer: Person) -> None:
    path = f"/v1/patients/{patient.uid}/care-team/{carer.uid}"
    await admit(api, patient, carer, expires_at="2100-01-01T00:00:00+02:00")
    assert (await api.get(path, patient)).json()["expires_at"] == "2099-12-31T22:00:00Z"
    await admit(api, patient, carer)
    assert (await api.get(path, patient)).json()["expires_at"] is None


@pytest.mark.parametrize("end", ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00", "soon", 5])
async def test_an_end_that_is_past_or_no_moment_is_refused(
    api: Api, patient: Person, carer: Person, end: object
) -> None:
    path = f"/v1/patients/{patient.uid}/care-team/{carer.uid}"
    answer = await api.put(path, patient, json={"expires_at": end})
    # A number is a moment too: seconds since 1970, and so past.
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/expires_at"


async def test_only_doctors_of_the_directory_join_a_care_team(
    api: Api, patient: Person, doctor: Person
) -> None:
    for uid in (doctor.uid, patient.uid, "nobody"):
        answer = await api.put(f"/v1/patients/{patient.uid}/care-team/{uid}", patient, json={})
        assert answer.status_code == 404


async def test_a_doctor_who_is_no_longer_verified_sees_nobody(
    api: Api, patient: Person, carer: Person, admin: Person
) -> None:
    await admit(api, patient, carer)
    unverified = {"is_verified": False, "note": "licence lapsed"}
    assert (await api.get("/v1/patients", carer)).json()["items"]
    await api.put(f"/v1/doctors/{carer.uid}/verification", admin, json=unverified)
    assert await status(api, patient, carer) == 404
    assert (await api.get("/v1/patients", carer)).json()["items"] == []


async def test_a_care_team_has_an_end(api: Api, patient: Person, carer: Person) -> None:
    for number in range(MOST_GRANTS):
        stranger = Person(f"d{number}{patient.uid}", "", "doctor", "", "")
        await store_grant(patient, stranger, is_on_care_team=True)
    path = f"/v1/patients/{patient.uid}/care-team"
    full = await api.put(f"{path}/{carer.uid}", patient, json={})
    assert full.status_code == 409
    assert full.json()["type"].endswith("care-team-full")
    assert (await api.delete(f"{path}/d0{patient.uid}", patient)).status_code == 204
    assert (await api.put(f"{path}/{carer.uid}", patient, json={})).status_code == 200


# ---------------------------------------------------------------- breaking the glass


REASON = "Unconscious in the emergency room"


async def test_in_an_emergency_a_doctor_sees_and_adds_to_the_record(
    api: Api, patient: Person, carer: Person
) -> None:
    path = f"/v1/patients/{patient.uid}"
    opened = await api.post(f"{path}/break-glass", carer, json={"reason": REASON})
    assert opened.status_code == 201
    end = datetime.fromisoformat(opened.json()["expires_at"])
    assert timedelta(minutes=59) < end - datetime.now(UTC) <= timedelta(minutes=60)
    assert await status(api, patient, carer) == 200
    assert (await api.post(f"{path}/history", carer, json=A_RECORD)).status_code == 201
    listed = (await api.get("/v1/patients", carer)).json()["items"]
    assert [item["patient_id"] for item in listed] == [patient.uid]
    # It does not make the doctor a member of the care team.
    assert (await api.get(f"{path}/care-team", patient)).json() == []
    # Taking a doctor off the care team does not end an emergency.
    await admit(api, patient, carer)
    await api.delete(f"{path}/care-team/{carer.uid}", patient)
    assert await status(api, patient, carer) == 200


@pytest.mark.parametrize("reason", ["", "x" * 19, " " * 30, "x" * 1001, None, 5])
async def test_an_emergency_needs_a_reason_of_twenty_characters(
    api: Api, patient: Person, carer: Person, reason: object
) -> None:
    path = f"/v1/patients/{patient.uid}/break-glass"
    answer = await api.post(path, carer, json={"reason": reason})
    assert answer.status_code == 422
    assert await status(api, patient, carer) == 404


async def test_an_unverified_doctor_breaks_no_glass(
    api: Api, patient: Person, doctor: Person
) -> None:
    path = f"/v1/patients/{patient.uid}/break-glass"
    assert (await api.post(path, doctor, json={"reason": REASON})).status_code == 403


@pytest.mark.usefixtures("within_a_window")
async def test_who_leafs_through_patients_by_emergency_is_stopped(
    api: Api, patient: Person, carer: Person
) -> None:
    path = f"/v1/patients/{patient.uid}/break-glass"
    for _ in range(20):
        assert (await api.post(path, carer, json={"reason": REASON})).status_code == 201
    assert (await api.post(path, carer, json={"reason": REASON})).status_code == 429


async def test_a_patient_without_an_account_can_be_opened_in_an_emergency(
    api: Api, carer: Person, admin: Person
) -> None:
    made = await api.post("/v1/patients", carer, json={"name": "A", "birth_date": "1990-01-01", "sex": "male"})  # fmt: skip
    other = await a_listed_doctor(api, admin)
    path = f"{made.headers['location']}/break-glass"
    assert (await api.post(path, other, json={"reason": REASON})).status_code == 201


# ---------------------------------------------------------------- who looked


async def test_patients_read_in_plain_words_who_looked_and_why(
    api: Api, patient: Person, admin: Person
) -> None:
    carer = await register(api, "doctor", display_name="Dr. Vera Hint")
    from tests.client import A_PROFILE

    await api.post("/v1/doctors", carer, json=A_PROFILE)
    await api.put(f"/v1/doctors/{carer.uid}/verification", admin, json={"is_verified": True})
    path = f"/v1/patients/{patient.uid}"
    assert await status(api, patient, carer) == 404
    await api.post(f"{path}/break-glass", carer, json={"reason": REASON})
    assert await status(api, patient, carer) == 200
    await admit(api, patient, carer)
    await a_record(api, patient, carer)
    entries = (await api.get(f"{path}/access-log", patient)).json()["items"]
    # This very reading is stored while the log is read, and may be in it already.
    others = [entry for entry in entries if entry["action"] != "access-log.read"]
    texts = [entry["text"] for entry in reversed(others)]
    assert texts[-5:] == [
        "Dr. Vera Hint tried to do this and was refused: looked at your record.",
        "Dr. Vera Hint opened your record in an emergency.",
        "Dr. Vera Hint looked at your record during an emergency access.",
        "You put a doctor on your care team.",
        "Dr. Vera Hint added an entry to your medical history as a member of your care team.",
    ]
    (emergency,) = [entry for entry in entries if entry["emergency_reason"]]
    assert emergency["emergency_reason"] == REASON
    assert emergency["actor_id"] == carer.uid
    again = (await api.get(f"{path}/access-log?page_size=1", patient)).json()
    assert again["items"][0]["text"] == "You looked at who saw your record."
    assert again["next_page_token"]


def test_every_action_on_a_patient_has_words() -> None:
    """Read from the code: an action that nobody found words for would read like one of ours."""
    import re

    text = "".join(
        path.read_text()
        for folder in ("functions", "common")
        for path in (ROOT / folder).rglob("*.py")
    )
    actions = set(
        re.findall(
            r'"((?:patients|history|care-team|break-glass|access-log|access-grants|notifications|users|appointments|waitlist|calendar|reviews|transcriptions|notes|prompts)\.[a-z-]+)"',
            text,
        )
    )
    assert len(actions) > 20
    without_subject = {"patients.list", "users.list"}
    assert {action for action in actions - without_subject if not knows(action)} == set()


def test_what_has_no_words_is_still_told() -> None:
    event = AuditEvent(
        create_time=now(),
        update_time=now(),
        actor_uid="d",
        actor_role=None,
        action="images.read",
        resource="medical_images/1",
        subject_uid="p",
        outcome=Outcome.ALLOWED,
        request_id="",
        address="",
    )
    assert sentence(event, "Dr. X") == "Dr. X did something with your record (images.read)."
