"""What travels to and from the doctors service."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self, cast

from pydantic import BaseModel, Field

from common.models import (
    Doctor,
    Fee,
    Language,
    Line,
    Location,
    Prose,
    Qualification,
    Specialty,
)
from common.pages import PageQuery
from common.schemas import ID_PATTERN, Body, unchanged

FEWEST_RATINGS = 3
"""Below this an average says more about single visits than about the doctor."""

Specialties = Annotated[list[Specialty], Field(min_length=1, max_length=5)]
Qualifications = Annotated[list[Qualification], Field(max_length=20)]
Languages = Annotated[list[Language], Field(min_length=1, max_length=6)]


class DoctorCreate(Body):
    name: Line
    specialties: Specialties
    languages: Languages
    location: Location
    qualifications: Qualifications = []
    biography: Prose | None = None
    fee: Fee | None = None
    is_accepting_patients: bool = True
    user_id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None
    """For administrators, who enter a doctor's profile for them; nobody else may send it."""


class DoctorUpdate(Body):
    """Fields left out stay as they are; null removes what may be absent."""

    name: Line = unchanged()
    specialties: Specialties = unchanged()
    languages: Languages = unchanged()
    location: Location = unchanged()
    qualifications: Qualifications = unchanged()
    biography: Prose | None = None
    fee: Fee | None = None
    is_accepting_patients: bool = unchanged()


class Verification(Body):
    is_verified: bool
    note: Prose | None = None
    """Why; for administrators and the doctor, never public."""


class DirectorySort(StrEnum):
    NAME = "name"
    RATING = "rating"


class BySpecialtyQuery(PageQuery):
    city: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    language: Annotated[
        Language | None, Field(description="`es` finds speakers of `es-MX` too.")
    ] = None
    accepting_patients: bool | None = None
    q: Annotated[
        str | None,
        Field(min_length=1, max_length=100, description="Start of the name, or of any word in it."),
    ] = None
    sort: DirectorySort = DirectorySort.NAME


class DirectoryQuery(BySpecialtyQuery):
    specialty: Specialty | None = None


class Rating(BaseModel):
    average: float | None
    """1 to 5, to one decimal; null under three reviews."""
    count: int


class DoctorPublic(BaseModel):
    doctor_id: str
    name: str
    specialties: list[Specialty]
    qualifications: list[Qualification]
    languages: list[str]
    biography: str | None
    location: Location
    fee: Fee | None
    is_accepting_patients: bool
    is_verified: bool
    rating: Rating
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, doctor: Doctor) -> Self:
        # Constructed, not validated: these values were validated when they were read.
        fields = {
            name: getattr(doctor, name) for name in cls.model_fields if name in Doctor.model_fields
        }
        average = None
        if doctor.rating_count >= FEWEST_RATINGS:
            average = round(doctor.rating_sum / doctor.rating_count, 1)
        rating = Rating(average=average, count=doctor.rating_count)
        return cast(Self, cls.model_construct(doctor_id=doctor.id, rating=rating, **fields))


class DoctorOwn(DoctorPublic):
    """What the doctor and administrators see besides."""

    is_active: bool
    verification_note: str | None


class Specialization(BaseModel):
    code: Specialty
    name: str
    doctor_count: int
