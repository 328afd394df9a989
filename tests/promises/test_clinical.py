"""Promises 4, 12, 17, 19, 20, 22, 23 and 25: the clinical record, its keys, its audit trail, its copies."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.access import access_grants
from common.audit import audit_events
from common.clients import firestore_client
from common.clinical import AccessGrant, HistoryPrivate, HistoryRecord, HistoryType, Patient
from common.crypto import Vault, patient_keys, vault_of
from common.firestore import Batch
from common.patients import history, patients
from common.problems import NotFound
from functions.patients.history.schemas import HistoryCreate
from functions.patients.schemas import PatientUpdate
from functions.patients.sharing import service as sharing
from local.platform import PROJECT, Platform
from local.ports import HOST
from ops.reapply_erasures import reapply_erasures
from ops.verify_audit import verify_audit
from tests.client import (
    A_PATIENT,
    A_RECORD,
    Api,
    Person,
    a_bookable_doctor,
    a_listed_doctor,
    a_patient,
    a_record,
    admit,
    book,
    free_starts,
    register,
)

REASON = "Unconscious in the emergency room"


async def write(path: str, fields: dict[str, Any]) -> None:
    batch = Batch()
    batch.update(path, fields)
    await batch.commit()


# ---------------------------------------------------------------- promise 3

_PROTECTED = sorted(
    {
        *(*Patient.model_fields, *HistoryRecord.model_fields, *AccessGrant.model_fields),
        *("patient_id", "user_id", "owner", "role", "record_id", "editor_id", "author_id", "expires_at"),
    }
)  # fmt: skip

_BODIES: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("PUT", "/v1/patients/{}", {"address": A_PATIENT["address"]}, set(PatientUpdate.model_fields)),
    ("PUT", "/v1/patients/{}", {"insurance": A_PATIENT["insurance"]}, set(PatientUpdate.model_fields)),
    ("PUT", "/v1/patients/{}/care-team/{}", {}, {"expires_at"}),
    ("POST", "/v1/patients", A_PATIENT, {*PatientUpdate.model_fields, "user_id"}),
    ("POST", "/v1/patients/{}/history", A_RECORD, set(HistoryCreate.model_fields)),
]  # fmt: skip


@pytest.fixture(scope="module")
async def owner(api: Api) -> Person:
    return await a_patient(api)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_p03_no_body_sets_what_is_not_its_senders_to_set_of_a_record(
    data: st.DataObject, owner: Person, platform: Platform
) -> None:
    method, path, body, known = data.draw(st.sampled_from(_BODIES))
    body = json.loads(json.dumps(body))
    nested = [each for value in body.values() for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]  # fmt: skip
    where = data.draw(st.sampled_from([body, *nested]))
    name = data.draw(st.sampled_from(_PROTECTED))
    if name in where or (where is body and name in known):
        return
    where[name] = data.draw(st.sampled_from(["admin", True, 5, ["x"], {"role": "admin"}, None]))
    url = platform.url + path.format(owner.uid, "nobody")
    answer = httpx.request(method, url, headers=owner.headers, json=body)
    assert answer.status_code in (403, 404, 422), (path, body, answer.text)


async def test_p03_after_all_those_attempts_the_record_is_as_it_was(
    owner: Person, figure: Any
) -> None:
    patient = await patients.get(owner.uid)
    assert patient
    forbidden = (patient.is_archived, patient.has_legal_hold, patient.is_being_erased)
    figure("forbidden writes to a record", sum(forbidden))
    assert forbidden == (False, False, False)
    assert patient.created_by == owner.uid
    assert await access_grants.find(owner.uid, limit=1) == []


# ---------------------------------------------------------------- promise 4


async def test_p04_breaking_the_glass_ends_after_an_hour_and_is_told_and_logged(
    api: Api, platform: Platform, admin: Person, figure: Any
) -> None:
    patient, doctor = await a_patient(api), await a_listed_doctor(api, admin)
    path = f"/v1/patients/{patient.uid}"
    assert (await api.post(f"{path}/break-glass", doctor, json={})).status_code == 422
    opened = await api.post(f"{path}/break-glass", doctor, json={"reason": REASON})
    assert timedelta(minutes=60) == sharing.BREAK_GLASS_FOR
    # The clock is moved: all but the last two seconds of the hour are over.
    grant = await access_grants.get(patient.uid, doctor.uid)
    assert grant
    assert grant.break_glass_until == datetime.fromisoformat(opened.json()["expires_at"])
    end = datetime.now(UTC) + timedelta(seconds=2)
    await write(grant.path, {"break_glass_until": end})
    assert (await api.get(path, doctor)).status_code == 200
    await asyncio.sleep((end - datetime.now(UTC)).total_seconds() + 0.01)
    assert (await api.get(path, doctor)).status_code == 404

    request_id = opened.headers["x-request-id"]
    events = await audit_events.find(where=[("request_id", "==", request_id)], limit=5)
    line = json.dumps({"patient_id": patient.uid, "doctor_id": doctor.uid})[1:-1]
    log = (platform.run_dir / "logs" / "patients.log").read_text()
    alerted = [each for each in log.splitlines() if "break glass" in each and line in each]
    told = [await _told(uid, patient.uid) for uid in (patient.uid, admin.uid)]
    figure("unlogged", 1 - len(events))
    figure("told: patient, administrator", told)
    assert [event.reason for event in events] == ["break_glass"]
    assert len(alerted) == 1
    assert told == [1, 1]
    assert REASON not in log


async def _told(uid: str, patient_id: str) -> int:
    notifications = firestore_client().collection(f"users/{uid}/notifications")
    found = [each.to_dict() or {} async for each in notifications.stream()]
    return len([each for each in found if each["patient_id"] == patient_id])


# ---------------------------------------------------------------- promise 12


async def test_p12_of_ten_who_each_add_an_allergy_none_loses_theirs(api: Api, figure: Any) -> None:
    patient = await a_patient(api, allergies=[])
    path = f"/v1/patients/{patient.uid}"

    async def add(substance: str) -> None:
        while True:
            seen = await api.get(path, patient)
            allergies = [*seen.json()["allergies"], {"substance": substance}]
            answer = await api.put(
                path,
                patient,
                json={"allergies": allergies},
                headers={"If-Match": seen.headers["etag"]},
            )
            if answer.status_code == 200:
                return
            assert answer.status_code in (412, 503)

    wanted = {f"Substance {number}" for number in range(10)}
    await asyncio.gather(*map(add, wanted))
    kept = (await api.get(path, patient)).json()["allergies"]
    figure("lost", len(wanted) - len(kept))
    assert {each["substance"] for each in kept} == wanted


# ---------------------------------------------------------------- promise 17


async def test_p17_no_document_of_a_record_comes_near_the_limit(
    api: Api, admin: Person, figure: Any
) -> None:
    """The fullest profile and the fullest entry that the API takes, in letters of four bytes."""
    line = "𝔸" * 200
    code = {"system": "snomed", "value": "195967001"}
    person = await register(api)
    body = {
        **A_PATIENT,
        "name": line,
        "address": {"lines": [line] * 4, "city": line, "state": line, "postal_code": line, "country": "MX"},
        "allergies": [{"substance": line, "reaction": line, "code": code, "severity": "severe"}] * 60,
        "conditions": [{"name": line, "code": code}] * 60,
        "medications": [{"name": line, "dosage": line, "code": code}] * 60,
        "insurance": [{"provider": line, "plan": line, "group": line, "member_id": line}] * 10,
        "emergency_contacts": [{"name": line, "relationship": line, "phone": "+34612345678"}] * 10,
    }  # fmt: skip
    made = await api.post("/v1/patients", person, json=body)
    assert made.status_code == 201, made.text
    doctor = await a_listed_doctor(api, admin)
    await admit(api, person, doctor)
    value = {"name": line, "value": "1.5", "unit": "x" * 40, "code": code, "low": "1", "high": "2"}
    record = await a_record(
        api,
        person,
        doctor,
        title=line,
        description="𝔸" * 20_000,
        values=[value] * 100,
        attachments=[{"kind": "transcription", "id": "a" * 128, "title": line}] * 20,
    )
    await api.put(
        f"/v1/patients/{person.uid}/history/{record['record_id']}",
        doctor,
        json={"reason": "𝔸" * 500},
    )
    sizes = {}
    for path in (
        patients.path(person.uid),
        access_grants.path(person.uid, doctor.uid),
        history.path(person.uid, record["record_id"]),
    ):
        sizes[path] = await _stored_bytes(path)
    figure("largest document, bytes", max(sizes.values()))
    assert max(sizes.values()) < 900_000


async def _stored_bytes(path: str) -> int:
    from common.rpc import get_document

    document = await get_document(path)
    assert document is not None
    return int(document.ByteSize())


async def test_p17_ten_years_of_history_are_listed_at_the_price_of_a_page(
    api: Api, admin: Person, recorder: Any, figure: Any
) -> None:
    patient = await a_patient(api)
    await fill_history(patient.uid, 520)
    path = f"/v1/patients/{patient.uid}/history?page_size=20"
    await api.get(path, patient)
    with recorder.counting() as counted:
        page = await api.get(path, patient)
    assert len(page.json()["items"]) == 20
    figure("reads for a page of 20 of 520", counted.reads)
    assert (counted.reads, counted.writes) == (21, 1)


async def fill_history(patient_id: str, count: int) -> None:
    """Weekly entries, going back from today, written straight to the store."""
    vault = await vault_of(patient_id)
    batch = Batch()
    for number in range(count):
        path = history.path(patient_id, f"{number:024x}")
        batch.create(path, _entry(vault, path, number))
        if len(batch) == 400:
            await batch.commit()
            batch = Batch()
    if len(batch):
        await batch.commit()


def _entry(vault: Vault, path: str, number: int) -> HistoryRecord:
    day = date(2026, 11, 20) - timedelta(days=number % 3650)
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    types = list(HistoryType)
    private = HistoryPrivate(title=f"Entry {number}", description="As it was said.")
    return HistoryRecord(
        create_time=moment,
        update_time=moment,
        type=types[number % len(types)],
        occurred_on=day,
        author_uid="d",
        editor_uid="d",
        sealed=vault.seal_all(path, private),
    )


async def test_ten_thousand_records_are_exported_as_one_bundle(
    api: Api, platform: Platform, figure: Any
) -> None:
    import psutil

    patient = await a_patient(api)
    await fill_history(patient.uid, 10_000)
    (pid,) = [p.popen.pid for p in platform.children.processes if p.name == "patients"]
    process = psutil.Process(pid)
    workers = [process, *process.children(recursive=True)]
    before = sum(worker.memory_info().rss for worker in workers)
    pieces, peak = [], 0
    async with api.http.stream(
        "GET", f"/v1/patients/{patient.uid}/export", headers=patient.headers, timeout=120
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/fhir+json"
        async for piece in answer.aiter_bytes():
            pieces.append(piece)
            peak = max(peak, sum(worker.memory_info().rss for worker in workers))
    entries = json.loads(b"".join(pieces))["entry"]
    titles = {json.dumps(entry).count("Entry ") for entry in entries}
    assert len(entries) > 10_000
    assert len({entry["fullUrl"] for entry in entries}) == len(entries)
    assert len(pieces) > 20  # it came as a stream
    assert titles
    figure("export of 10,000 records: MB more in memory", round((peak - before) / 1e6))


# ---------------------------------------------------------------- promises 19, 20 and 25: copies


@pytest.fixture
def folder(platform: Platform) -> Path:
    path = platform.run_dir / f"copies-{time.time_ns()}"
    path.mkdir()
    return path


async def emulator(platform: Platform, verb: str, **body: str) -> None:
    """The emulator's own `:export` and `:import`, which stand for `gcloud firestore export`."""
    url = f"http://{HOST}:{platform.ports.firestore}/emulator/v1/projects/{PROJECT}:{verb}"
    database = f"projects/{PROJECT}/databases/(default)"
    async with httpx.AsyncClient(timeout=120) as client:
        answer = await client.post(url, json={"database": database, **body})
    assert answer.status_code == 200, answer.text


