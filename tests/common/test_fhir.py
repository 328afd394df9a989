"""The export: FHIR resources that validate, refer to each other, and lose nothing.

Validated by fhir.resources as R4B, the nearest to R4 that it knows: what we
send of these resources is the same in both, but nothing here would notice an
element on which the two differ. It checks structure, most types and required
elements. It checks neither terminology bindings nor invariants (FHIRPath), nor
that references lead anywhere, nor a string's characters, base64, or an id's 64
characters. What of these matters here, `the_faults_of` checks by hand, after
https://hl7.org/fhir/R4. Whether a code exists in its system is checked nowhere.
"""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from common import fhir
from common.clinical import (
    Address,
    Allergy,
    AllergySeverity,
    Attachment,
    BloodType,
    Code,
    CodeSystem,
    Condition,
    ConditionStatus,
    Contacts,
    EmergencyContact,
    HistoryPrivate,
    HistoryRecord,
    HistoryType,
    Insurance,
    Measurement,
    Medication,
    Patient,
    PatientPrivate,
    Sex,
)
from common.models import Doctor, Line, Location, LongProse, Qualification

MOMENT = datetime(2026, 1, 5, 12, 30, 0, 123456, tzinfo=UTC)
DAY = date(2025, 12, 31)
MEASURED = (HistoryType.OBSERVATION, HistoryType.LAB_RESULT)

A_PROFILE: dict[str, Any] = {
    "national_id": "GALA840506",
    "blood_type": "AB-",
    "contacts": {"phone": "+34612345678", "email": "ana@example.test"},
    "address": {
        "lines": ["Calle de la Paz 1", "2.º izq."],
        "city": "Oaxaca de Juárez",
        "state": "Oaxaca",
        "postal_code": "68000",
        "country": "MX",
    },
    "allergies": [
        {
            "substance": "Penicillin",
            "code": {"system": "rxnorm", "value": "7980"},
            "reaction": "Hives",
            "severity": "severe",
        },
    ],
    "conditions": [
        {
            "name": "Asthma",
            "code": {"system": "snomed", "value": "195967001"},
            "status": "remission",
            "onset_on": "1999-08-07",
        },
    ],
    "medications": [
        {
            "name": "Salbutamol",
            "code": {"system": "rxnorm", "value": "435"},
            "dosage": "Two puffs",
            "started_on": "2020-01-02",
            "ended_on": "2020-03-04",
        },
    ],
    "insurance": [
        {
            "provider": "AOK",
            "plan": "Gold",
            "member_id": "M-1",
            "group": "G-1",
            "valid_from": "2019-01-01",
            "valid_to": "2030-12-31",
        },
    ],
    "emergency_contacts": [
        {"name": "María", "relationship": "Mother", "phone": "+34612345679"},
        {"name": "Luis", "relationship": "Friend", "phone": "+34612345670"},
    ],
    "legal_hold_reason": "Nobody is to read this",
}
"""Every field of it is given."""

VALUES = [
    {
        "name": "HbA1c",
        "code": {"system": "loinc", "value": "4548-4"},
        "value": "7.00",
        "unit": "%",
        "low": "4.0",
        "high": "5.60",
    },
    {"name": "Protein", "text": "negative"},
    {"name": "Glucose", "value": "5", "unit": "mmol/L", "low": "3.9"},
    {"name": "Lipase", "value": "0", "unit": "U/L"},
]


def a_patient(id: str = "p1", **fields: Any) -> Patient:
    given = {"name": "Ana García", "birth_date": date(1984, 5, 6), "sex": Sex.FEMALE, **fields}
    patient = Patient(create_time=MOMENT, update_time=MOMENT, created_by="creator", **given)
    patient.stored_as(f"patients/{id}", "")
    return patient


def a_profile(**fields: Any) -> PatientPrivate:
    return PatientPrivate.model_validate({**A_PROFILE, **fields})


def a_record(
    type: HistoryType, version: int = 1, author: str = "d1", editor: str | None = None
) -> HistoryRecord:
    return HistoryRecord(
        create_time=MOMENT,
        update_time=MOMENT + timedelta(days=version - 1),
        type=type,
        occurred_on=DAY,
        author_uid=author,
        editor_uid=editor or author,
        version=version,
        sealed={},
    )


