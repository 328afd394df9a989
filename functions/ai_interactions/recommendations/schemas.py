"""What travels from the recommendations: conflicts first, then what a model suggests."""

from typing import Literal

from pydantic import BaseModel

from common.assistant import Citation
from common.conflicts import Conflict, Evidence


class Suggestion(BaseModel):
    text: str
    evidence: list[Evidence]
    """Entries of the record that it rests on."""
    citations: list[Citation]


class Recommendations(BaseModel):
    patient_id: str
    conflicts: list[Conflict]
    """Allergies first, then by severity. What is not found here may be there all the same."""
    suggestions: list[Suggestion]
    """A model's, each with evidence and a source; what had neither is left out."""
    left_out: int
    """Suggestions without evidence or source."""
    is_model_used: bool
    why_not: (
        Literal["no_consent", "nothing_recorded", "language", "identifiers", "no_answer", "budget"]
        | None
    )
    disclaimer: str


class _Suggested(BaseModel):
    text: str
    evidence_ids: list[str]
    source_ids: list[int]


class Suggested(BaseModel):
    """What the model answers."""

    suggestions: list[_Suggested]
