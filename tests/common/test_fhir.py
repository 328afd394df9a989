"""The export: FHIR resources that validate, refer to each other, and lose nothing.

Validated by fhir.resources as R4B, the nearest to R4 that it knows; what we
send of these resources is the same in both. It checks structure, types and
required elements. It does not check terminology bindings, invariants
(FHIRPath) or that references lead anywhere: what of these matters here is
tested by hand below.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from common import fhir
from common.clinical import HistoryPrivate, HistoryRecord, HistoryType, Patient, PatientPrivate, Sex
from common.models import Doctor, Location, Qualification
from tests.client import A_PATIENT

MOMENT = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
DAY = date(2026, 1, 5)


def a_patient(id: str = "p1", **fields: Any) -> Patient:
    patient = Patient(
        create_time=MOMENT,
        update_time=MOMENT,
        name=fields.pop("name", "Ana García"),
        birth_date=date(1984, 5, 6),
        sex=Sex.FEMALE,
        created_by=id,
        **fields,
    )
    patient.stored_as(f"patients/{id}", "")
    return patient


def a_profile(**fields: Any) -> PatientPrivate:
    given = {n: v for n, v in A_PATIENT.items() if n in PatientPrivate.model_fields}
    second = {"name": "B", "relationship": "friend", "phone": "+34612345678"}
    given["emergency_contacts"] = [*given["emergency_contacts"], second]
    given["insurance"] = [{"provider": "AOK", "plan": "Gold", "group": "G1", "member_id": "M1", "valid_from": "2020-01-01"}]  # fmt: skip
    return PatientPrivate.model_validate({**given, **fields})


def a_record(type: HistoryType, version: int = 1) -> HistoryRecord:
    return HistoryRecord(
        create_time=MOMENT,
        update_time=MOMENT,
        type=type,
        occurred_on=DAY,
        author_uid="d1",
        editor_uid="d2",
        version=version,
        sealed={},
    )


VALUES = [
    {"name": "HbA1c", "value": "7.00", "unit": "%", "low": "4.0", "high": "5.60"},
    {"name": "Protein", "text": "negative"},
    {"name": "Glucose", "value": "5", "unit": "mmol/L", "code": {"system": "loinc", "value": "2345-7"}},
]  # fmt: skip


def words(type: HistoryType, **fields: Any) -> HistoryPrivate:
    is_measured = type in (HistoryType.OBSERVATION, HistoryType.LAB_RESULT)
    values = {
        "title": f"Title of {type}",
        "description": "As it was said.",
        "code": {"system": "snomed", "value": "195967001"},
        "values": VALUES if is_measured else [],
        "attachments": [{"kind": "medical_image", "id": "i1", "title": "X-ray"}],
        **fields,
    }
    return HistoryPrivate.model_validate(values)


def a_doctor(id: str) -> Doctor:
    doctor = Doctor(
        create_time=MOMENT,
        update_time=MOMENT,
        name=f"Dr. {id}",
        specialties=[],
        qualifications=[
            Qualification(degree="MD", institution="U", year=2000, license_number="L1"),
            Qualification(degree="PhD", institution="V", year=2004),
        ],
        languages=["es-MX", "en"],
        location=Location(address="a", city="b", country="DE"),
    )
    doctor.stored_as(f"doctors/{id}", "")
    return doctor


def everything(patient_id: str = "p1") -> Iterator[fhir.Resource]:
    yield from fhir.of_patient(a_patient(patient_id), a_profile())
    for type in HistoryType:
        yield from fhir.of_record(
            patient_id, f"r-{type.name}".replace("_", "-"), a_record(type), words(type)
        )
    amended = words(HistoryType.LAB_RESULT, amendment_reason="The unit was wrong", attachments=[])
    for version in (3, 2):
        record = a_record(HistoryType.LAB_RESULT, version)
        yield from fhir.of_record(patient_id, "r-LAB-RESULT", record, amended)
    yield from (fhir.of_doctor(a_doctor(id)) for id in ("d1", "d2"))


def bundled(resources: Iterator[fhir.Resource]) -> str:
    async def stream() -> AsyncIterator[fhir.Resource]:
        for resource in resources:
            yield resource

    async def whole() -> bytes:
        return b"".join([piece async for piece in fhir.bundle(stream())])

    return asyncio.run(whole()).decode()


@pytest.fixture(scope="module")
def text() -> str:
    return bundled(everything())


@pytest.fixture(scope="module")
def entries(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["entry"]
    return found


def of_type(entries: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in entries if e["resource"]["resourceType"] == kind]


def nodes(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        for each in value.values():
            yield from nodes(each)
    if isinstance(value, list):
        for each in value:
            yield from nodes(each)


# ---------------------------------------------------------------- as a whole


def test_the_whole_record_validates(text: str, entries: list[dict[str, Any]]) -> None:
    Bundle.model_validate_json(text)
    kinds = {entry["resource"]["resourceType"] for entry in entries}
    assert kinds == {
        *("Patient", "Practitioner", "Coverage", "RelatedPerson", "AllergyIntolerance"),
        *("Condition", "MedicationStatement", "Procedure", "Immunization", "Observation"),
        "DocumentReference",
    }


def test_the_validation_sees_what_is_wrong(text: str) -> None:
    for wrong in (
        text.replace('"gender":"female"', '"gender":["female"]'),
        text.replace('"birthDate":"1984-05-06"', '"birthDate":"6.5.1984"'),
        text.replace('"beneficiary"', '"beneficary"'),
    ):
        assert wrong != text
        with pytest.raises(ValueError, match=r"."):
            Bundle.model_validate_json(wrong)


def test_a_record_of_nothing_but_name_birth_date_and_sex_validates() -> None:
    text = bundled(fhir.of_patient(a_patient(), PatientPrivate()))
    Bundle.model_validate_json(text)
    assert len(json.loads(text)["entry"]) == 1


def test_every_reference_leads_to_an_entry(entries: list[dict[str, Any]]) -> None:
    urls = {entry["fullUrl"] for entry in entries}
    references = [
        n["reference"] for n in nodes(entries) if isinstance(n, dict) and "reference" in n
    ]
    assert len(references) > 20
    assert set(references) <= urls


def test_an_entrys_url_is_its_own_but_for_earlier_versions(entries: list[dict[str, Any]]) -> None:
    """FHIR R4 bdl-7."""
    keys = [(e["fullUrl"], e["resource"].get("meta", {}).get("versionId")) for e in entries]
    assert len(set(keys)) == len(keys)
    versions = [r["meta"]["versionId"] for r in of_type(entries, "Observation") if r["id"] == "r-LAB-RESULT"]  # fmt: skip
    assert versions == ["1", "3", "2"]


def test_nothing_is_null_or_empty_and_ids_and_instants_have_their_form(
    entries: list[dict[str, Any]],
) -> None:
    assert not [n for n in nodes(entries) if n in (None, [], {}, "")]
    for entry in entries:
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", entry["resource"]["id"])
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", entry["fullUrl"])
    instants = [n["lastUpdated"] for n in nodes(entries) if isinstance(n, dict) and "lastUpdated" in n]  # fmt: skip
    assert set(instants) == {"2026-01-05T12:30:00.000+00:00"}


def test_an_id_that_fhir_does_not_take_is_replaced_everywhere_alike() -> None:
    text = bundled(everything("under_scored_" + "x" * 100))
    Bundle.model_validate_json(text)
    entries = json.loads(text)["entry"]
    test_every_reference_leads_to_an_entry(entries)
    test_nothing_is_null_or_empty_and_ids_and_instants_have_their_form(entries)


def test_the_same_record_has_the_same_urls_in_each_export(text: str) -> None:
    def urls(text: str) -> list[str]:
        return [entry["fullUrl"] for entry in json.loads(text)["entry"]]

    assert urls(bundled(everything())) == urls(text)
    other = urls(bundled(fhir.of_patient(a_patient("p2"), a_profile())))
    assert not set(other) & set(urls(text))


def test_a_stream_that_breaks_off_is_never_taken_for_a_whole_export() -> None:
    async def broken() -> AsyncIterator[fhir.Resource]:
        for number in range(400):
            yield {"resourceType": "Basic", "id": f"{number}", "text": "x" * 200}
        raise ConnectionError

    async def received() -> bytes:
        found = b""
        try:
            async for piece in fhir.bundle(broken()):
                found += piece
        except ConnectionError:
            pass
        return found

    found = asyncio.run(received())
    assert len(found) > 32_768
    with pytest.raises(json.JSONDecodeError):
        json.loads(found)


# ---------------------------------------------------------------- resource by resource


def test_a_measured_value_keeps_its_digits_as_a_number(text: str) -> None:
    assert '"value":7.00,' in text
    assert '"high":{"value":5.60,' in text


def test_an_observation_has_its_values_with_units_and_ranges(
    entries: list[dict[str, Any]],
) -> None:
    lab = next(r for r in of_type(entries, "Observation") if r["id"] == "r-LAB-RESULT")
    quantity, string, coded = lab["component"]
    assert quantity["valueQuantity"]["system"] == "http://unitsofmeasure.org"
    assert quantity["valueQuantity"]["code"] == "%"
    assert set(quantity["referenceRange"][0]) == {"low", "high"}
    assert string["valueString"] == "negative"
    assert coded["code"]["coding"] == [{"system": "http://loinc.org", "code": "2345-7"}]
    assert lab["category"][0]["coding"][0]["code"] == "laboratory"
    assert lab["status"] == "final"
    amended = [r for r in of_type(entries, "Observation") if r.get("meta", {}).get("versionId") in ("2", "3")]  # fmt: skip
    assert {r["status"] for r in amended} == {"amended"}
    assert "The unit was wrong" in amended[0]["note"][0]["text"]


def test_allergies_and_conditions_say_that_they_are_active(entries: list[dict[str, Any]]) -> None:
    """FHIR R4 ait-1 and con-3."""
    for kind in ("AllergyIntolerance", "Condition"):
        found = of_type(entries, kind)
        assert len(found) == 2
        assert {r["clinicalStatus"]["coding"][0]["code"] for r in found} == {"active"}


def test_an_allergy_without_a_known_reaction_invents_none() -> None:
    profile = a_profile(
        allergies=[{"substance": "Latex"}, {"substance": "Nuts", "severity": "mild"}]
    )
    plain, severe = (
        r for r in fhir.of_patient(a_patient(), profile) if r["resourceType"] == "AllergyIntolerance"
    )  # fmt: skip
    assert "reaction" not in plain
    assert severe["reaction"][0]["severity"] == "mild"
    assert severe["reaction"][0]["manifestation"] == [{"text": "Not recorded"}]


def test_the_profile_is_told_whole(entries: list[dict[str, Any]]) -> None:
    (patient,) = of_type(entries, "Patient")
    assert patient["name"] == [{"use": "official", "text": "Ana García"}]
    assert patient["gender"] == "female"
    assert patient["active"] is True
    assert patient["identifier"][0]["value"] == A_PATIENT["national_id"]
    assert {t["system"] for t in patient["telecom"]} == {"phone", "email"}
    assert patient["address"][0]["city"] == "Oaxaca"
    (coverage,) = of_type(entries, "Coverage")
    assert coverage["subscriberId"] == "M1"
    assert coverage["payor"] == [{"display": "AOK"}]
    assert [c["value"] for c in coverage["class"]] == ["Gold", "G1"]
    assert coverage["period"] == {"start": "2020-01-01"}
    assert len(of_type(entries, "RelatedPerson")) == 2
    blood = next(r for r in of_type(entries, "Observation") if "valueCodeableConcept" in r)
    assert blood["valueCodeableConcept"] == {"text": "O+"}
    assert blood["code"]["coding"][0] == {"system": "http://loinc.org", "code": "882-1"}


def test_a_note_is_a_document_whose_text_is_whole(entries: list[dict[str, Any]]) -> None:
    import base64

    note = next(r for r in of_type(entries, "DocumentReference") if r["id"] == "r-NOTE")
    data = note["content"][0]["attachment"]["data"]
    assert base64.b64decode(data).decode() == "As it was said."


def test_a_medication_that_ended_is_completed() -> None:
    profile = a_profile(
        medications=[
            {"name": "A", "started_on": "2020-01-01", "ended_on": "2020-02-01"},
            {"name": "B", "started_on": "2020-01-01"},
        ]
    )
    found = [r for r in fhir.of_patient(a_patient(), profile) if r["resourceType"] == "MedicationStatement"]  # fmt: skip
    assert [r["status"] for r in found] == ["completed", "active"]
    assert found[0]["effectivePeriod"] == {"start": "2020-01-01", "end": "2020-02-01"}


@settings(max_examples=60)
@given(
    name=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).filter(
        str.strip
    ),
    said=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
        str.strip
    ),
)
def test_whatever_people_are_called_and_say_comes_through(name: str, said: str) -> None:
    resources = [
        *fhir.of_patient(a_patient(name=name), PatientPrivate()),
        *fhir.of_record("p1", "r1", a_record(HistoryType.CONDITION), words(HistoryType.CONDITION, title=name, description=said)),
    ]  # fmt: skip
    text = bundled(iter(resources))
    Bundle.model_validate_json(text)
    entries = json.loads(text)["entry"]
    assert of_type(entries, "Patient")[0]["name"][0]["text"] == name
    assert of_type(entries, "Condition")[0]["note"][0]["text"] == said
