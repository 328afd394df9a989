"""Schedules, appointments and the waitlist as they are stored. Read after models.py.

What a list, a calendar or a listener needs is stored as it is. Why somebody
comes, and what is noted of it, is stored under `sealed`, as `common/crypto.py`
seals it.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from common.models import Doctor, Part, Record, Role, Specialty, TimeZone

# ---------------------------------------------------------------- schedules


class AppointmentType(StrEnum):
    IN_PERSON = "in_person"
    VIDEO = "video"
    PHONE = "phone"


EVERY_TYPE = tuple(AppointmentType)

ClockTime = Annotated[
    str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$", examples=["09:00", "12:30"])
]
"""On the doctor's wall clock; 24:00 ends a day."""


def minute_of(clock: str) -> int:
    """Of the day: `09:30` → 570."""
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


class Spell(Part):
    """Some time of one day, without a break."""

    start: ClockTime
    end: ClockTime
    types: Annotated[list[AppointmentType], Field(min_length=1, max_length=3)] = list(EVERY_TYPE)
    """What can be booked in it."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if minute_of(self.end) <= minute_of(self.start):
            raise ValueError("end is not after start; for a night, give two days a spell each")
        return self


def _in_order(spells: list[Spell]) -> list[Spell]:
    """By their start. Raises `ValueError` when two overlap."""
    spells = sorted(spells, key=lambda spell: minute_of(spell.start))
    for first, second in pairwise(spells):
        if minute_of(second.start) < minute_of(first.end):
            raise ValueError(f"{first.start} to {first.end} overlaps the spell from {second.start}")
    return spells


Spells = Annotated[list[Spell], Field(max_length=12)]


class Weekly(Part):
    mon: Spells = []
    tue: Spells = []
    wed: Spells = []
    thu: Spells = []
    fri: Spells = []
    sat: Spells = []
    sun: Spells = []

    _sorted = field_validator("*")(_in_order)

    def on(self, day: date) -> list[Spell]:
        spells: list[Spell] = getattr(self, _WEEKDAYS[day.weekday()])
        return spells


_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ExceptionDay(Part):
    """A day that is not like its weekday: closed, or with other hours."""

    date: date
    closed: bool = False
    hours: Spells = []

    _sorted = field_validator("hours")(_in_order)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.closed == bool(self.hours):
            raise ValueError("Give either closed or hours")
        return self


class Schedule(Part):
    time_zone: TimeZone
    slot_minutes: Annotated[int, Field(ge=5, le=480)] = 30
    buffer_minutes: Annotated[int, Field(ge=0, le=240)] = 0
    """After each slot, for notes and a breath."""
    weekly: Weekly
    exceptions: Annotated[list[ExceptionDay], Field(max_length=400)] = []
    min_notice_hours: Annotated[int, Field(ge=0, le=720)] = 2
    """How long before its start a patient may still book a slot."""
    max_days_ahead: Annotated[int, Field(ge=1, le=365)] = 90

    @field_validator("exceptions")
    @classmethod
    def _one_a_day(cls, days: list[ExceptionDay]) -> list[ExceptionDay]:
        days = sorted(days, key=lambda day: day.date)
        for first, second in pairwise(days):
            if first.date == second.date:
                raise ValueError(f"{first.date} is named twice")
        return days

    def on(self, day: date) -> list[Spell]:
        """The spells of one day, in order."""
        for exception in self.exceptions:
            if exception.date == day:
                return exception.hours
        return self.weekly.on(day)

    def every_spell(self) -> list[Spell]:
        days = [getattr(self.weekly, name) for name in _WEEKDAYS]
        return [spell for day in (*days, *(e.hours for e in self.exceptions)) for spell in day]


class Practice(Doctor):
    """`doctors/{doctor_id}` again, with what booking needs of it and the directory does not read."""

    schedule: Schedule | None = None
    grid: str | None = None
    """Where the slots lie: see `grid_of` in common/availability.py."""
    settle_time: datetime | None = None
    """Set when slots came to lie elsewhere: nothing is booked until then. See common/slots.py."""
    off_grid: list[int] = []
    """What was booked on earlier slots that lie across today's: start and end in turn, in minutes
    since 1970."""

    def hours(self) -> Schedule:
        """The schedule of a doctor who has one; that is asked where a request comes in."""
        if self.schedule is None:
            raise ValueError("this doctor has no schedule")
        return self.schedule


# ---------------------------------------------------------------- appointments


class AppointmentStatus(StrEnum):
    """FHIR's AppointmentStatus, of which these are ours."""

    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    NOSHOW = "noshow"
    CANCELLED = "cancelled"

    @property
    def is_live(self) -> bool:
        """Whether the appointment holds its time."""
        return self in (AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED)

    def may_become(self, next_: "AppointmentStatus") -> bool:
        return next_ in _NEXT[self]


