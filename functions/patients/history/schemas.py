"""What travels to and from the patients service: history records."""

from datetime import date, datetime
from typing import Annotated, Self, cast

from pydantic import BaseModel, Field, model_validator

from common.clinical import (
    Attachment,
    Code,
    HistoryPrivate,
    HistoryRecord,
    HistoryType,
    Measurement,
    PastDate,
)
from common.models import Line, LongProse, Prose
from common.pages import PageQuery
from common.schemas import Body, unchanged

Values = Annotated[list[Measurement], Field(max_length=100)]
Attachments = Annotated[list[Attachment], Field(max_length=20)]


class HistoryCreate(Body):
    type: HistoryType
    title: Line
    description: LongProse
    code: Code | None = None
    occurred_on: PastDate
    values: Values = []
    """Of an observation or a laboratory result."""
    attachments: Attachments = []

    @model_validator(mode="after")
    def _only_measurements_have_values(self) -> Self:
        if self.values and self.type not in MEASURED:
            raise ValueError("Only observations and laboratory results have values")
        return self


MEASURED = (HistoryType.OBSERVATION, HistoryType.LAB_RESULT)


class HistoryAmend(Body):
    """Fields left out stay as they are. The earlier version is kept."""

    title: Line = unchanged()
    description: LongProse = unchanged()
    code: Code | None = None
    occurred_on: PastDate = unchanged()
    values: Values = unchanged()
    attachments: Attachments = unchanged()
    reason: Annotated[Prose, Field(max_length=500)] | None = None
    """Why it is amended; kept with the new version."""


class HistoryFilter(PageQuery):
    type: HistoryType | None = None
    from_: Annotated[date | None, Field(alias="from", description="First day of occurrence.")] = (
        None
    )
    to: Annotated[date | None, Field(description="Last day of occurrence.")] = None


class HistoryPublic(BaseModel):
    record_id: str
    patient_id: str
    type: HistoryType
    title: str
    description: str
    code: Code | None
    occurred_on: date
    values: list[Measurement]
    attachments: list[Attachment]
    author_id: str
    editor_id: str
    """Who wrote this version."""
    version: int
    amendment_reason: str | None
    create_time: datetime
    update_time: datetime
    """When this version was written."""

    @classmethod
    def of(
        cls, patient_id: str, record_id: str, record: HistoryRecord, private: HistoryPrivate
    ) -> Self:
        shown = {
            **dict(record),
            **dict(private),
            "record_id": record_id,
            "patient_id": patient_id,
            "author_id": record.author_uid,
            "editor_id": record.editor_uid,
        }
        return cast(Self, cls.model_construct(**{name: shown[name] for name in cls.model_fields}))
