"""Patients' profiles: entering, reading, changing, listing, archiving, holding, erasing."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.auth import Principal
from common.clinical import Ground, HistoryRecord, HistoryType, Patient
from common.crypto import patient_keys
from common.firestore import Batch, now
from common.models import Role
from common.patients import history, patients
from functions.patients import policy
from tests.client import (
    A_PATIENT,
    A_RECORD,
    Api,
    Person,
    a_listed_doctor,
    a_patient,
    a_record,
    admit,
    register,
)

PATIENT, DOCTOR, ADMIN = (
    Principal("p1", Role.PATIENT),
    Principal("d1", Role.DOCTOR),
    Principal("a1", Role.ADMIN),
)


@pytest.fixture(scope="module")
async def known(api: Api) -> Person:
    """A patient whom the tests of this module share; none changes them for the others."""
    return await a_patient(api)


@pytest.fixture(scope="module")
async def carer(api: Api, admin: Person, known: Person) -> Person:
    """A verified doctor on that patient's care team."""
    doctor = await a_listed_doctor(api, admin)
    await admit(api, known, doctor)
    return doctor


# ---------------------------------------------------------------- policy


@pytest.mark.parametrize(
    ("who", "user_id", "may"),
    [
        (PATIENT, None, True),
        (PATIENT, "p1", True),
        (PATIENT, "p2", False),
        (DOCTOR, None, True),
        (DOCTOR, "p1", False),
        (DOCTOR, "d1", False),
        (ADMIN, None, True),
        (ADMIN, "p1", True),
    ],
)
def test_who_may_enter_whose_record(who: Principal, user_id: str | None, may: bool) -> None:
    assert policy.can_create(who, user_id) is may


@pytest.mark.parametrize(
    ("ground", "clinical", "contacts", "archive", "history"),
    [
        (Ground.SELF, True, True, True, False),
        (Ground.ADMIN, True, True, True, True),
        (Ground.CARE_TEAM, True, False, False, True),
        (Ground.BREAK_GLASS, True, False, False, True),
    ],
)
def test_what_each_ground_lets_somebody_do(
    ground: Ground, clinical: bool, contacts: bool, archive: bool, history: bool
) -> None:
    assert policy.can_update(ground, {"allergies", "name"}) is clinical
    for field in ("contacts", "insurance", "emergency_contacts", "address", "national_id"):
        assert policy.can_update(ground, {"allergies", field}) is contacts
    assert policy.can_archive(ground) is archive
    assert policy.can_export(ground) is archive
    assert policy.can_share(ground) is archive
    assert policy.can_see_national_id(ground) is archive
    assert policy.can_write_history(ground) is history


@pytest.mark.parametrize(
    ("who", "ground", "may"),
    [
        (DOCTOR, Ground.CARE_TEAM, True),
        (DOCTOR, Ground.BREAK_GLASS, True),
        (Principal("d2", Role.DOCTOR), Ground.CARE_TEAM, False),
        (ADMIN, Ground.ADMIN, True),
        (DOCTOR, Ground.SELF, False),
        (PATIENT, Ground.SELF, False),
    ],
)
def test_who_may_amend_what_d1_entered(who: Principal, ground: Ground, may: bool) -> None:
    moment = now()
    record = HistoryRecord(
        create_time=moment,
        update_time=moment,
        type=HistoryType.NOTE,
        occurred_on=moment.date(),
        author_uid="d1",
        editor_uid="d1",
        sealed={},
    )
    assert policy.can_amend(who, ground, record) is may


# ---------------------------------------------------------------- entering


async def test_a_patient_enters_a_record_and_reads_it_as_entered(api: Api) -> None:
    person = await register(api)
    made = await api.post("/v1/patients", person, json=A_PATIENT)
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/patients/{person.uid}"
    shown = await api.get(made.headers["location"], person)
    assert shown.json() == made.json()
    assert shown.headers["etag"] == made.headers["etag"]
    assert made.json()["contacts"]["phone"] == "+34612345678"
    assert {name: made.json()[name] for name in ("name", "birth_date", "national_id")} == {
        name: A_PATIENT[name] for name in ("name", "birth_date", "national_id")
    }