def words(type: HistoryType, **fields: Any) -> HistoryPrivate:
    values = {
        "title": f"Title of {type}",
        "description": f"What was said of {type}.",
        "code": {"system": "icd-10", "value": "E11.9"},
        "values": VALUES if type in MEASURED else [],
        "attachments": [
            {"kind": "medical_image", "id": "image_1", "title": "X-ray"},
            {"kind": "transcription", "id": "spoken-1", "title": "Dictation"},
        ],
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


def everything(patient_id: str = "p1", prefix: str = "r") -> Iterator[fhir.Resource]:
    """A record as full as can be: each type of history, once as it was and once as amended."""
    yield from fhir.of_patient(a_patient(patient_id), a_profile())
    for number, type in enumerate(HistoryType):
        amended = words(type, amendment_reason="The side was wrong")
        for version, said in ((2, amended), (1, words(type))):
            record = a_record(type, version, editor="d2" if version == 2 else None)
            yield from fhir.of_record(patient_id, f"{prefix}{number}", record, said)
    yield fhir.of_doctor(a_doctor("d1"))
    yield fhir.of_author("d2", "Marta of the archive")


def bundled(resources: Iterable[fhir.Resource]) -> str:
    async def stream() -> AsyncIterator[fhir.Resource]:
        for resource in resources:
            yield resource

    async def whole() -> bytes:
        return b"".join([piece async for piece in fhir.bundle(stream())])

    return asyncio.run(whole()).decode()


Entry = dict[str, Any]


def entries_of(text: str) -> list[Entry]:
    """Numbers with their digits, as FHIR asks of who reads them."""
    found: list[Entry] = json.loads(text, parse_float=Decimal, parse_int=Decimal)["entry"]
    return found


@pytest.fixture(scope="module")
def text() -> str:
    return bundled(everything())


@pytest.fixture(scope="module")
def entries(text: str) -> list[Entry]:
    return entries_of(text)


def of_type(entries: list[Entry], kind: str) -> list[fhir.Resource]:
    return [e["resource"] for e in entries if e["resource"]["resourceType"] == kind]


def record_of(entries: list[Entry], type: HistoryType, version: int = 1) -> fhir.Resource:
    """This version of `everything`'s record of the type."""
    id = f"r{list(HistoryType).index(type)}"
    (found,) = (
        entry["resource"]
        for entry in entries
        if entry["resource"]["id"] == id and entry["resource"]["meta"]["versionId"] == str(version)
    )
    return dict(found)


def nodes(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in it with the name of its element."""
    yield name, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from nodes(each, key)
    if isinstance(value, list):
        for each in value:
            yield from nodes(each, name)


# ---------------------------------------------------------------- what R4 asks

_YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_DAY = rf"{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_INSTANT = rf"{_DAY}T{_TIME}{_ZONE}"
_ID = r"[A-Za-z0-9\-.]{1,64}"
_CODE = r"[^\s]+(\s[^\s]+)*"
_URN = r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

FORMS = {
    "id": _ID,
    "versionId": _ID,
    "lastUpdated": _INSTANT,
    "timestamp": _INSTANT,
    "date": _INSTANT,
    **dict.fromkeys(("birthDate", "onsetDateTime", "effectiveDateTime", "start", "end"), _DAY),
    **dict.fromkeys(("performedDateTime", "occurrenceDateTime"), _DAY),
    **dict.fromkeys(("code", "status", "gender", "use", "contentType", "severity"), _CODE),
    **dict.fromkeys(("system", "url"), r"\S+"),
    **dict.fromkeys(("fullUrl", "reference"), _URN),
}

CODES = {
    "Patient.gender": "male female other unknown",
    "Coverage.status": "active cancelled draft entered-in-error",
    "Immunization.status": "completed entered-in-error not-done",
    "MedicationStatement.status": "active completed entered-in-error intended stopped on-hold unknown not-taken",
    "Procedure.status": "preparation in-progress not-done on-hold stopped completed entered-in-error unknown",
    "Observation.status": "registered preliminary final amended corrected cancelled entered-in-error unknown",
    "DocumentReference.status": "current superseded entered-in-error",
}  # fmt: skip
"""R4's required bindings."""

CLINICAL_STATUS = {
    "AllergyIntolerance": "active inactive resolved",
    "Condition": "active recurrence relapse inactive remission resolved",
}

SYSTEMS = {
    "http://hl7.org/fhir/sid/icd-10",
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://unitsofmeasure.org",
    "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
    "http://terminology.hl7.org/CodeSystem/condition-clinical",
    "http://terminology.hl7.org/CodeSystem/coverage-class",
    "http://terminology.hl7.org/CodeSystem/observation-category",
    "urn:ietf:bcp:47",
    "phone",  # of a ContactPoint this is a code
    "email",
}


def the_faults_of(entries: list[Entry]) -> set[str]:
    """Which rules of R4 are broken, of those that the validation does not know."""
    return {
        *faults_of_bundle(entries),
        *(fault for entry in entries for fault in faults_of_resource(entry["resource"])),
        *(fault for name, node in nodes(entries) for fault in faults_of_node(name, node)),
    }


def faults_of_bundle(entries: list[Entry]) -> Iterator[str]:
    versions = [(e["fullUrl"], e["resource"].get("meta", {}).get("versionId")) for e in entries]
    if len(set(versions)) < len(versions):
        yield "bdl-7"
    kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in entries}
    for _, node in nodes(entries):
        if isinstance(node, dict) and "reference" in node:
            if node["reference"] not in kinds:
                yield "a reference leads nowhere"
            elif node["type"] != kinds[node["reference"]]:
                yield "a reference leads to something else"


def faults_of_resource(resource: fhir.Resource) -> Iterator[str]:
    kind = resource["resourceType"]
    for path, codes in CODES.items():
        of, _, name = path.partition(".")
        if of == kind and resource[name] not in codes.split():
            yield path
    if kind in CLINICAL_STATUS:
        invariant = "ait-1" if kind == "AllergyIntolerance" else "con-3"
        codings = resource.get("clinicalStatus", {}).get("coding", [])
        if not codings or codings[0]["code"] not in CLINICAL_STATUS[kind].split():
            yield invariant
    if kind == "Observation":
        components = resource.get("component", [])
        has_value = any(name.startswith("value") for name in resource)
        if any(
            "dataAbsentReason" in part and any(name.startswith("value") for name in part)
            for part in (resource, *components)
        ):
            yield "obs-6"
        own = codings_in(resource["code"])
        if has_value and any(own & codings_in(part["code"]) for part in components):
            yield "obs-7"


def codings_in(concept: dict[str, Any]) -> set[tuple[str, str]]:
    return {(coding["system"], coding["code"]) for coding in concept.get("coding", [])}


def faults_of_node(name: str, node: Any) -> Iterator[str]:
    if node is None or node in ([], {}, ""):
        yield "empty"
    if isinstance(node, str):
        if not node.strip() or re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", node):
            yield "no string"
        if name in FORMS and not re.fullmatch(FORMS[name], node):
            yield f"the form of {name}"
        if name == "system" and node not in SYSTEMS:
            yield "an unknown system"
        if name == "data" and not is_base64(node):
            yield "the form of data"
    if isinstance(node, dict):
        if name == "referenceRange" and not {"low", "high", "text"} & node.keys():
            yield "obs-3"
        if name in ("valueQuantity", "low", "high") and "code" in node and "system" not in node:
            yield "qty-3"
        if name == "attachment" and "data" in node and "contentType" not in node:
            yield "att-1"
        if name == "telecom" and "value" in node and "system" not in node:
            yield "cpt-2"
        if "start" in node and "end" in node and node["end"] < node["start"]:
            yield "per-1"


def is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def sound(text: str) -> list[Entry]:
    """The entries of this export, once nothing is found to be wrong with it."""
    Bundle.model_validate_json(text)
    entries = entries_of(text)
    assert not the_faults_of(entries)
    return entries


# ---------------------------------------------------------------- as a whole


def test_the_whole_record_is_sound(text: str) -> None:
    entries = sound(text)
    assert {entry["resource"]["resourceType"] for entry in entries} == {
        *("Patient", "Practitioner", "Coverage", "RelatedPerson", "AllergyIntolerance"),
        *("Condition", "MedicationStatement", "Procedure", "Immunization", "Observation"),
        "DocumentReference",
    }
    head = json.loads(text)
    assert head["type"] == "collection"
    assert re.fullmatch(_INSTANT, head["timestamp"])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"gender":"female"', '"gender":["female"]'),
        ('"birthDate":"1984-05-06"', '"birthDate":"6.5.1984"'),
        ('"beneficiary"', '"beneficary"'),
        ('"vaccineCode":', '"code":'),
        ('"value":7.00', '"value":"seven"'),
    ],
)
def test_the_validation_sees_what_is_wrong(text: str, right: str, wrong: str) -> None:
    assert right in text
    with pytest.raises(ValidationError):
        Bundle.model_validate_json(text.replace(right, wrong))


