"""What travels to and from the patients service: profiles."""

from datetime import date, datetime
from typing import Annotated, Self, cast

from pydantic import BaseModel, Field

from common.clinical import (
    Address,
    Allergy,
    BloodType,
    Condition,
    Contacts,
    EmergencyContact,
    Insurance,
    Medication,
    PastDate,
    Patient,
    PatientPrivate,
    Sex,
)
from common.models import Line, Prose
from common.pages import PageQuery
from common.schemas import ID_PATTERN, Body, unchanged

Allergies = Annotated[list[Allergy], Field(max_length=60)]
Conditions = Annotated[list[Condition], Field(max_length=60)]
Medications = Annotated[list[Medication], Field(max_length=60)]
Insurances = Annotated[list[Insurance], Field(max_length=10)]
EmergencyContacts = Annotated[list[EmergencyContact], Field(max_length=10)]
NationalId = Annotated[Line, Field(max_length=40)]


class PatientCreate(Body):
    name: Line
    birth_date: PastDate
    sex: Sex
    national_id: NationalId | None = None
    blood_type: BloodType | None = None
    contacts: Contacts = Contacts()
    address: Address | None = None
    allergies: Allergies = []
    conditions: Conditions = []
    medications: Medications = []
    insurance: Insurances = []
    emergency_contacts: EmergencyContacts = []
    user_id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None
    """For administrators, who enter the record of an account; nobody else may send it."""


class PatientUpdate(Body):
    """Fields left out stay as they are; null removes what may be absent."""

    name: Line = unchanged()
    birth_date: PastDate = unchanged()
    sex: Sex = unchanged()
    national_id: NationalId | None = None
    blood_type: BloodType | None = None
    contacts: Contacts = unchanged()
    address: Address | None = None
    allergies: Allergies = unchanged()
    conditions: Conditions = unchanged()
    medications: Medications = unchanged()
    insurance: Insurances = unchanged()
    emergency_contacts: EmergencyContacts = unchanged()


class LegalHoldChange(Body):
    is_held: bool
    reason: Prose | None = None
    """For administrators only."""


class PatientFilter(PageQuery):
    q: Annotated[
        str | None,
        Field(min_length=1, max_length=100, description="Start of the name, or of any word in it."),
    ] = None
    is_archived: bool = False


class PatientSummary(BaseModel):
    patient_id: str
    name: str
    birth_date: date
    sex: Sex
    is_archived: bool


class PatientPublic(BaseModel):
    patient_id: str
    name: str
    birth_date: date
    sex: Sex
    national_id: str | None
    """Null for doctors."""
    blood_type: BloodType | None
    contacts: Contacts
    address: Address | None
    allergies: list[Allergy]
    conditions: list[Condition]
    medications: list[Medication]
    insurance: list[Insurance]
    emergency_contacts: list[EmergencyContact]
    is_archived: bool
    has_legal_hold: bool
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, patient: Patient, private: PatientPrivate) -> Self:
        shown = {**dict(private), **dict(patient), "patient_id": patient.id}
        return cast(Self, cls.model_construct(**{name: shown[name] for name in cls.model_fields}))


class LegalHoldPublic(BaseModel):
    patient_id: str
    is_held: bool
    reason: str | None
