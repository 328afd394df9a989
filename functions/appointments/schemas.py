"""What travels to and from the appointments service."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from common.models import Prose, Role
from common.pages import PageQuery
from common.problems import FreeSlot
from common.scheduling import (
    Appointment,
    AppointmentPrivate,
    AppointmentStatus,
    AppointmentType,
)
from common.schemas import Body, Id, Moment, unchanged

Minutes = Annotated[int, Field(ge=5, le=720)]
Reason = Annotated[Prose, Field(max_length=2000)]


class AppointmentCreate(Body):
    doctor_id: Id
    start: Moment
    """A slot of the doctor's, with time zone: one that `/appointments/available` gave."""
    type: AppointmentType
    reason: Reason
    """What the patient comes for."""
    patient_id: Id | None = None
    """Left out by patients; doctors and administrators say for whom."""
    duration_minutes: Minutes | None = None
    """More than one slot, in one spell of the doctor's; left out: one slot."""


class AppointmentUpdate(Body):
    """Fields left out stay as they are; null removes what may be absent."""

    type: AppointmentType = unchanged()
    reason: Reason = unchanged()
    notes: Prose | None = None
    """Both the patient and the doctor read and write them."""
    private_notes: Prose | None = None
    """The doctor's alone."""


class Cancellation(Body):
    reason: Reason | None = None


class Reschedule(Body):
    start: Moment
    doctor_id: Id | None = None
    """Left out: the same doctor."""
    type: AppointmentType | None = None


class StatusChange(Body):
    status: Literal["arrived", "fulfilled", "noshow"]


class AppointmentSummary(BaseModel):
    appointment_id: str
    doctor_id: str
    patient_id: str
    doctor_name: str
    patient_name: str
    place: str | None
    type: AppointmentType
    status: AppointmentStatus
    start: datetime
    end: datetime
    time_zone: str
    """The doctor's."""
    local_start: str
    """`2026-12-01T09:00`: what the doctor's clock shows then."""
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, appointment: Appointment, **more: Any) -> Self:
        fields = {
            name: getattr(appointment, name)
            for name in cls.model_fields
            if name in Appointment.model_fields
        }
        return cls(appointment_id=appointment.id, **fields, **more)


class Calendar(BaseModel):
    user_id: str
    start: datetime
    end: datetime
    items: list[AppointmentSummary]
    """By their start, cancelled ones too; 1,000 at most."""


class AppointmentPublic(AppointmentSummary):
    reason: str | None
    notes: str | None
    private_notes: str | None
    """Shown to the doctor who wrote them, and nobody else."""
    cancelled_by: Role | None
    cancellation_reason: str | None

    @classmethod
    def whole(
        cls, appointment: Appointment, private: AppointmentPrivate, reader: str
    ) -> "AppointmentPublic":
        own = private.private_notes.get(reader)
        return cls.of(appointment, **{**dict(private), "private_notes": own})


class AppointmentSort(StrEnum):
    START = "start"
    LATEST = "-start"


class AppointmentFilter(PageQuery):
    patient_id: Id | None = None
    doctor_id: Id | None = None
    status: AppointmentStatus | None = None
    from_: Annotated[Moment | None, Field(alias="from", description="Starting then or later.")] = (
        None
    )
    to: Annotated[Moment | None, Field(description="Starting before then.")] = None
    sort: AppointmentSort = AppointmentSort.START


class AvailabilityQuery(BaseModel):
    model_config = {"extra": "forbid"}

    from_: Annotated[
        Moment | date | None,
        Field(alias="from", description="A day on the doctor's calendar, or a moment. Now."),
    ] = None
    to: Annotated[
        Moment | date | None,
        Field(description="That day included, or until that moment; 31 days at most. A week."),
    ] = None
    type: AppointmentType | None = None
    duration_minutes: Minutes | None = None


class Availability(BaseModel):
    doctor_id: str
    time_zone: str
    slot_minutes: int
    start: datetime
    """What was looked at: the asked time, as far as it can be booked at all."""
    end: datetime
    items: list[FreeSlot]
    next_free: FreeSlot | None = None
    """When nothing is free in that time: the first slot after it, if there is one within a month."""