def _double(text: str) -> str:
    whole = json.loads(text)
    return json.dumps({**whole, "entry": [*whole["entry"], whole["entry"][0]]})


def _without_practitioners(text: str) -> str:
    whole = json.loads(text)
    kept = [e for e in whole["entry"] if e["resource"]["resourceType"] != "Practitioner"]
    return json.dumps({**whole, "entry": kept})


@pytest.mark.parametrize(
    ("fault", "spoil"),
    [
        ("bdl-7", _double),
        ("a reference leads nowhere", _without_practitioners),
        (
            "a reference leads to something else",
            lambda text: text.replace('"type":"Patient"', '"type":"Group"'),
        ),
        ("ait-1", lambda text: text.replace('"clinicalStatus"', '"x"')),
        ("con-3", lambda text: text.replace('"code":"remission"', '"code":"better"')),
        (
            "obs-6",
            lambda text: text.replace('"valueString"', '"dataAbsentReason":{"text":"x"},"valueString"'),
        ),
        (
            "obs-7",
            lambda text: text.replace('"code":"E11.9"', '"code":"4548-4"')
            .replace("http://hl7.org/fhir/sid/icd-10", "http://loinc.org")
            .replace('"component"', '"valueString":"x","component"'),
        ),
        ("obs-3", lambda text: text.replace('"referenceRange":[{', '"referenceRange":[{"age":1},{')),
        ("qty-3", lambda text: text.replace(',"system":"http://unitsofmeasure.org"', "")),
        ("att-1", lambda text: text.replace('"contentType"', '"x"')),
        ("cpt-2", lambda text: text.replace('"system":"phone",', "")),
        ("per-1", lambda text: text.replace("2019-01-01", "2031-01-01")),
        ("empty", lambda text: text.replace('"Hives"', "null")),
        ("empty", lambda text: text.replace('[{"text":"Hives"}]', "[]")),
        ("empty", lambda text: text.replace('{"text":"Hives"}', "{}")),
        ("no string", lambda text: text.replace("Hives", "Hi\\u0007ves")),
        ("no string", lambda text: text.replace("Hives", "\\u3000")),
        ("the form of id", lambda text: text.replace('"id":"p1"', '"id":"p_1"')),
        ("the form of id", lambda text: text.replace('"id":"p1"', f'"id":"{"p" * 65}"')),
        ("the form of lastUpdated", lambda text: text.replace("+00:00", "")),
        ("the form of start", lambda text: text.replace("2020-01-02", "2020-1-2")),
        ("the form of data", lambda text: text.replace('"data":"', '"data":"_')),
        ("an unknown system", lambda text: text.replace("snomed.info/sct", "snomed.info/sct/")),
        ("Procedure.status", lambda text: text.replace('"completed"', '"done"')),
    ],
)  # fmt: skip
def test_each_rule_is_seen_to_be_broken(text: str, fault: str, spoil: Callable[[str], str]) -> None:
    """So that `the_faults_of` finding nothing means something."""
    assert fault in the_faults_of(entries_of(spoil(text)))


