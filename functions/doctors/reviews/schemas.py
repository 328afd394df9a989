"""What travels to and from the doctors service: reviews."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from common.models import Prose
from common.scheduling import Review
from common.schemas import ID_PATTERN, Body


class ReviewCreate(Body):
    appointment_id: Annotated[str, Field(pattern=ID_PATTERN)]
    stars: Annotated[int, Field(ge=1, le=5)]
    comment: Annotated[Prose, Field(max_length=2000)] | None = None
    """Public; say nothing that not everybody may know."""


class ReviewPublic(BaseModel):
    """Without a name, and with the month only: who visits whom is nobody's business."""

    stars: int
    comment: str | None
    month: date
    """The first day of the month of the review."""

    @classmethod
    def of(cls, review: Review) -> "ReviewPublic":
        month = review.create_time.date().replace(day=1)
        return cls(stars=review.stars, comment=review.comment, month=month)


class ReviewOwn(BaseModel):
    doctor_id: str
    appointment_id: str
    stars: int
    comment: str | None
    create_time: datetime