_NEXT = {
    AppointmentStatus.BOOKED: {
        AppointmentStatus.ARRIVED,
        AppointmentStatus.NOSHOW,
        AppointmentStatus.CANCELLED,
    },
    AppointmentStatus.ARRIVED: {AppointmentStatus.FULFILLED, AppointmentStatus.CANCELLED},
    AppointmentStatus.FULFILLED: set(),
    AppointmentStatus.NOSHOW: set(),
    AppointmentStatus.CANCELLED: set(),
}


class AppointmentPrivate(BaseModel):
    """The sealed part of an appointment."""

    reason: str | None = None
    """What the patient comes for."""
    notes: str | None = None
    """What both may read and write: what to bring, how to find the door."""
    private_notes: dict[str, str] = {}
    """Doctors' own, by their uid; nobody else is shown them, nor the doctor who takes over."""
    cancellation_reason: str | None = None


class Appointment(Record):
    """`appointments/{appointment_id}`. Its parties listen to it, so what is clinical is sealed.

    The names are what they were when it was booked.
    """

    doctor_id: str
    patient_id: str
    doctor_name: str
    patient_name: str
    place: str | None = None
    """Where the doctor's practice is, for one who comes in person."""
    type: AppointmentType
    status: AppointmentStatus = AppointmentStatus.BOOKED
    start: datetime
    end: datetime
    time_zone: str
    """The doctor's."""
    local_start: str
    """What the doctor's clock was to show at `start`, by the time zone database `zone_version`."""
    zone_version: str
    slots: list[str]
    """The names of its documents under `doctors/{doctor_id}/booked`."""
    version: int = 0
    """Counts reschedules and the cancellation: a calendar's SEQUENCE."""
    booked_by: str | None
    """Whose doing it was; None for the waitlist."""
    status_time: datetime
    """When the status last changed."""
    cancelled_by: Role | None = None
    sealed: dict[str, bytes] = {}
    """An `AppointmentPrivate`, by field."""


class BookedSlot(Record):
    """`doctors/{doctor_id}/booked/{start}`: whose this slot is. Its name makes it one person's."""

    start: datetime
    end: datetime
    appointment_id: str | None = None
    waitlist_id: str | None = None
    """Whom it is offered to, until that offer is taken, declined or passed on."""

    @staticmethod
    def name(start: datetime) -> str:
        return start.strftime("%Y%m%dT%H%MZ")


class Span(Part):
    start: datetime
    end: datetime

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return self.start < end and start < self.end


class BookedDay(Record):
    """`patients/{patient_id}/booked/{date}`: a patient's time on one day (UTC), by appointment.

    A patient's appointments are with many doctors, whose slots lie across
    each other: so it is one document a day, which knows their spans.
    """

    spans: dict[str, Span]

    @staticmethod
    def names(start: datetime, end: datetime) -> list[str]:
        """Of the days that a span touches."""
        days = (end - timedelta(microseconds=1)).date() - start.date()
        return [str(start.date() + timedelta(days=n)) for n in range(days.days + 1)]


class CalendarFeed(Record):
    """`calendar_feeds/{user_id}`: of its secret, only a hash."""

    secret_digest: str


class Review(Record):
    """`doctors/{doctor_id}/reviews/{appointment_id}`: named so, a visit has one at most."""

    patient_id: str
    stars: int
    comment: str | None = None
    """Written to be read by everybody."""


# ---------------------------------------------------------------- waitlist


class WaitlistStatus(StrEnum):
    WAITING = "waiting"
    OFFERED = "offered"
    BOOKED = "booked"
    LEFT = "left"
    EXPIRED = "expired"


class Offer(Part):
    doctor_id: str
    doctor_name: str
    start: datetime
    end: datetime
    time_zone: str
    """The doctor's."""
    slot: str
    """The slot's document."""
    expire_time: datetime


class WaitlistEntry(Record):
    """`waitlist/{waitlist_id}`; who entered first is offered first."""

    patient_id: str
    wants: str
    """`doctor:{doctor_id}` or `specialty:{code}`."""
    doctor_id: str | None = None
    specialty: Specialty | None = None
    type: AppointmentType
    from_time: datetime
    to_time: datetime
    auto_book: bool = False
    status: WaitlistStatus = WaitlistStatus.WAITING
    offer: Offer | None = None
    expire_time: datetime
    """When something is due: the offer's end, or, while waiting, `to_time`."""
    passed: list[str] = []
    """`{doctor_id}/{slot}` of what was offered and not taken: nothing is offered to a person twice."""
    appointment_id: str | None = None
    sealed: dict[str, bytes] = {}
    """`reason`, by field."""

    def held(self) -> Offer:
        """The offer of one who has one."""
        if self.offer is None:
            raise ValueError("nothing is offered")
        return self.offer