def test_a_record_of_nothing_but_name_birth_date_and_sex_is_sound() -> None:
    entries = sound(bundled(fhir.of_patient(a_patient(), PatientPrivate())))
    (entry,) = entries
    assert entry["resource"].keys() == {
        *("resourceType", "id", "meta", "active", "name", "gender", "birthDate"),
    }


def test_resources_of_an_equal_record_are_equal() -> None:
    assert list(everything()) == list(everything())


def test_the_same_record_has_the_same_urls_in_each_export(entries: list[Entry]) -> None:
    """Also in next year's: who imported this one recognises in that what they have."""
    urls = [entry["fullUrl"] for entry in entries]
    assert [entry["fullUrl"] for entry in entries_of(bundled(everything()))] == urls
    assert urls[0] == "urn:uuid:dc23381d-c322-52f4-b4d5-f8bdf8075c2c"
    others = {entry["fullUrl"] for entry in entries_of(bundled(everything("p2", "s")))}
    doctors = {fhir.url("Practitioner", id) for id in ("d1", "d2")}
    assert others & set(urls) == doctors


def test_versions_of_a_record_have_its_url_and_tell_when_they_were_written(
    entries: list[Entry],
) -> None:
    for type in HistoryType:
        first, second = (record_of(entries, type, version) for version in (1, 2))
        both = [e["fullUrl"] for e in entries if e["resource"] in (first, second)]
        assert both == [fhir.url(first["resourceType"], first["id"])] * 2
        assert first["meta"]["lastUpdated"] == "2026-01-05T12:30:00.123+00:00"
        assert second["meta"]["lastUpdated"] == "2026-01-06T12:30:00.123+00:00"


@pytest.mark.parametrize("id", ["under_scored", "x" * 64, "x" * 128, "_", "Ab.9-"])
def test_any_accounts_id_becomes_one_that_fhir_takes(id: str) -> None:
    """A patient's id is their account's uid, and what the profile lists is named after it."""
    entries = sound(bundled(everything(id, id)))
    ids = {(e["resource"]["resourceType"], e["resource"]["id"]) for e in entries}
    assert len(ids) == len({entry["fullUrl"] for entry in entries})
    (patient,) = of_type(entries, "Patient")
    assert (patient["id"] == id) == bool(re.fullmatch(_ID, id))
    assert [e["fullUrl"] for e in entries if e["resource"] == patient] == [fhir.url("Patient", id)]


def test_different_ids_stay_different() -> None:
    ids = ["a_b", "a-b", "ab", "A_B", "x" * 64, "x" * 65, "x" * 66]
    given = [next(fhir.of_patient(a_patient(id), PatientPrivate()))["id"] for id in ids]
    assert len(set(given)) == len(ids)
    assert len({fhir.url("Patient", id) for id in ids}) == len(ids)


# ---------------------------------------------------------------- the stream


async def test_an_export_comes_piece_by_piece_while_it_is_read() -> None:
    read = 0

    async def stream() -> AsyncIterator[fhir.Resource]:
        nonlocal read
        for read in range(1, 1001):
            yield {"resourceType": "Basic", "id": f"{read}", "language": "x" * 200}

    pieces, read_by_then = [], []
    async for piece in fhir.bundle(stream()):
        pieces.append(piece)
        read_by_then.append(read)
    assert read_by_then[0] < 200
    assert max(map(len, pieces)) < 40_000
    ids = [entry["resource"]["id"] for entry in json.loads(b"".join(pieces))["entry"]]
    assert ids == [f"{number}" for number in range(1, 1001)]


@pytest.mark.parametrize("resources", [0, 1, 400])
async def test_a_stream_that_breaks_off_is_never_taken_for_a_whole_export(resources: int) -> None:
    async def broken() -> AsyncIterator[fhir.Resource]:
        for number in range(resources):
            yield {"resourceType": "Basic", "id": f"{number}", "language": "x" * 200}
        raise ConnectionError

    received = bytearray()

    async def receive() -> None:
        async for piece in fhir.bundle(broken()):
            received.extend(piece)

    with pytest.raises(ConnectionError):
        await receive()
    assert (len(received) > 32_768) == (resources == 400)
    with pytest.raises(json.JSONDecodeError):
        json.loads(received)


def test_what_json_can_not_say_stops_the_export() -> None:
    with pytest.raises(TypeError):
        bundled([{"resourceType": "Basic", "id": "1", "language": {1, 2}}])


# ---------------------------------------------------------------- nothing is lost


def leaves(value: Any) -> Iterator[str]:
    """Every text, date and number in it; what is in base64 as what it says."""
    if isinstance(value, BaseModel):
        value = dict(value)
    if isinstance(value, CodeSystem):
        return  # told by its URI
    if isinstance(value, dict):
        data = base64.b64decode(value["data"]).decode() if "data" in value else ""
        yield from leaves([*value.values(), data])
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, Enum):
        yield str(value.value)
    elif value is not None:
        yield str(value)


