"""Demo patients' records: profiles, care teams, and histories of 5 to 60 entries. All invented.

Deterministic: the same patients, ids, entries and dates each time; only the
ciphertexts differ.
"""

import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from common.access import grant_for
from common.clinical import (
    AccessGrant,
    Address,
    Allergy,
    BloodType,
    Code,
    CodeSystem,
    Condition,
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
from common.crypto import Vault, new_vault
from common.directory import name_keys
from common.firestore import Batch
from common.models import Record, User
from common.patients import history, patients

_TODAY = date(2026, 1, 5)

_FEMALE = "Lena Aylin Carmen Elena Emily Nadia فاطمة Larissa Isha 渡辺 Zoë"
_SEXES = {"Pat": Sex.OTHER, **dict.fromkeys(_FEMALE.split(), Sex.FEMALE)}

_ALLERGIES = [("Penicillin", "Hives"), ("Latex", "Itching"), ("Peanut", "Swelling of the lips")]
_CONDITIONS = [
    ("Asthma", "195967001"),
    ("Hypertensive disorder", "38341003"),
    ("Diabetes mellitus", "73211009"),
]
_MEDICATIONS = [("Metformin 500 mg", "1 tablet twice a day"), ("Salbutamol", "2 puffs as needed")]

_Template = tuple[HistoryType, str, str, tuple[CodeSystem, str] | None, tuple[str, int, int] | None]
"""Type, title, description, code, and of a measurement its unit and the range to draw from."""

_ENTRIES: list[_Template] = [
    (HistoryType.OBSERVATION, "Heart rate", "At rest, sitting.", (CodeSystem.LOINC, "8867-4"), ("/min", 58, 96)),
    (HistoryType.OBSERVATION, "Body weight", "Clothed, without shoes.", (CodeSystem.LOINC, "29463-7"), ("kg", 52, 98)),
    (HistoryType.LAB_RESULT, "Hemoglobin A1c", "Venous blood.", (CodeSystem.LOINC, "4548-4"), ("%", 5, 9)),
    (HistoryType.LAB_RESULT, "Glucose", "Fasting.", (CodeSystem.LOINC, "2345-7"), ("mg/dL", 70, 160)),
    (HistoryType.CONDITION, "Acute upper respiratory infection", "Cough for four days.", (CodeSystem.ICD_10, "J06.9"), None),
    (HistoryType.MEDICATION, "Ibuprofen 400 mg", "Given for pain, three days.", None, None),
    (HistoryType.IMMUNIZATION, "Influenza vaccine", "Left upper arm, tolerated well.", None, None),
    (HistoryType.PROCEDURE, "Removal of stitches", "The wound has healed.", None, None),
    (HistoryType.ALLERGY, "Pollen", "Seasonal, sneezing.", None, None),
    (HistoryType.NOTE, "Conversation", "Questions about sleep and diet were answered.", None, None),
]  # fmt: skip


async def store(people: list[User], doctors: list[str]) -> int:
    """Store a record for each of these patients; returns how many history entries that made."""
    chance = random.Random(20260106)
    entries = 0
    for number, user in enumerate(people):
        vault = await new_vault(user.id)
        patient = _patient(user, number, vault, chance)
        # The first of the doctors, who is the known one, is on every care team.
        team = [doctors[0], doctors[1 + number % (len(doctors) - 1)]]
        records: list[Record] = [patient, *(_grant(patient, doctor) for doctor in team)]
        count = chance.randint(5, 60)
        records += [_entry(patient, n, team[n % 2], vault, chance) for n in range(count)]
        await _put(records)
        entries += count
    return entries


async def _put(records: list[Record]) -> None:
    for start in range(0, len(records), 200):
        batch = Batch()
        for record in records[start : start + 200]:
            batch.delete(record.path)
            batch.create(record.path, record)
        await batch.commit()


def _patient(user: User, number: int, vault: Vault, chance: random.Random) -> Patient:
    patient = Patient(
        create_time=user.create_time,
        update_time=user.update_time,
        name=user.display_name,
        birth_date=date(1936 + (number * 13) % 80, 1 + number % 12, 1 + (number * 7) % 28),
        sex=_SEXES.get(user.display_name.split()[0], Sex.MALE),
        created_by=user.id,
        clinical_time=user.create_time,
        **name_keys(user.display_name),
    )
    patient.stored_as(patients.path(user.id), "")
    patient.sealed = vault.seal_all(patient.path, _private(number, chance))
    return patient


def _private(number: int, chance: random.Random) -> PatientPrivate:
    substance, reaction = _ALLERGIES[number % 3]
    condition, snomed = _CONDITIONS[number % 3]
    medication, dosage = _MEDICATIONS[number % 2]
    return PatientPrivate(
        national_id=f"DEMO-{number:04}",
        blood_type=chance.choice(list(BloodType)),
        contacts=Contacts(phone="+4930901820"),
        address=Address(lines=[f"{number + 1} Demo Street"], city="Berlin", country="DE"),
        allergies=[Allergy(substance=substance, reaction=reaction)],
        conditions=[
            Condition(name=condition, code=Code(system=CodeSystem.SNOMED, value=snomed)),
        ],
        medications=[Medication(name=medication, dosage=dosage)],
        insurance=[Insurance(provider="Demo Insurance", member_id=f"D{number:06}")],
        emergency_contacts=[
            EmergencyContact(name="Somebody Near", relationship="sibling", phone="+4930901820")
        ],
    )


def _grant(patient: Patient, doctor_id: str) -> AccessGrant:
    grant = grant_for(patient, doctor_id)
    grant.is_on_care_team = True
    grant.create_time = grant.update_time = patient.create_time
    return grant


def _entry(
    patient: Patient, number: int, author: str, vault: Vault, chance: random.Random
) -> HistoryRecord:
    type, title, description, code, measured = chance.choice(_ENTRIES)
    day = _TODAY - timedelta(days=chance.randint(0, 3650))
    moment = datetime.combine(day, time(9, number % 60), UTC)
    values: list[Measurement] = []
    if measured is not None:
        unit, low, high = measured
        value = Decimal(chance.randint(low * 10, high * 10)) / 10
        values = [Measurement(name=title, value=value, unit=unit)]
    fields: dict[str, Any] = {"title": title, "description": description, "values": values}
    if code is not None:
        fields["code"] = Code(system=code[0], value=code[1])
    record = HistoryRecord(
        create_time=moment,
        update_time=moment,
        type=type,
        occurred_on=day,
        author_uid=author,
        editor_uid=author,
        sealed={},
    )
    record.stored_as(history.path(patient.id, f"demo{number:04}"), "")
    record.sealed = vault.seal_all(record.path, HistoryPrivate(**fields))
    return record
