"""The documents that Firestore holds, and the words they are made of. Read this first.

A model here is what is stored; what travels over HTTP is each service's
`schemas.py`. `create_time` and `update_time` are UTC.
"""

import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr

from common.zones import zone


class Record(BaseModel):
    """A stored document."""

    create_time: datetime
    update_time: datetime

    _path: str = PrivateAttr("")
    _revision: str = PrivateAttr("")

    @property
    def path(self) -> str:
        """Where Firestore holds it."""
        return self._path

    @property
    def id(self) -> str:
        return self._path.rsplit("/", 1)[-1]

    @property
    def revision(self) -> str:
        """The time at which Firestore last changed the document."""
        return self._revision

    @property
    def etag(self) -> str:
        """The revision as a strong entity tag."""
        return f'"{self._revision}"'

    def stored_as(self, path: str, revision: str) -> None:
        """Say where and in which revision Firestore holds this record; an id will do for a path."""
        self._path, self._revision = path, revision


# ---------------------------------------------------------------- words


def _clean(text: str) -> str:
    """NFC, so that two spellings of one name are one name; no control characters."""
    text = unicodedata.normalize("NFC", text)
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            raise ValueError("Control characters are not allowed")
    text = text.strip()
    if not text:
        raise ValueError("This can't be empty")
    return text


def _single_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("This must be a single line")
    return text


def _time_zone(key: str) -> str:
    zone(key)
    return key


def _phone(text: str) -> str:
    # Imported here: its tables cost 20 ms, and few requests carry a number.
    import phonenumbers

    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise ValueError("Not a phone number with country code, such as +34 612 345 678")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _email(text: str) -> str:
    # Imported here: reads don't need it.
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError("Not an e-mail address") from None
    return checked.normalized.lower()


Line = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(_clean), AfterValidator(_single_line)
]
Prose = Annotated[str, Field(min_length=1, max_length=5000), AfterValidator(_clean)]
LongProse = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_clean)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_time_zone)]
Phone = Annotated[str, Field(max_length=40), AfterValidator(_phone)]
"""E.164 once validated."""
Email = Annotated[str, Field(max_length=254), AfterValidator(_email)]
"""In lower case once validated, as Identity Platform keeps it."""
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$")]
"""BCP 47: `en`, `es-MX`, `zh-Hant-TW`."""
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""


# ---------------------------------------------------------------- users


class Role(StrEnum):
    PATIENT = "patient"
    DOCTOR = "doctor"
    ADMIN = "admin"


class ReminderChannel(StrEnum):
    IN_APP = "in_app"
    PUSH = "push"
    EMAIL = "email"


class Part(BaseModel):
    """A piece of a record that also travels: what a client sends of it must be known."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ReminderPreferences(Part):
    channels: list[ReminderChannel] = Field(
        default=[ReminderChannel.IN_APP, ReminderChannel.PUSH, ReminderChannel.EMAIL], max_length=3
    )
    minutes_before: list[Annotated[int, Field(ge=15, le=10080)]] = Field(
        default=[1440, 60], max_length=4
    )


class User(Record):
    """`users/{uid}`. Role and status here are what counts; the token's claims only follow them."""

    email: str
    display_name: str
    role: Role
    phone: str | None = None
    language: str = "en"
    time_zone: str = "UTC"
    reminders: ReminderPreferences = ReminderPreferences()
    is_active: bool = True
    tokens_valid_after: datetime | None = None
    """Tokens of sign-ins up to this second are refused; set by sign-out and by disabling."""


class Platform(StrEnum):
    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


PushToken = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_:\-]{15,999}$")]
"""An FCM registration token; also the name of its document, so it appears once per account."""


class Device(Record):
    """`users/{uid}/devices/{token}`."""

    token: str
    platform: Platform


# ---------------------------------------------------------------- doctors


