"""Promises 16, 22 and 24: declared indexes, audit before access, and logs without patient data."""

import asyncio
import itertools
import secrets
from typing import Any

import grpc
from google.cloud.firestore_v1.types.query import StructuredQuery

from common.audit import audit_events
from local.platform import Platform
from tests.client import (
    A_PATIENT,
    A_PROFILE,
    A_RECORD,
    PASSWORD,
    Api,
    Person,
    a_listed_doctor,
    a_patient,
    an_email,
    register,
)
from tests.conftest import found_in_logs
from tests.indexes import is_declared
from tests.recorder import Recorder, Shape, shape_of


async def test_p16_every_combination_of_filters_has_a_declared_index(
    api: Api, admin: Person, recorder: Recorder, figure: Any
) -> None:
    recorder.shapes.clear()
    user_filters = ["role=doctor", "is_active=true", "email=a@example.test"]
    doctor_filters = ["specialty=cardiology", "city=Oaxaca", "language=es", "q=in", "sort=rating"]
    patient_filters = ["q=ana", "is_archived=true"]
    history_filters = ["type=note", "from=2020-01-01", "to=2026-01-01"]
    patient, doctor = await a_patient(api), await a_listed_doctor(api, admin)
    visit_filters = [
        f"patient_id={patient.uid}",
        f"doctor_id={doctor.uid}",
        "status=booked",
        "from=2026-01-01T00:00:00Z",
        "to=2027-01-01T00:00:00Z",
        "sort=-start",
    ]
    for path, who, filters in (
        ("/v1/users", admin, user_filters),
        ("/v1/doctors", admin, doctor_filters),
        ("/v1/patients", admin, patient_filters),
        ("/v1/patients", doctor, patient_filters),
        (f"/v1/patients/{patient.uid}/history", patient, history_filters),
        (f"/v1/patients/{patient.uid}/access-log", patient, []),
        (f"/v1/patients/{patient.uid}/care-team", patient, []),
        ("/v1/appointments", patient, visit_filters[1:4]),
        ("/v1/appointments", doctor, [visit_filters[0], *visit_filters[2:4]]),
        ("/v1/appointments", admin, visit_filters),
        ("/v1/appointments/waitlist", patient, ["status=waiting"]),
        ("/v1/appointments/waitlist", admin, ["status=waiting", f"patient_id={patient.uid}"]),
        (f"/v1/appointments/calendar/{doctor.uid}", doctor, []),
        (f"/v1/appointments/calendar/{patient.uid}", patient, []),
        (f"/v1/doctors/{doctor.uid}/reviews", admin, []),
        (f"/v1/doctors/{doctor.uid}/metrics", doctor, []),
    ):
        for size in range(len(filters) + 1):
            for chosen in itertools.combinations(filters, size):
                answer = await api.get(f"{path}?{'&'.join(chosen)}", who)
                assert answer.status_code == 200
    await api.get("/v1/doctors/specializations")
    figure("query shapes", len(recorder.shapes))
    undeclared = [shape for shape in recorder.shapes if not is_declared(shape)]
    figure("undeclared", len(undeclared))
    assert len(recorder.shapes) >= 10
    assert not undeclared


def test_p16_the_check_sees_a_missing_index() -> None:
    by_city = Shape("doctors", False, (("city", "EQUAL"),), (("name_key", "ASCENDING"),))
    anywhere = Shape("notifications", True, (("is_read", "EQUAL"),), ())
    two_arrays = Shape("doctors", False, (("a", "ARRAY_CONTAINS"), ("b", "ARRAY_CONTAINS")), ())
    assert not is_declared(by_city)
    assert not is_declared(anywhere)
    assert not is_declared(two_arrays)


def test_p16_a_comparison_with_null_is_a_filter_too() -> None:
    query = StructuredQuery.pb()()
    query.from_.add(collection_id="medical_images")
    query.where.unary_filter.field.field_path = "study_id"
    query.where.unary_filter.op = StructuredQuery.UnaryFilter.Operator.IS_NULL
    assert shape_of(query).filters == (("study_id", "EQUAL"),)


async def test_p22_without_its_audit_event_an_access_does_not_happen(
    api: Api, patient: Person, recorder: Recorder
) -> None:
    def is_audit(commit: Any) -> bool:
        return any("/audit_events/" in write.update.name for write in commit.writes)

    path = f"/v1/users/{patient.uid}"
    with recorder.broken("Commit", grpc.StatusCode.UNAVAILABLE, is_audit) as fault:
        read = await api.get(path, patient)
        written = await api.put(path, patient, json={"language": "fr"})
    assert fault.hits == 2
    assert read.status_code == written.status_code == 503
    assert patient.email not in read.text
    assert (await api.get(path, patient)).json()["language"] == "en"