def is_filled(value: Any) -> bool:
    if isinstance(value, BaseModel):
        return all(is_filled(each) for _, each in value)
    if isinstance(value, list):
        return bool(value) and all(is_filled(each) for each in value)
    return value is not None


def test_everything_in_a_profile_is_exported_but_why_it_is_kept() -> None:
    profile = a_profile()
    assert is_filled(profile), "a new field? Give it here, and export it"
    text = bundled(fhir.of_patient(a_patient(), profile))
    kept = set(leaves(profile)) - {"Nobody is to read this"}
    assert kept <= set(leaves(entries_of(text)))
    assert "Nobody is to read this" not in text
    assert "creator" not in text


@pytest.mark.parametrize("type", HistoryType)
def test_everything_in_a_record_is_exported(type: HistoryType) -> None:
    said = words(type, amendment_reason="The side was wrong")
    assert is_filled(said.model_copy(update={"values": [0]})), "a new field? Export it"
    record = a_record(type, 2, author="d1", editor="d2")
    entries = entries_of(bundled(fhir.of_record("p1", "r1", record, said)))
    exported = "\n".join(leaves(entries))
    urls = [fhir.url("Patient", "p1"), *(fhir.url("Practitioner", id) for id in ("d1", "d2"))]
    for leaf in (*leaves(said), DAY.isoformat(), *urls):
        assert leaf in exported
    assert [e["resource"]["resourceType"] for e in entries[1:]] == ["DocumentReference"] * 2


TEXTS = [
    "مريم بنت عبد الله",
    "王小明",
    "Nguyễn Thị Minh Khai",
    "Q\u0304\u0301 q\u0323\u0307",  # marks on letters that Unicode has no single character for
    "นายสมชาย ใจดี",
    "👩🏽‍⚕️ 𝒜𝓃𝒶",
    'She said "5 < 6 \\ 7", and </script> \' it was.',
    "one\u2028two\u2029three\u00a0four\u3000five",
    "\ufeffa\u200bb\u202e",
]


@pytest.mark.parametrize("said", TEXTS)
def test_any_script_and_any_sign_comes_through(said: str) -> None:
    allergies = [{"substance": said}]
    patient = fhir.of_patient(a_patient(name=said), PatientPrivate.model_validate({"allergies": allergies}))  # fmt: skip
    condition, note = HistoryType.CONDITION, HistoryType.NOTE
    long = f"{said}\n\n\t{said}"
    records = (
        fhir.of_record("p1", f"r{n}", a_record(type), words(type, title=said, description=long))
        for n, type in enumerate((condition, note))
    )
    doctor = a_doctor("d1")
    doctor.name = said
    text = bundled([*patient, *(part for record in records for part in record), fhir.of_doctor(doctor)])  # fmt: skip
    entries = sound(text)
    assert of_type(entries, "Patient")[0]["name"][0]["text"] == said
    assert of_type(entries, "AllergyIntolerance")[0]["code"] == {"text": said}
    assert of_type(entries, "Condition")[0]["code"]["text"] == said
    assert of_type(entries, "Condition")[0]["note"][0]["text"] == long
    assert of_type(entries, "Practitioner")[0]["name"] == [{"text": said}]
    document = next(r for r in of_type(entries, "DocumentReference") if r["id"] == "r1")
    assert base64.b64decode(document["content"][0]["attachment"]["data"]).decode() == long


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("7.00", "7.00"),
        ("7", "7"),
        ("0.0", "0.0"),
        ("-0.50", "-0.50"),
        ("1E-8", "0.00000001"),
        ("1.5E+3", "1500"),
        ("0E+3", "0"),
        ("1234567890.12345678", "1234567890.12345678"),
    ],
)
def test_a_measured_value_keeps_its_digits_as_a_number(value: str, digits: str) -> None:
    values = [{"name": "A", "value": value, "unit": "1", "low": value, "high": value}]
    type = HistoryType.OBSERVATION
    said = words(type, values=values, attachments=[])
    text = bundled([*fhir.of_record("p1", "r1", a_record(type), said)])
    assert text.count(f'"value":{digits},') == 3
    Bundle.model_validate_json(text)


# ---------------------------------------------------------------- resource by resource


def test_the_patient_is_told_whole(entries: list[Entry]) -> None:
    (patient,) = of_type(entries, "Patient")
    assert patient["name"] == [{"use": "official", "text": "Ana García"}]
    assert patient["gender"] == "female"
    assert patient["birthDate"] == "1984-05-06"
    assert patient["active"] is True
    assert patient["identifier"][0]["value"] == "GALA840506"
    assert patient["telecom"] == [
        {"system": "phone", "value": "+34612345678"},
        {"system": "email", "value": "ana@example.test"},
    ]
    assert patient["address"] == [
        {
            "line": ["Calle de la Paz 1", "2.º izq."],
            "city": "Oaxaca de Juárez",
            "state": "Oaxaca",
            "postalCode": "68000",
            "country": "MX",
        }
    ]


def test_an_archived_patient_is_not_active() -> None:
    (patient,) = fhir.of_patient(a_patient(is_archived=True), PatientPrivate())
    assert patient["active"] is False


