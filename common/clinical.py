"""The clinical record: a patient, their history, who may see it. Read after models.py.

Every document here has two parts. What a query or a listener needs (status,
dates, the name that a list shows) is stored as it is; all else is its private
part, stored under `sealed`, field by field, as `common/crypto.py` seals it.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from common.models import Country, Email, Line, Part, Phone, Record

# ---------------------------------------------------------------- words


def _in_living_memory(day: date) -> date:
    if day.year < 1900:
        raise ValueError("This can't be before 1900")
    # Somewhere it is tomorrow already.
    if day > (datetime.now(UTC) + timedelta(hours=14)).date():
        raise ValueError("This day has not come yet")
    return day


PastDate = Annotated[date, AfterValidator(_in_living_memory)]
"""From 1900 on, and not in the future."""


def _in_order(first: date | None, last: date | None, problem: str) -> None:
    if first is not None and last is not None and last < first:
        raise ValueError(problem)


class Sex(StrEnum):
    """FHIR's AdministrativeGender."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class BloodType(StrEnum):
    A_POSITIVE = "A+"
    A_NEGATIVE = "A-"
    B_POSITIVE = "B+"
    B_NEGATIVE = "B-"
    AB_POSITIVE = "AB+"
    AB_NEGATIVE = "AB-"
    O_POSITIVE = "O+"
    O_NEGATIVE = "O-"


class CodeSystem(StrEnum):
    ICD_10 = "icd-10"
    SNOMED = "snomed"
    LOINC = "loinc"
    RXNORM = "rxnorm"


_SHAPES = {
    CodeSystem.ICD_10: re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?"),
    CodeSystem.SNOMED: re.compile(r"[1-9]\d{5,17}"),
    CodeSystem.LOINC: re.compile(r"\d{1,7}-\d"),
    CodeSystem.RXNORM: re.compile(r"[1-9]\d{0,7}"),
}


def is_code(system: CodeSystem, value: str) -> bool:
    """Whether this can be a code of the system: its shape and, where it has one, its check digit.

    SNOMED CT identifiers end in a Verhoeff digit (SNOMED CT Release File
    Specifications, 6.1), LOINC numbers in a Luhn digit (LOINC Users' Guide):
    a slip of the keyboard is noticed. Whether the code exists is not known here.
    """
    if not _SHAPES[system].fullmatch(value):
        return False
    # Imported here: only what carries a code needs them.
    if system is CodeSystem.SNOMED:
        from stdnum import verhoeff

        return bool(verhoeff.is_valid(value))
    if system is CodeSystem.LOINC:
        from stdnum import luhn

        return bool(luhn.is_valid(value.replace("-", "")))
    return True


class Code(Part):
    system: CodeSystem
    value: Annotated[str, Field(min_length=1, max_length=18)]

    @model_validator(mode="after")
    def _is_a_code(self) -> Self:
        if not is_code(self.system, self.value):
            raise ValueError(f"Not a code of {self.system}")
        return self


# ---------------------------------------------------------------- patients


class Contacts(Part):
    phone: Phone | None = None
    email: Email | None = None


class Address(Part):
    lines: Annotated[list[Line], Field(min_length=1, max_length=4)]
    city: Line
    state: Line | None = None
    postal_code: Line | None = None
    country: Country


class AllergySeverity(StrEnum):
    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"


class Allergy(Part):
    substance: Line
    code: Code | None = None
    reaction: Line | None = None
    severity: AllergySeverity | None = None
    """Of the reaction."""


class ConditionStatus(StrEnum):
    """FHIR's Condition Clinical Status Codes, of which these are the useful ones."""

    ACTIVE = "active"
    REMISSION = "remission"
    RESOLVED = "resolved"


class Condition(Part):
    name: Line
    code: Code | None = None
    status: ConditionStatus = ConditionStatus.ACTIVE
    onset_on: PastDate | None = None


class Medication(Part):
    name: Line
    code: Code | None = None
    dosage: Line | None = None
    started_on: PastDate | None = None
    ended_on: date | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        _in_order(self.started_on, self.ended_on, "ended_on is before started_on")
        return self


class Insurance(Part):
    provider: Line
    plan: Line | None = None
    member_id: Line
    group: Line | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        _in_order(self.valid_from, self.valid_to, "valid_to is before valid_from")
        return self


class EmergencyContact(Part):
    name: Line
    relationship: Line
    phone: Phone


class PatientPrivate(BaseModel):
    """The sealed part of a patient's document."""

    national_id: str | None = None
    blood_type: BloodType | None = None
    contacts: Contacts = Contacts()
    address: Address | None = None
    allergies: list[Allergy] = []
    conditions: list[Condition] = []
    medications: list[Medication] = []
    insurance: list[Insurance] = []
    emergency_contacts: list[EmergencyContact] = []
    legal_hold_reason: str | None = None


CLINICAL = frozenset({"blood_type", "allergies", "conditions", "medications"})
"""Fields of a profile that are part of the clinical record, for its retention."""


