"""What travels to and from the assessment of symptoms."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from common.assistant import Citation
from common.clinical import Sex
from common.models import Country, Language, Line, Prose, Specialty
from common.red_flags import RedFlag
from common.schemas import Body
from common.urgency import Urgency

from ..schemas import Alarm

Few = Annotated[list[Line], Field(max_length=30)]


class SymptomReport(Body):
    symptoms: Annotated[list[Line], Field(min_length=1, max_length=30)]
    description: Annotated[Prose, Field(max_length=4000)] | None = None
    """In the person's own words."""
    age: Annotated[float, Field(ge=0, le=130, examples=[54, 0.2])]
    """Years; a fraction for a baby."""
    sex: Sex
    pregnant: bool | None = None
    duration: Line | None = None
    """For how long: `2 hours`, `3 days`, `since yesterday`."""
    conditions: Few = []
    medications: Few = []
    country: Country | None = None
    language: Language | None = None


class PossibleCause(BaseModel):
    name: str
    why: str | None
    """What speaks for it."""
    is_from_rules: bool
    """By a red flag; else a model's suggestion."""


class BookableDoctor(BaseModel):
    doctor_id: str
    name: str
    city: str
    next_free: datetime | None
    """UTC; None: nothing free within a month."""


class Assessment(BaseModel):
    urgency: Urgency
    alarm: Alarm | None
    """What is to be done at once."""
    red_flags: list[RedFlag]
    possible_causes: list[PossibleCause]
    advice: list[str]
    """Marks such as `[1]` are the numbers of citations."""
    citations: list[Citation]
    questions: list[str]
    """What a doctor would ask next."""
    specialty: Specialty
    doctors: list[BookableDoctor]
    """Of that specialty, who take patients; the next free slot first."""
    is_model_used: bool
    why_not: Literal["emergency", "language", "identifiers", "no_answer", "budget"] | None
    """Why no model was heard."""
    disclaimer: str


class Triage(BaseModel):
    """What the model answers; the rules have spoken before, and speak again over this."""

    urgency: Urgency
    possible_causes: list["_Cause"]
    advice: list[str]
    questions: list[str]
    specialty: Specialty


class _Cause(BaseModel):
    name: str
    why: str