@pytest.mark.parametrize("sex", Sex)
def test_each_sex_is_one_of_fhirs_genders(sex: Sex) -> None:
    entries = sound(bundled(fhir.of_patient(a_patient(sex=sex), PatientPrivate())))
    assert entries[0]["resource"]["gender"] == sex.value


def test_what_the_profile_lists_is_the_patients(entries: list[Entry]) -> None:
    patient = {"reference": fhir.url("Patient", "p1"), "type": "Patient"}
    mother, friend = of_type(entries, "RelatedPerson")
    assert (mother["patient"], friend["patient"]) == (patient, patient)
    assert mother["relationship"] == [{"text": "Mother"}]
    assert friend["telecom"] == [{"system": "phone", "value": "+34612345670"}]
    (coverage,) = of_type(entries, "Coverage")
    assert coverage["beneficiary"] == patient
    assert coverage["subscriberId"] == "M-1"
    assert coverage["payor"] == [{"display": "AOK"}]
    assert [(c["type"]["coding"][0]["code"], c["value"]) for c in coverage["class"]] == [
        ("plan", "Gold"),
        ("group", "G-1"),
    ]
    assert coverage["period"] == {"start": "2019-01-01", "end": "2030-12-31"}
    blood = next(r for r in of_type(entries, "Observation") if r["id"] == "p1-blood-type")
    assert blood["subject"] == patient
    assert blood["valueCodeableConcept"] == {"text": "AB-"}
    assert blood["code"]["coding"] == [{"system": "http://loinc.org", "code": "882-1"}]
    condition = next(r for r in of_type(entries, "Condition") if r["id"] == "p1-condition-1")
    assert condition["subject"] == patient
    assert condition["clinicalStatus"]["coding"][0]["code"] == "remission"
    assert condition["onsetDateTime"] == "1999-08-07"