async def test_p22_each_access_and_refusal_leaves_one_event(
    api: Api, patient: Person, admin: Person, figure: Any
) -> None:
    stranger = await register(api)
    path = f"/v1/users/{patient.uid}"
    asked = [
        (await api.get(path, patient), "users.read", "allowed", patient.uid),
        (await api.put(path, patient, json={"language": "de"}), "users.update", "allowed", patient.uid),
        (await api.get(path, stranger), "users.read", "refused", stranger.uid),
        (await api.put(path, stranger, json={}), "users.update", "refused", stranger.uid),
        (await api.delete(path, stranger), "users.deactivate", "refused", stranger.uid),
        (await api.put(f"{path}/role", admin, json={"role": "patient"}), "users.change-role", "allowed", admin.uid),
        (await api.put(f"{path}/role", stranger, json={"role": "admin"}), "role.refuse", "refused", stranger.uid),
    ]  # fmt: skip
    missing = extra = 0
    for answer, action, outcome, actor in asked:
        request_id = answer.headers["x-request-id"]
        events = await audit_events.find(where=[("request_id", "==", request_id)], limit=5)
        missing += not events
        extra += max(0, len(events) - 1)
        event = events[0]
        assert (event.action, event.outcome, event.actor_uid) == (action, outcome, actor)
        assert event.subject_uid == patient.uid
    figure("missing, extra", f"{missing}, {extra}")
    assert (missing, extra) == (0, 0)


async def test_p24_no_submitted_value_reaches_logs_or_errors(
    api: Api, platform: Platform, admin: Person, figure: Any
) -> None:
    """Planted in every field of every request; the whole suite's logs are read once more at its end."""
    canary = "canary" + secrets.token_hex(6)
    person = await register(api, "doctor", display_name=f"{canary} García")
    bad: list[tuple[str, str, Any]] = [
        ("POST", "/v1/register", {"email": f"{canary}@", "password": canary, "role": canary}),
        ("POST", "/v1/register", {"email": an_email(), "password": canary, canary + " x": canary}),
        ("POST", "/v1/login", {"email": f"{canary}@example.test", "password": canary}),
        ("POST", "/v1/refresh-token", {"refresh_token": canary}),
        ("PUT", f"/v1/users/{person.uid}", {"phone": canary, "time_zone": canary, "language": canary}),
        ("PUT", f"/v1/users/{person.uid}", [canary]),
        ("POST", "/v1/doctors", {**A_PROFILE, "name": canary, "fee": {"amount": canary}}),
        ("POST", "/v1/users/me/devices", {"token": canary + "!", "platform": canary}),
        ("GET", f"/v1/doctors?city={canary}&page_token={canary}", None),
        ("POST", "/v1/patients", {**dict.fromkeys(A_PATIENT, canary), canary + " x": canary}),
        ("POST", "/v1/patients", {**A_PATIENT, "conditions": [{"name": canary, "code": {"system": canary, "value": canary}}]}),
        ("POST", "/v1/patients", {**A_PATIENT, "medications": [{"name": canary, "started_on": canary, canary + " y": 1}]}),
        ("POST", f"/v1/patients/{person.uid}/history", dict.fromkeys(A_RECORD, canary)),
        ("POST", f"/v1/patients/{person.uid}/history", {**A_RECORD, "code": {"system": "loinc", "value": canary}}),
        ("POST", f"/v1/patients/{person.uid}/history", {**A_RECORD, "values": [{"name": canary, "value": canary, "unit": canary}]}),
        ("PUT", f"/v1/patients/{person.uid}/care-team/{person.uid}", {"expires_at": canary}),
        ("POST", f"/v1/patients/{person.uid}/break-glass", {"reason": canary[:19]}),
        ("GET", f"/v1/patients/{person.uid}/history?type={canary}&from={canary}", None),
    ]  # fmt: skip
    answers = await asyncio.gather(
        *(api.call(method, path, person, json=body) for method, path, body in bad)
    )
    for answer in answers:
        assert answer.status_code >= 400
        assert canary not in answer.text, answer.text
        assert not any(canary in value for value in answer.headers.values())
    good = await api.put(f"/v1/users/{person.uid}", person, json={"display_name": canary})
    assert good.status_code == 200
    await a_listed_doctor(api, admin, name=f"Dr. {canary}")
    assert (await api.get(f"/v1/doctors?q={canary}")).json()["items"]
    hits = found_in_logs(platform, (canary, PASSWORD))
    figure("hits", len(hits))
    assert not hits
