"""What travels to and from the appointments service: the waitlist."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from common.models import Prose, Specialty
from common.pages import PageQuery
from common.scheduling import AppointmentType, Offer, WaitlistEntry, WaitlistStatus
from common.schemas import Body, Id, Moment


class WaitlistJoin(Body):
    doctor_id: Id | None = None
    specialty: Specialty | None = None
    from_: Annotated[Moment, Field(alias="from")]
    """The earliest start."""
    to: Moment
    """The latest end."""
    type: AppointmentType = AppointmentType.IN_PERSON
    auto_book: bool = False
    """Book the first slot that fits at once, without asking."""
    reason: Annotated[Prose, Field(max_length=2000)] | None = None
    patient_id: Id | None = None
    """For administrators, who say for whom; left out by patients."""

    @model_validator(mode="after")
    def _wants_one_thing(self) -> Self:
        if (self.doctor_id is None) == (self.specialty is None):
            raise ValueError("Give either doctor_id or specialty")
        if self.to <= self.from_:
            raise ValueError("to is not after from")
        return self


class WaitlistPublic(BaseModel):
    waitlist_id: str
    patient_id: str
    doctor_id: str | None
    specialty: Specialty | None
    type: AppointmentType
    from_: Annotated[datetime, Field(serialization_alias="from", validation_alias="from")]
    to: datetime
    auto_book: bool
    status: WaitlistStatus
    offer: Offer | None
    """A slot that is held for the patient until `expire_time`."""
    appointment_id: str | None
    create_time: datetime

    @classmethod
    def of(cls, entry: WaitlistEntry) -> Self:
        same = ("patient_id", "doctor_id", "specialty", "type", "auto_book", "status", "offer")
        fields = {name: getattr(entry, name) for name in (*same, "appointment_id", "create_time")}
        return cls(waitlist_id=entry.id, **{**fields, "from": entry.from_time}, to=entry.to_time)


class WaitlistFilter(PageQuery):
    patient_id: Id | None = None
    """For administrators."""
    status: WaitlistStatus | None = None