@pytest.mark.parametrize(
    ("system", "value", "uri"),
    [
        ("icd-10", "E11.9", "http://hl7.org/fhir/sid/icd-10"),
        ("snomed", "195967001", "http://snomed.info/sct"),
        ("loinc", "4548-4", "http://loinc.org"),
        ("rxnorm", "435", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ],
)
def test_a_code_has_the_uri_of_its_system(system: str, value: str, uri: str) -> None:
    conditions = [{"name": "A", "code": {"system": system, "value": value}}]
    profile = PatientPrivate.model_validate({"conditions": conditions})
    _, condition = fhir.of_patient(a_patient(), profile)
    assert condition["code"] == {"coding": [{"system": uri, "code": value}], "text": "A"}


def test_an_allergy_without_a_known_reaction_invents_none() -> None:
    allergies = [{"substance": "Latex"}, {"substance": "Nuts", "severity": "mild"}]
    profile = PatientPrivate.model_validate({"allergies": allergies})
    plain, mild = of_type(sound(bundled(fhir.of_patient(a_patient(), profile))), "AllergyIntolerance")  # fmt: skip
    assert "reaction" not in plain
    assert mild["reaction"] == [{"manifestation": [{"text": "Not recorded"}], "severity": "mild"}]


def test_a_medication_that_ended_is_completed() -> None:
    medications = [
        {"name": "A", "started_on": "2020-01-01", "ended_on": "2020-02-01"},
        {"name": "B", "started_on": "2020-01-01"},
        {"name": "C", "ended_on": "2999-01-01"},
    ]
    profile = PatientPrivate.model_validate({"medications": medications})
    found = of_type(sound(bundled(fhir.of_patient(a_patient(), profile))), "MedicationStatement")
    assert [(r["status"], r["effectivePeriod"]) for r in found] == [
        ("completed", {"start": "2020-01-01", "end": "2020-02-01"}),
        ("active", {"start": "2020-01-01"}),
        ("active", {"end": "2999-01-01"}),
    ]


@pytest.mark.parametrize(
    ("type", "kind", "day"),
    [
        (HistoryType.CONDITION, "Condition", "onsetDateTime"),
        (HistoryType.ALLERGY, "AllergyIntolerance", "onsetDateTime"),
        (HistoryType.MEDICATION, "MedicationStatement", "effectiveDateTime"),
        (HistoryType.PROCEDURE, "Procedure", "performedDateTime"),
        (HistoryType.IMMUNIZATION, "Immunization", "occurrenceDateTime"),
        (HistoryType.OBSERVATION, "Observation", "effectiveDateTime"),
        (HistoryType.LAB_RESULT, "Observation", "effectiveDateTime"),
        (HistoryType.NOTE, "DocumentReference", None),
    ],
)
def test_each_type_of_record_is_its_resource_and_says_when_it_happened(
    entries: list[Entry], type: HistoryType, kind: str, day: str | None
) -> None:
    resource = record_of(entries, type)
    assert resource["resourceType"] == kind
    if day is not None:
        assert resource[day] == "2025-12-31"
    else:
        assert resource["date"] == "2026-01-05T12:30:00.123+00:00"  # its entry
        assert resource["context"]["period"] == {"start": "2025-12-31", "end": "2025-12-31"}


def test_who_amended_a_record_does_not_take_its_authors_place(entries: list[Entry]) -> None:
    author, editor = (
        {"reference": fhir.url("Practitioner", id), "type": "Practitioner"} for id in ("d1", "d2")
    )
    for type in HistoryType:
        first, second = (record_of(entries, type, version) for version in (1, 2))
        match type:
            case HistoryType.NOTE:
                assert (first["author"], second["author"]) == ([author], [author, editor])
                continue
            case HistoryType.OBSERVATION | HistoryType.LAB_RESULT:
                assert (first["performer"], second["performer"]) == ([author], [author, editor])
            case HistoryType.IMMUNIZATION:
                assert first["performer"] == second["performer"] == [{"actor": author}]
            case HistoryType.MEDICATION:
                assert first["informationSource"] == second["informationSource"] == author
            case _:
                assert first["recorder"] == second["recorder"] == author
        assert first["note"][0]["authorReference"] == author
        assert second["note"][0]["authorReference"] == editor
        assert second["note"][0]["text"].endswith("\n\nAmended: The side was wrong")


def test_an_observation_has_its_values_with_units_and_ranges(entries: list[Entry]) -> None:
    percent = {"unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    for type, category in (
        (HistoryType.OBSERVATION, "exam"),
        (HistoryType.LAB_RESULT, "laboratory"),
    ):
        observation = record_of(entries, type)
        assert observation["category"][0]["coding"][0]["code"] == category
        both, words, low, none = observation["component"]
        assert both["code"]["coding"] == [{"system": "http://loinc.org", "code": "4548-4"}]
        assert both["code"]["text"] == "HbA1c"
        assert both["valueQuantity"] == {"value": Decimal("7.00"), **percent}
        assert both["referenceRange"] == [
            {"low": {"value": Decimal("4.0"), **percent}, "high": {"value": Decimal("5.60"), **percent}}
        ]  # fmt: skip
        assert words == {"code": {"text": "Protein"}, "valueString": "negative"}
        assert [part.keys() for part in low["referenceRange"]] == [{"low"}]
        assert none.keys() == {"code", "valueQuantity"}


def test_an_observation_says_whether_it_was_amended(entries: list[Entry]) -> None:
    for type in MEASURED:
        assert record_of(entries, type, 1)["status"] == "final"
        assert record_of(entries, type, 2)["status"] == "amended"


def test_a_medication_in_the_history_is_not_said_to_be_taken_still(entries: list[Entry]) -> None:
    assert record_of(entries, HistoryType.MEDICATION)["status"] == "unknown"


def test_an_attachment_is_a_document_that_belongs_to_its_record(entries: list[Entry]) -> None:
    for type in HistoryType:
        record = record_of(entries, type)
        belongs = {
            "reference": fhir.url(record["resourceType"], record["id"]),
            "type": record["resourceType"],
        }
        image, spoken = (
            r
            for r in of_type(entries, "DocumentReference")
            if r.get("context", {}).get("related") == [belongs] and r["meta"] == record["meta"]
        )
        assert image["description"] == "X-ray"
        assert image["content"] == [{"attachment": {"url": "urn:healthhub:medical_image:image_1"}}]
        assert spoken["content"] == [{"attachment": {"url": "urn:healthhub:transcription:spoken-1"}}]  # fmt: skip


def test_a_doctor_is_a_practitioner_with_qualifications_and_languages() -> None:
    (entry,) = sound(bundled([fhir.of_doctor(a_doctor("d_1"))]))
    assert entry["fullUrl"] == fhir.url("Practitioner", "d_1")
    doctor = entry["resource"]
    assert doctor["name"] == [{"text": "Dr. d_1"}]
    assert doctor["qualification"] == [
        {"identifier": [{"value": "L1"}], "code": {"text": "MD"}, "issuer": {"display": "U"}},
        {"code": {"text": "PhD"}, "issuer": {"display": "V"}},
    ]
    assert [c["coding"][0]["code"] for c in doctor["communication"]] == ["es-MX", "en"]


@pytest.mark.parametrize("id", ["admin-1", "admin_1"])
def test_an_author_without_a_doctors_profile_is_a_practitioner_too(id: str) -> None:
    named, nameless = (fhir.of_author(id, name) for name in ("Marta", None))
    (entry,) = sound(bundled([named]))
    assert entry["fullUrl"] == fhir.url("Practitioner", id)
    assert named["name"] == [{"text": "Marta"}]
    sound(bundled([nameless]))
    assert nameless["id"] == named["id"]


# ---------------------------------------------------------------- whatever the models accept


def accepted(kind: Any, controls: str = "") -> st.SearchStrategy[str]:
    """Texts as this type of our models leaves them."""
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    signs = st.characters(exclude_categories=["Cs", "Cc"], include_characters=controls)

    def cleaned(text: str) -> str:
        try:
            return adapter.validate_python(text)
        except ValidationError:  # nothing but spaces
            return "-"

    return st.text(signs, min_size=1, max_size=12).map(cleaned)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def in_order(days: st.SearchStrategy[date]) -> st.SearchStrategy[list[date]]:
    return st.lists(days, min_size=2, max_size=2).map(sorted)


LINES = accepted(Line)
PROSE = accepted(LongProse, "\n\t")
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
PAST = st.dates(date(1900, 1, 1), date(2026, 1, 1))
UNITS = st.from_regex(r"[!-~]{1,40}", fullmatch=True)
PHONES = st.sampled_from(["+34612345678", "+493012345678"])
CODED = maybe(
    st.sampled_from(
        [
            Code(system=CodeSystem.ICD_10, value="M1A.0110"),
            Code(system=CodeSystem.SNOMED, value="195967001"),
            Code(system=CodeSystem.LOINC, value="882-1"),
            Code(system=CodeSystem.RXNORM, value="435"),
        ]
    )
)
NUMBERS = st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{0,8})?(E[+-]?[0-9])?", fullmatch=True)