class Specialty(StrEnum):
    ALLERGY_IMMUNOLOGY = "allergy_immunology"
    ANESTHESIOLOGY = "anesthesiology"
    CARDIOLOGY = "cardiology"
    DERMATOLOGY = "dermatology"
    EMERGENCY_MEDICINE = "emergency_medicine"
    ENDOCRINOLOGY = "endocrinology"
    FAMILY_MEDICINE = "family_medicine"
    GASTROENTEROLOGY = "gastroenterology"
    GENERAL_SURGERY = "general_surgery"
    GERIATRICS = "geriatrics"
    HEMATOLOGY = "hematology"
    INFECTIOUS_DISEASE = "infectious_disease"
    INTERNAL_MEDICINE = "internal_medicine"
    NEPHROLOGY = "nephrology"
    NEUROLOGY = "neurology"
    OBSTETRICS_GYNECOLOGY = "obstetrics_gynecology"
    ONCOLOGY = "oncology"
    OPHTHALMOLOGY = "ophthalmology"
    ORTHOPEDICS = "orthopedics"
    OTOLARYNGOLOGY = "otolaryngology"
    PATHOLOGY = "pathology"
    PEDIATRICS = "pediatrics"
    PHYSICAL_REHABILITATION = "physical_rehabilitation"
    PSYCHIATRY = "psychiatry"
    PULMONOLOGY = "pulmonology"
    RADIOLOGY = "radiology"
    RHEUMATOLOGY = "rheumatology"
    UROLOGY = "urology"

    @property
    def display(self) -> str:
        return _SPECIALTY_NAMES.get(self, self.value.replace("_", " ").capitalize())


_SPECIALTY_NAMES = {
    Specialty.ALLERGY_IMMUNOLOGY: "Allergy and immunology",
    Specialty.OBSTETRICS_GYNECOLOGY: "Obstetrics and gynecology",
    Specialty.OTOLARYNGOLOGY: "Otolaryngology (ear, nose and throat)",
    Specialty.PHYSICAL_REHABILITATION: "Physical medicine and rehabilitation",
}


class Qualification(Part):
    degree: Line
    institution: Line
    year: int = Field(ge=1930, le=2100)
    license_number: Line | None = None
    license_country: Country | None = None


class Location(Part):
    address: Line
    city: Line
    country: Country
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)


class Fee(Part):
    amount: str = Field(pattern=r"^(0|[1-9]\d{0,6})(\.\d{1,3})?$", examples=["80.00"])
    """Decimal, in the currency's main unit; text, because binary floats are not money."""
    currency: str = Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])
    """ISO 4217."""


class Doctor(Record):
    """`doctors/{doctor_id}`; the id is the account's uid, so an account has one profile at most.

    `facets` and `name_key` exist for the directory alone: see common/directory.py.
    """

    name: str
    specialties: list[Specialty]
    qualifications: list[Qualification]
    languages: list[str]
    biography: str | None = None
    location: Location
    fee: Fee | None = None
    is_accepting_patients: bool = True
    is_verified: bool = False
    verification_note: str | None = None
    is_active: bool = True
    rating_sum: int = 0
    rating_count: int = 0
    rating_rank: float = 0.0
    name_key: str = ""
    facets: list[str] = []

    @property
    def is_listed(self) -> bool:
        """Whether the public may know of this doctor."""
        return self.is_verified and self.is_active


# ---------------------------------------------------------------- audit


class Outcome(StrEnum):
    ALLOWED = "allowed"
    REFUSED = "refused"


class AuditEvent(Record):
    """`audit_events/{chain}-{sequence}`: who touched what, when and why. Never what it said.

    Its MAC covers every field that is not None, so a field added later must
    default to None, or older events would no longer verify.
    """

    actor_uid: str | None
    actor_role: Role | None
    action: str
    """`<noun>.<verb>`, such as `users.update`."""
    resource: str
    """The document's path."""
    subject_uid: str | None
    """The person whose data it is: an account's uid, a patient's id."""
    outcome: Outcome
    reason: str | None = None
    """What allowed it (`care_team`, `break_glass`…) or the problem that refused it."""
    detail: str | None = None
    """What exactly, where the action does not say it: the role that was given, the route that was refused."""
    request_id: str
    address: str
    follows: str | None = None
    """The event before it in its chain; or, of a chain's first, the one that its instance wrote last."""
    follows_mac: str | None = None
    follows_time: datetime | None = None
    mac: str | None = None