async def test_name_birth_date_and_sex_are_enough(api: Api) -> None:
    person = await register(api)
    least = {name: A_PATIENT[name] for name in ("name", "birth_date", "sex")}
    made = await api.post("/v1/patients", person, json=least)
    assert made.status_code == 201
    shown = (await api.get(f"/v1/patients/{person.uid}", person)).json()
    assert shown["allergies"] == []
    assert shown["contacts"] == {"phone": None, "email": None}


async def test_an_account_has_one_record(api: Api, known: Person, admin: Person) -> None:
    for who, body in ((known, A_PATIENT), (admin, {**A_PATIENT, "user_id": known.uid})):
        answer = await api.post("/v1/patients", who, json=body)
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("patient-exists")


async def test_of_twenty_racing_entries_one_makes_the_record(api: Api) -> None:
    person = await register(api)
    answers = await asyncio.gather(
        *(api.post("/v1/patients", person, json=A_PATIENT) for _ in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert (await api.get(f"/v1/patients/{person.uid}", person)).status_code == 200


async def test_a_repeated_entry_with_its_key_is_replayed_and_stored_sealed(api: Api) -> None:
    person = await register(api)
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    first = await api.post("/v1/patients", person, json=A_PATIENT, headers=headers)
    second = await api.post("/v1/patients", person, json=A_PATIENT, headers=headers)
    assert first.status_code == second.status_code == 201
    assert second.content == first.content
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["idempotent-replayed"] == "true"


async def test_a_doctor_enters_a_patient_without_an_account_and_cares_for_them(
    api: Api, carer: Person, admin: Person
) -> None:
    made = await api.post("/v1/patients", carer, json=A_PATIENT)
    assert made.status_code == 201
    path = made.headers["location"]
    assert (await api.get(path, carer)).status_code == 200
    other = await a_listed_doctor(api, admin)
    assert (await api.get(path, other)).status_code == 404


async def test_an_unverified_doctor_enters_nobody(api: Api, doctor: Person) -> None:
    assert (await api.post("/v1/patients", doctor, json=A_PATIENT)).status_code == 403


async def test_an_administrator_enters_the_record_of_an_account(api: Api, admin: Person) -> None:
    person = await register(api)
    body = {**A_PATIENT, "user_id": person.uid}
    assert (await api.post("/v1/patients", admin, json=body)).status_code == 201
    assert (await api.get(f"/v1/patients/{person.uid}", person)).status_code == 200


@pytest.mark.parametrize("role", ["doctor", None])
async def test_an_administrator_enters_no_record_for_what_is_no_patients_account(
    api: Api, admin: Person, role: str | None
) -> None:
    uid = (await register(api, role)).uid if role else "nobody"
    answer = await api.post("/v1/patients", admin, json={**A_PATIENT, "user_id": uid})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/user_id"


TOMORROW = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("birth_date", TOMORROW, "/birth_date"),
        ("birth_date", "1899-12-31", "/birth_date"),
        ("birth_date", "1990-02-30", "/birth_date"),
        ("birth_date", "yesterday", "/birth_date"),
        ("birth_date", 5, "/birth_date"),
        ("sex", "f", "/sex"),
        ("blood_type", "C+", "/blood_type"),
        ("name", " ", "/name"),
        ("contacts", {"phone": "12345"}, "/contacts/phone"),
        ("contacts", {"fax": "+34612345678"}, "/contacts/fax"),
        ("emergency_contacts", [{"name": "A", "relationship": "B", "phone": "+3461"}], "/emergency_contacts/0/phone"),
        ("insurance", [{"provider": "A", "member_id": "B", "valid_from": "2026-02-01", "valid_to": "2026-01-01"}], "/insurance/0"),
        ("medications", [{"name": "A", "started_on": "2020-02-01", "ended_on": "2020-01-01"}], "/medications/0"),
        ("conditions", [{"name": "A", "code": {"system": "snomed", "value": "195967002"}}], "/conditions/0/code"),
        ("conditions", [{"name": "A", "onset_on": TOMORROW}], "/conditions/0/onset_on"),
        ("allergies", [{"substance": "A"}] * 61, "/allergies"),
        ("is_archived", True, "/is_archived"),
        ("sealed", {}, "/sealed"),
    ],
)  # fmt: skip
async def test_what_can_not_be_is_refused_by_its_place(
    api: Api, known: Person, field: str, value: Any, pointer: str
) -> None:
    for answer in (
        await api.post("/v1/patients", known, json={**A_PATIENT, field: value}),
        await api.put(f"/v1/patients/{known.uid}", known, json={field: value}),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith(pointer)


# ---------------------------------------------------------------- reading and changing


async def test_a_doctor_sees_all_but_the_national_id(
    api: Api, known: Person, carer: Person
) -> None:
    own = (await api.get(f"/v1/patients/{known.uid}", known)).json()
    seen = (await api.get(f"/v1/patients/{known.uid}", carer)).json()
    assert own["national_id"] == A_PATIENT["national_id"]
    assert seen == {**own, "national_id": None}


async def test_a_change_replaces_what_it_names_and_nothing_else(api: Api) -> None:
    person = await a_patient(api)
    path = f"/v1/patients/{person.uid}"
    before = (await api.get(path, person)).json()
    change: dict[str, Any] = {"allergies": [], "blood_type": None, "name": "Ana García Ruiz"}
    changed = await api.put(path, person, json=change)
    assert changed.status_code == 200
    after = await api.get(path, person)
    expected = {**before, **change, "update_time": after.json()["update_time"]}
    assert after.json() == changed.json() == expected
    assert after.headers["etag"] == changed.headers["etag"]


async def test_a_doctor_changes_what_is_clinical_and_is_refused_the_rest(
    api: Api, known: Person, carer: Person
) -> None:
    path = f"/v1/patients/{known.uid}"
    assert (await api.put(path, carer, json={"blood_type": "O+"})).status_code == 200
    for field in ("contacts", "insurance", "emergency_contacts", "address", "national_id"):
        change = {"blood_type": "O+", field: A_PATIENT[field]}
        assert (await api.put(path, carer, json=change)).status_code == 403


async def test_if_match_protects_a_change(api: Api) -> None:
    person = await a_patient(api)
    path = f"/v1/patients/{person.uid}"
    etag = (await api.get(path, person)).headers["etag"]
    headers = {"If-Match": etag}
    assert (await api.put(path, person, json={"sex": "other"}, headers=headers)).status_code == 200
    await api.put(path, person, json={"allergies": []})
    wish = {"sex": "male", "blood_type": None}
    late = await api.put(path, person, json=wish, headers=headers)
    assert late.status_code == 412
    told = {error["pointer"]: error["detail"] for error in late.json()["errors"]}
    assert set(told) == {"/sex", "/allergies"}
    assert "too" in told["/sex"]
    assert "too" not in told["/allergies"]
    current = await api.get(path, person)
    assert late.headers["etag"] == current.headers["etag"]
    assert (await api.get(path, person)).json()["sex"] == "other"


@pytest.mark.parametrize("name", ["فاطمة الزهراء", "王小明", "Zoë d’Arcy", "e\u0301lodie"])
async def test_names_of_all_scripts_are_kept_and_found(api: Api, admin: Person, name: str) -> None:
    mark = secrets.token_hex(4)
    await a_patient(api, name=f"{name} {mark}")
    found = (await api.get(f"/v1/patients?q={name.split()[0]}&page_size=100", admin)).json()
    assert any(item["name"].endswith(mark) for item in found["items"])


# ---------------------------------------------------------------- lists


async def test_a_doctor_lists_theirs_by_name_page_by_page(api: Api, admin: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    names = [f"{letter} Pagina" for letter in "CADB"]
    for name in names:
        await admit(api, await a_patient(api, name=name), doctor)
    await a_patient(api, name="E Pagina")  # not theirs
    shown: list[str] = []
    token = ""
    while token is not None:
        query = f"?q=pagina&page_size=3{f'&page_token={token}' if token else ''}"
        page = (await api.get(f"/v1/patients{query}", doctor)).json()
        shown += [item["name"] for item in page["items"]]
        token = page["next_page_token"]
    assert shown == sorted(names)


async def test_a_list_shows_a_patient_as_they_are_now_called(api: Api, admin: Person) -> None:
    doctor, mark = await a_listed_doctor(api, admin), secrets.token_hex(4)
    patient = await a_patient(api, name="Before")
    await admit(api, patient, doctor)
    await api.put(f"/v1/patients/{patient.uid}", patient, json={"name": mark, "sex": "other"})
    for who in (doctor, admin):
        (item,) = (await api.get(f"/v1/patients?q={mark}", who)).json()["items"]
        assert (item["name"], item["sex"]) == (mark, "other")
        assert not (await api.get("/v1/patients?q=Before", doctor)).json()["items"]


async def test_a_patient_renamed_while_a_doctor_joins_is_listed_by_the_new_name(
    api: Api, admin: Person
) -> None:
    patient = await a_patient(api)
    doctors = [await a_listed_doctor(api, admin) for _ in range(3)]
    marks = [secrets.token_hex(4) for _ in range(3)]
    await asyncio.gather(
        *(admit(api, patient, doctor) for doctor in doctors),
        *(api.put(f"/v1/patients/{patient.uid}", patient, json={"name": m}) for m in marks),
    )
    name = (await api.get(f"/v1/patients/{patient.uid}", patient)).json()["name"]
    for doctor in doctors:
        (item,) = (await api.get("/v1/patients", doctor)).json()["items"]
        assert item["name"] == name


async def test_a_doctors_list_leaves_out_whom_they_may_no_longer_see(
    api: Api, admin: Person
) -> None:
    doctor = await a_listed_doctor(api, admin)
    kept, gone = await a_patient(api, name="A"), await a_patient(api, name="B")
    for patient in (kept, gone):
        await admit(api, patient, doctor)
    await api.delete(f"/v1/patients/{gone.uid}/care-team/{doctor.uid}", gone)
    items = (await api.get("/v1/patients", doctor)).json()["items"]
    assert [item["patient_id"] for item in items] == [kept.uid]


async def test_a_doctor_with_no_patients_gets_an_empty_list(api: Api, doctor: Person) -> None:
    answer = await api.get("/v1/patients", doctor)
    assert answer.json() == {"items": [], "next_page_token": None}


# ---------------------------------------------------------------- the end of a record


async def test_an_archived_record_is_hidden_read_only_and_can_be_restored(
    api: Api, admin: Person
) -> None:
    mark = secrets.token_hex(4)
    doctor, patient = await a_listed_doctor(api, admin), await a_patient(api, name=mark)
    await admit(api, patient, doctor)
    record = await a_record(api, patient, doctor)
    path = f"/v1/patients/{patient.uid}"

    async def listed(query: str = "") -> list[int]:
        found = [
            (await api.get(f"/v1/patients?q={mark}{query}", who)).json() for who in (admin, doctor)
        ]
        return [len(page["items"]) for page in found]

    for _ in range(2):  # again is no harm
        assert (await api.delete(path, patient)).status_code == 204
    assert await listed() == [0, 0]
    assert await listed("&is_archived=true") == [1, 1]
    assert (await api.get(path, doctor)).json()["is_archived"] is True
    assert (await api.get(f"{path}/history", patient)).status_code == 200
    entry = f"{path}/history/{record['record_id']}"
    grant = f"{path}/care-team/{(await a_listed_doctor(api, admin)).uid}"
    for refused in (
        await api.put(path, patient, json={"sex": "other"}),
        await api.post(f"{path}/history", doctor, json=A_RECORD),
        await api.put(entry, doctor, json={"title": "B"}),
        await api.put(grant, patient, json={}),
    ):
        assert refused.status_code == 409
        assert refused.json()["type"].endswith("patient-archived")
    assert (await api.delete(f"{path}/care-team/{doctor.uid}", patient)).status_code == 204
    for _ in range(2):
        restored = await api.post(f"{path}/restore", admin)
        assert restored.json()["is_archived"] is False
    assert (await api.put(path, patient, json={"sex": "other"})).status_code == 200
    assert (await listed())[0] == 1


async def age(patient: Person, **times: datetime | None) -> None:
    """Move the times of a patient's document, as a clock would."""
    batch = Batch()
    batch.update(patients.path(patient.uid), times)
    await batch.commit()


LONG_AGO = datetime.now(UTC) - timedelta(days=7 * 366)


async def test_what_must_be_kept_is_not_erased_and_the_answer_says_until_when(
    api: Api, admin: Person
) -> None:
    patient = await a_patient(api)
    answer = await api.post(f"/v1/patients/{patient.uid}/erasure", admin)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("retention-not-over")
    assert str(now().year + 6) in answer.json()["detail"]
    assert (await api.get(f"/v1/patients/{patient.uid}", patient)).status_code == 200


async def test_one_late_entry_keeps_the_whole_record(api: Api, admin: Person) -> None:
    doctor, patient = await a_listed_doctor(api, admin), await a_patient(api)
    await admit(api, patient, doctor)
    await a_record(api, patient, doctor)
    await age(patient, clinical_time=LONG_AGO)
    answer = await api.post(f"/v1/patients/{patient.uid}/erasure", admin)
    assert answer.json()["type"].endswith("retention-not-over")


async def test_a_legal_hold_keeps_what_retention_would_let_go(api: Api, admin: Person) -> None:
    patient = await a_patient(api)
    await age(patient, clinical_time=LONG_AGO)
    path = f"/v1/patients/{patient.uid}"
    held = {"is_held": True, "reason": "canary: lawsuit"}
    assert (await api.put(f"{path}/legal-hold", admin, json=held)).json()["is_held"] is True
    assert (await api.get(f"{path}/legal-hold", admin)).json()["reason"] == held["reason"]
    answer = await api.post(f"{path}/erasure", admin)
    assert answer.json()["type"].endswith("legal-hold")
    stored = await patients.get(patient.uid)
    assert stored
    assert "lawsuit" not in repr(stored)
    await api.put(f"{path}/legal-hold", admin, json={"is_held": False})
    assert (await api.post(f"{path}/erasure", admin)).status_code == 204


async def test_a_record_without_clinical_content_can_be_erased_at_once(
    api: Api, admin: Person
) -> None:
    least = {name: A_PATIENT[name] for name in ("name", "birth_date", "sex")}
    person = await register(api)
    await api.post("/v1/patients", person, json=least)
    assert (await api.post(f"/v1/patients/{person.uid}/erasure", admin)).status_code == 204


async def test_an_erased_record_is_gone_for_everybody_and_its_key_destroyed(
    api: Api, admin: Person
) -> None:
    doctor, patient = await a_listed_doctor(api, admin), await a_patient(api)
    await admit(api, patient, doctor)
    record = await a_record(api, patient, doctor)
    path = f"/v1/patients/{patient.uid}"
    await api.put(f"{path}/history/{record['record_id']}", doctor, json={"title": "B"})
    await age(patient, clinical_time=LONG_AGO)
    batch = Batch()
    batch.update(history.path(patient.uid, record["record_id"]), {"update_time": LONG_AGO})
    await batch.commit()
    assert (await api.post(f"{path}/erasure", admin)).status_code == 204
    for who in (patient, doctor, admin):
        for each in (path, f"{path}/history", f"{path}/history/{record['record_id']}"):
            assert (await api.get(each, who)).status_code == 404
    assert (await api.get(f"{path}/export", patient)).status_code == 404
    key = await patient_keys.get(patient.uid)
    assert key
    assert key.keyset is None
    assert key.destroy_time
    left = await children(patient.uid)
    assert left == []
    again = await api.post("/v1/patients", patient, json=A_PATIENT)
    assert again.status_code == 409  # the key is destroyed, and no new one takes its name
    assert (await api.post(f"{path}/erasure", admin)).status_code == 404


async def children(patient_id: str) -> list[str]:
    """Paths of all documents at or below a patient's."""
    from common.clients import firestore_client

    found: list[str] = []
    client = firestore_client()
    pending = [client.document(f"patients/{patient_id}")]
    while pending:
        document = pending.pop()
        if (await document.get()).exists:
            found.append(document.path)
        async for collection in document.collections():
            async for child in collection.list_documents():
                pending.append(child)
    return found


async def test_an_erasure_that_broke_off_is_completed_when_asked_again(
    api: Api, admin: Person, recorder: Any
) -> None:
    patient = await a_patient(api)
    await age(patient, clinical_time=LONG_AGO)
    path = f"/v1/patients/{patient.uid}"

    def is_key(commit: Any) -> bool:
        return any("/patient_keys/" in write.update.name for write in commit.writes)

    with recorder.broken("Commit", when=is_key):
        assert (await api.post(f"{path}/erasure", admin)).status_code == 503
    assert (await api.get(path, patient)).status_code == 404  # it has begun, so it is to nobody
    assert (await api.post(f"{path}/erasure", admin)).status_code == 204
    assert await children(patient.uid) == []


def test_a_patient_document_has_no_field_that_its_schema_forgot() -> None:
    """What is shown is constructed without validation, so every field must have a source."""
    from common.clinical import PatientPrivate
    from functions.patients.schemas import PatientPublic

    sources = {*Patient.model_fields, *PatientPrivate.model_fields, "patient_id"}
    assert set(PatientPublic.model_fields) <= sources
