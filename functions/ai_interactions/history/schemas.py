"""What travels to and from what is kept: conversations, prompts, consents."""

from datetime import datetime

from pydantic import BaseModel

from common.assistant import Citation
from common.schemas import Body
from common.urgency import Urgency


class ConversationPublic(BaseModel):
    conversation_id: str
    title: str | None
    """How it began; only for the person themself."""
    exchange_count: int
    urgency: Urgency | None
    create_time: datetime
    update_time: datetime


class ExchangePublic(BaseModel):
    exchange_id: str
    conversation_id: str
    question: str
    answer: str
    citations: list[Citation]
    urgency: Urgency | None
    red_flag_ids: list[str]
    is_model_used: bool
    model: str | None
    create_time: datetime


class PromptPublic(BaseModel):
    """What left for a language model, as it left."""

    prompt_id: str
    purpose: str
    model: str
    outcome: str
    replaced: dict[str, int]
    """How many identifiers were taken out, by kind."""
    input_tokens: int
    output_tokens: int
    instructions: str | None
    data: str | None
    """Only for the person whom it is about."""
    create_time: datetime


class ConsentChange(Body):
    is_given: bool


class ConsentPublic(BaseModel):
    patient_id: str
    is_given: bool
    update_time: datetime | None