async def export_to(platform: Platform, folder: Path) -> Path:
    await emulator(platform, "export", export_directory=str(folder), export_name="copy")
    return folder / "copy" / "copy.overall_export_metadata"


def bytes_of(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


async def import_from(platform: Platform, metadata: Path) -> None:
    await emulator(platform, "import", export_directory=str(metadata))


async def test_p19_no_clinical_word_is_legible_in_an_export(
    api: Api, platform: Platform, admin: Person, folder: Path, figure: Any
) -> None:
    canary = "Zanahoria"
    person, doctor = await register(api), await a_listed_doctor(api, admin)
    planted = {
        "national_id": canary,
        "contacts": {"email": f"{canary}@example.test"},
        "address": {"lines": [canary], "city": canary, "country": "MX"},
        "allergies": [{"substance": canary, "reaction": canary}],
        "conditions": [{"name": canary}],
        "medications": [{"name": canary, "dosage": canary}],
        "insurance": [{"provider": canary, "plan": canary, "member_id": canary, "group": canary}],
        "emergency_contacts": [{"name": canary, "relationship": canary, "phone": "+34612999888"}],
    }
    keyed = {"Idempotency-Key": f"key-{person.uid}"}
    body = {**A_PATIENT, **planted, "name": "Legible Name"}
    assert (await api.post("/v1/patients", person, json=body, headers=keyed)).status_code == 201
    await admit(api, person, doctor)
    path = f"/v1/patients/{person.uid}"
    entry = {**A_RECORD, "title": canary, "description": canary, "values": [{"name": canary, "text": canary}], "attachments": [{"kind": "transcription", "id": "a", "title": canary}]}  # fmt: skip
    made = await api.post(f"{path}/history", doctor, json=entry, headers=keyed)
    assert made.status_code == 201
    amended = {"title": f"{canary} 2", "reason": canary}
    await api.put(f"{path}/history/{made.json()['record_id']}", doctor, json=amended)
    emergency = {"reason": f"{canary} {canary} {canary}"}
    await api.post(f"{path}/break-glass", doctor, json=emergency, headers=keyed)
    held = {"is_held": True, "reason": canary}
    await api.put(f"{path}/legal-hold", admin, json=held)
    await api.put(f"{path}/legal-hold", admin, json={"is_held": False, "reason": canary})
    await export_to(platform, folder)
    copy = bytes_of(folder)
    assert b"Legible Name" in copy  # so what is not sealed can be found like this
    hits = [form for form in (canary, canary.lower(), "34612999888") if form.encode() in copy]
    figure("plaintext in an export", len(hits))
    assert hits == []


async def test_p20_an_older_copy_of_an_erased_patient_can_not_be_read(
    api: Api, platform: Platform, admin: Person, folder: Path, figure: Any
) -> None:
    patient, doctor = await a_patient(api), await a_listed_doctor(api, admin)
    await admit(api, patient, doctor)
    record = await a_record(api, patient, doctor)
    path = f"/v1/patients/{patient.uid}"
    ago = datetime.now(UTC) - timedelta(days=7 * 366)
    await write(patients.path(patient.uid), {"clinical_time": ago})
    await write(history.path(patient.uid, record["record_id"]), {"update_time": ago})
    copy = await export_to(platform, folder)
    assert (await api.post(f"{path}/erasure", admin)).status_code == 204
    await import_from(platform, copy)
    back = await history.get(patient.uid, record["record_id"])
    assert back  # the copy holds the record …
    assert await patients.get(patient.uid)
    readable = 0
    for who in (patient, admin):
        for each in (path, f"{path}/history", f"{path}/history/{record['record_id']}", f"{path}/export"):  # fmt: skip
            readable += (await api.get(each, who)).status_code != 404
    figure("readable", readable)
    assert readable == 0  # … and nothing opens it
    with pytest.raises(NotFound):
        await vault_of(patient.uid)
    key = await patient_keys.get(patient.uid)
    assert key
    assert key.keyset is None
    assert await reapply_erasures() >= 1
    assert await patients.get(patient.uid) is None
    assert await history.get(patient.uid, record["record_id"]) is None


@pytest.mark.whole_database
async def test_p25_after_a_restore_every_document_is_as_it_was(
    api: Api, admin: Person, platform: Platform, folder: Path, figure: Any
) -> None:
    patient, doctor = await a_patient(api), await a_bookable_doctor(api, admin)
    for start in (await free_starts(api, doctor))[:3]:
        await book(api, patient, doctor, start)
    await a_record(api, patient, doctor)
    shown = (await api.get(f"/v1/patients/{patient.uid}", patient)).json()
    before = await everything()
    started = time.monotonic()
    copy = await export_to(platform, folder)
    url = f"http://{HOST}:{platform.ports.firestore}/emulator/v1/projects/{PROJECT}"
    async with httpx.AsyncClient(timeout=120) as client:
        wiped = await client.delete(f"{url}/databases/(default)/documents")
        assert wiped.status_code == 200
    try:
        gone = await api.get(f"/v1/patients/{patient.uid}", patient)
        assert gone.status_code in (403, 404)  # their account's profile is gone too
    finally:
        await import_from(platform, copy)
    minutes = (time.monotonic() - started) / 60
    after = await everything()
    lost = {path for path in before if after.get(path) != before[path]}
    figure("documents", len(before))
    figure("documents not equal", len(lost))
    figure("minutes", f"{minutes:.2f}")
    assert len(before) > 20
    assert lost == set()
    assert (await api.get(f"/v1/patients/{patient.uid}", patient)).json() == shown


async def everything() -> dict[str, Any]:
    """Every document of the database, by its path."""
    client = firestore_client()
    top = [collection.id async for collection in client.collections()]
    found: dict[str, Any] = {}
    for name in {*top, *_BELOW}:
        async for snapshot in client.collection_group(name).stream():
            found[snapshot.reference.path] = snapshot.to_dict()
    return found


_BELOW = {
    *("devices", "notifications", "history", "versions", "access_grants", "break_glass"),
    *("booked", "reviews", "metrics"),
}

# ---------------------------------------------------------------- promise 23


@pytest.mark.whole_database
async def test_p23_whatever_is_done_to_the_trail_is_noticed(
    api: Api, platform: Platform, admin: Person, figure: Any
) -> None:
    patient = await a_patient(api)
    for _ in range(12):
        await api.get(f"/v1/patients/{patient.uid}", patient)
    written = await audit_events.find(where=[("subject_uid", "==", patient.uid)], limit=50)
    ids = sorted(event.id for event in written)
    inner = [id for id in ids if any(event.follows == id for event in written)]
    assert len(inner) >= 5
    logs = [platform.run_dir / "logs" / f"{name}.log" for name in platform.functions]

    async def noticed(with_logs: bool = False) -> set[str]:
        lines = [log.read_text().splitlines() for log in logs] if with_logs else []
        return {each.id for each in (await verify_audit(*lines)).breaks}

    before = await noticed(with_logs=True)
    undetected = []
    tampering: dict[str, tuple[Change, str]] = {}
    one, two = await _raw(inner[0]), await _raw(inner[1])
    tampering["edited"] = ({inner[0]: {**one, "actor_uid": "somebody"}}, inner[0])
    tampering["deleted"] = ({inner[1]: None}, inner[1])
    tampering["reordered"] = ({inner[0]: two, inner[1]: one}, inner[0])
    tampering["made senseless"] = ({inner[2]: {"a": 1}}, inner[2])
    tampering["invented"] = ({"0000000000000000-000001": one}, "0000000000000000-000001")
    for what, (change, expected) in tampering.items():
        async with _tampered(change):
            if expected not in await noticed() - before:
                undetected.append(what)
    last = max(written, key=lambda event: event.create_time).id
    async with _tampered({last: None}):
        if last not in await noticed(with_logs=True):
            undetected.append("the newest deleted")
    figure(f"undetected of {len(tampering) + 1}", len(undetected))
    assert undetected == []
    assert await noticed(with_logs=True) == before


Change = dict[str, dict[str, Any] | None]
"""What is to be written in an event's place, by its id; None: nothing."""


async def _raw(id: str) -> dict[str, Any]:
    found = (await firestore_client().document(audit_events.path(id)).get()).to_dict()
    assert found
    return dict(found)


@asynccontextmanager
async def _tampered(change: Change) -> AsyncIterator[None]:
    """The events changed as somebody would who can write to the database; then as they were."""
    client = firestore_client()
    documents = {id: client.document(audit_events.path(id)) for id in change}
    before = {id: (await document.get()).to_dict() for id, document in documents.items()}

    async def put(values: Change) -> None:
        for id, value in values.items():
            await (documents[id].delete() if value is None else documents[id].set(value))

    await put(change)
    try:
        yield
    finally:
        await put(before)