def is_measured(values: dict[str, Any]) -> bool:
    try:
        return bool(Measurement.model_validate(values))
    except ValidationError:
        return False


MEASUREMENTS = st.one_of(
    st.fixed_dictionaries(
        {"name": LINES, "code": CODED, "value": NUMBERS, "unit": UNITS},
        optional={"low": NUMBERS, "high": NUMBERS},
    ),
    st.fixed_dictionaries({"name": LINES, "code": CODED, "text": LINES}),
).filter(is_measured)

PROFILES = st.builds(
    PatientPrivate,
    national_id=maybe(LINES),
    blood_type=maybe(st.sampled_from(BloodType)),
    contacts=st.builds(Contacts, phone=maybe(PHONES), email=maybe(st.just("a@example.test"))),
    address=maybe(
        st.builds(
            Address,
            lines=st.lists(LINES, min_size=1, max_size=4),
            city=LINES,
            state=maybe(LINES),
            postal_code=maybe(LINES),
            country=st.from_regex(r"[A-Z]{2}", fullmatch=True),
        )
    ),
    allergies=st.lists(
        st.builds(
            Allergy,
            substance=LINES,
            code=CODED,
            reaction=maybe(LINES),
            severity=maybe(st.sampled_from(AllergySeverity)),
        ),
        max_size=2,
    ),
    conditions=st.lists(
        st.builds(
            Condition,
            name=LINES,
            code=CODED,
            status=st.sampled_from(ConditionStatus),
            onset_on=maybe(PAST),
        ),
        max_size=2,
    ),
    medications=st.lists(
        st.builds(
            lambda days, **given: Medication(started_on=days[0], ended_on=days[1], **given),
            days=in_order(PAST) | st.just([None, None]),
            name=LINES,
            code=CODED,
            dosage=maybe(LINES),
        ),
        max_size=2,
    ),
    insurance=st.lists(
        st.builds(
            lambda days, **given: Insurance(valid_from=days[0], valid_to=days[1], **given),
            days=in_order(st.dates()) | st.just([None, None]),
            provider=LINES,
            plan=maybe(LINES),
            member_id=LINES,
            group=maybe(LINES),
        ),
        max_size=2,
    ),
    emergency_contacts=st.lists(
        st.builds(EmergencyContact, name=LINES, relationship=LINES, phone=PHONES), max_size=2
    ),
    legal_hold_reason=maybe(PROSE),
)


@settings(max_examples=60)
@given(
    id=IDS,
    name=LINES,
    birth_date=PAST,
    update_time=st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 the zone is beside it
    profile=PROFILES,
)
def test_whatever_profile_we_accept_is_sound(
    id: str, name: str, birth_date: date, update_time: datetime, profile: PatientPrivate
) -> None:
    patient = a_patient(id, name=name, birth_date=birth_date)
    patient.update_time = update_time
    entries = sound(bundled(fhir.of_patient(patient, profile)))
    assert set(leaves(profile.model_copy(update={"legal_hold_reason": None}))) <= set(leaves(entries))  # fmt: skip


@settings(max_examples=80)
@given(
    ids=st.lists(IDS, min_size=4, max_size=4),
    type=st.sampled_from([*HistoryType, *MEASURED * 3]),
    version=st.integers(1, 200),
    occurred_on=PAST,
    title=LINES,
    description=PROSE,
    code=CODED,
    values=st.lists(MEASUREMENTS, max_size=3),
    attachments=st.lists(
        st.builds(
            Attachment,
            kind=st.sampled_from(["transcription", "medical_image"]),
            id=IDS,
            title=LINES,
        ),
        max_size=2,
    ),
    reason=maybe(PROSE),
)
def test_whatever_record_we_accept_is_sound_and_its_numbers_keep_their_digits(
    ids: list[str],
    type: HistoryType,
    version: int,
    occurred_on: date,
    title: str,
    description: str,
    code: Code | None,
    values: list[dict[str, Any]],
    attachments: list[Attachment],
    reason: str | None,
) -> None:
    patient_id, record_id, author, editor = ids
    said = HistoryPrivate(
        title=title,
        description=description,
        code=code,
        values=[Measurement.model_validate(v) for v in values] if type in MEASURED else [],
        attachments=attachments,
        amendment_reason=reason,
    )
    record = a_record(type, version, author, editor)
    record.occurred_on = occurred_on
    people = {author: fhir.of_doctor(a_doctor(author)), editor: fhir.of_author(editor, None)}
    resources = [
        *fhir.of_patient(a_patient(patient_id), PatientPrivate()),
        *fhir.of_record(patient_id, record_id, record, said),
        *people.values(),
    ]
    entries = sound(bundled(resources))
    components = entries[1]["resource"].get("component", [])
    assert len(components) == len(said.values)
    for component, measured in zip(components, said.values, strict=True):
        if measured.value is not None:
            number = component["valueQuantity"]["value"]
            assert number == measured.value
            assert number.as_tuple().exponent == min(0, int(measured.value.as_tuple().exponent))