class Patient(Record):
    """`patients/{patient_id}`; the id is the uid of the patient's account, if they have one."""

    name: str
    birth_date: date
    sex: Sex
    sealed: dict[str, bytes] = {}
    """A `PatientPrivate`, by field."""
    created_by: str
    is_archived: bool = False
    archive_time: datetime | None = None
    clinical_time: datetime | None = None
    """When the profile's clinical fields last changed; None if they never had any content."""
    changed_times: dict[str, datetime] = {}
    """When each field last changed; for who is told that another changed it meanwhile."""
    has_legal_hold: bool = False
    is_being_erased: bool = False
    """From then on it is to nobody; what is left of it is being deleted."""
    name_key: str = ""
    name_facets: list[str] = []
    """How a list finds and orders patients: see common/directory.py."""


# ---------------------------------------------------------------- history


class HistoryType(StrEnum):
    CONDITION = "condition"
    ALLERGY = "allergy"
    MEDICATION = "medication"
    PROCEDURE = "procedure"
    IMMUNIZATION = "immunization"
    OBSERVATION = "observation"
    LAB_RESULT = "lab_result"
    NOTE = "note"


class Measurement(Part):
    """One value of an observation or a laboratory result: a quantity with its unit, or words."""

    name: Line
    code: Code | None = None
    value: (
        Annotated[Decimal, Field(max_digits=18, decimal_places=8, allow_inf_nan=False)] | None
    ) = None
    """Decimal; it travels as text, because 7.0 and 7.00 were not measured alike."""
    unit: Annotated[str, Field(pattern=r"^[!-~]{1,40}$", examples=["mg/dL"])] | None = None
    """UCUM, case-sensitive (https://ucum.org)."""
    text: Line | None = None
    """What is not a quantity: `negative`, `trace`."""
    low: Annotated[Decimal, Field(max_digits=18, decimal_places=8, allow_inf_nan=False)] | None = (
        None
    )
    high: Annotated[Decimal, Field(max_digits=18, decimal_places=8, allow_inf_nan=False)] | None = (
        None
    )
    """The reference range, in the same unit."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.value is None) == (self.text is None):
            raise ValueError("Give either a value or a text")
        if self.value is not None and self.unit is None:
            raise ValueError("A value needs its unit; 1 for a pure number")
        if self.text is not None and (self.unit, self.low, self.high) != (None, None, None):
            raise ValueError("A text has no unit and no range")
        if self.low is not None and self.high is not None and self.high < self.low:
            raise ValueError("The range ends before it starts")
        return self


class Attachment(Part):
    """Another record of the same patient that belongs to this one."""

    kind: Literal["transcription", "medical_image"]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    title: Line


class HistoryPrivate(BaseModel):
    """The sealed part of a history record and of each of its versions."""

    title: str
    description: str
    code: Code | None = None
    values: list[Measurement] = []
    attachments: list[Attachment] = []
    amendment_reason: str | None = None


class HistoryRecord(Record):
    """`patients/{patient_id}/history/{record_id}`, and below it `versions/{version}` as it was before.

    `update_time` of a version is when it was written, so versions tell when each was current.
    """

    type: HistoryType
    occurred_on: date
    author_uid: str
    """Who entered the record."""
    editor_uid: str
    """Who wrote this version."""
    version: int = 1
    replaced_revision: str | None = None
    """Of an earlier version: the revision (ETag) under which clients knew it."""
    sealed: dict[str, bytes]


# ---------------------------------------------------------------- access


class Ground(StrEnum):
    """What lets somebody see a patient."""

    SELF = "self"
    ADMIN = "admin"
    CARE_TEAM = "care_team"
    BREAK_GLASS = "break_glass"


class AccessGrant(Record):
    """`patients/{patient_id}/access_grants/{doctor_id}`: every ground on which this doctor may see them.

    What a doctor's list of patients shows is kept here too, so that a page of
    it costs as many reads as it has rows.
    """

    patient_id: str
    doctor_id: str
    is_on_care_team: bool = False
    care_team_until: datetime | None = None
    """None while `is_on_care_team`: without end."""
    break_glass_until: datetime | None = None
    visits_until: int = 0
    """Until when appointments give access, in seconds since 1970; a number, so that a booking can
    raise it without reading it."""
    end_time: datetime | None = None
    """When to look whether the last ground has ended; None: never."""
    name: str
    birth_date: date
    sex: Sex
    is_archived: bool = False
    name_key: str = ""
    name_facets: list[str] = []

    @property
    def visits_end(self) -> datetime:
        return datetime.fromtimestamp(self.visits_until, UTC)

    def end(self) -> datetime | None:
        """When the last ground ends or ended; None: never."""
        if self.is_on_care_team and self.care_team_until is None:
            return None
        ends = [self.care_team_until if self.is_on_care_team else None, self.break_glass_until]
        if self.visits_until:
            ends.append(self.visits_end)
        return max((end for end in ends if end is not None), default=self.update_time)


class BreakGlass(Record):
    """`patients/{patient_id}/break_glass/{id}`: one emergency access, with its reason."""

    doctor_id: str
    end_time: datetime
    sealed: dict[str, bytes]
    """`reason`, by field."""


class NotificationKind(StrEnum):
    BREAK_GLASS = "break_glass"
    REMINDER = "reminder"
    BOOKED = "booked"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    OFFER = "offer"


class Notification(Record):
    """`users/{uid}/notifications/{id}`: apps put the words to it in the person's language, or show `text`.

    No clinical text: listeners read it directly.
    """

    kind: NotificationKind
    patient_id: str
    actor_uid: str | None
    title: str | None = None
    text: str | None = None
    appointment_id: str | None = None
    waitlist_id: str | None = None
    is_read: bool = False
    read_time: datetime | None = None
