"""What travels to and from a conversation."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from common.assistant import Citation
from common.models import Country, Language, Prose
from common.schemas import Body, Id

from ..schemas import Alarm

Why = Literal["emergency", "out_of_scope", "no_source", "language", "identifiers", "no_answer"]


class ChatMessage(Body):
    message: Annotated[Prose, Field(max_length=4000)]
    conversation_id: Id | None = None
    """To go on with; without it a new one begins."""
    patient_id: Id | None = None
    """Whose record may be used for the answer. It needs access, and the patient's consent."""
    country: Country | None = None
    """Where the person is, for the emergency number; by default where the record or the phone number says."""
    language: Language | None = None


class ChatAnswer(BaseModel):
    conversation_id: str
    exchange_id: str | None
    """None when it could not be kept: an emergency is answered all the same."""
    answer: str
    """Marks such as `[1]` are the numbers of citations."""
    citations: list[Citation]
    alarm: Alarm | None
    """What is to be done before anything else; whatever the answer says, it is not lowered."""
    is_model_used: bool
    why_not: Why | None
    """Why no model answered, or nothing of what it said was let through."""
    is_record_used: bool
    disclaimer: str
    create_time: datetime
