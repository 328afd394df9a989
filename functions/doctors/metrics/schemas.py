"""What travels from the doctors service: what a practice's months add up to."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field


class MetricsQuery(BaseModel):
    model_config = {"extra": "forbid"}

    from_: Annotated[date | None, Field(alias="from", description="30 days ago.")] = None
    to: Annotated[date | None, Field(description="Included; today. 366 days at most.")] = None


class Cancellations(BaseModel):
    by_patient: int
    by_doctor: int
    by_admin: int


class Metrics(BaseModel):
    """By the day of the appointment, on the doctor's calendar; null where there is nothing to divide by."""

    doctor_id: str
    from_: Annotated[date, Field(serialization_alias="from", validation_alias="from")]
    to: date
    visits: int
    noshows: int
    noshow_rate: float | None
    """Of visits and no-shows together."""
    cancellations: Cancellations
    utilisation: float | None
    """Minutes of visits, of those that the schedule as it is now opens up to today."""
    median_lead_days: float | None
    """Whole days between booking and visit."""
    ratings: int
    average_rating: float | None
