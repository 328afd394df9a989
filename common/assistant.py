"""What the assistant keeps: conversations, each under its person's own key, and what patients agreed to.

`conversations/{uid}/threads` tells lists what there is; `conversations/{uid}/exchanges` holds what
was asked and answered. Nothing here can be listened to; it comes through the API.
"""

from pydantic import BaseModel

from common.crypto import Vault, new_vault, vault_of
from common.firestore import Collection
from common.knowledge import KnowledgeEntry
from common.models import Record
from common.problems import NotFound
from common.sources import Source
from common.urgency import Urgency


class Thread(Record):
    """`conversations/{uid}/threads/{conversation_id}`"""

    exchange_count: int = 0
    urgency: Urgency | None = None
    """The highest that was found in it."""
    sealed: dict[str, bytes]
    """`title`: how it began."""


class Exchange(Record):
    """`conversations/{uid}/exchanges/{exchange_id}`: one question and its answer."""

    conversation_id: str
    patient_id: str | None = None
    """Whose record was used."""
    urgency: Urgency | None = None
    is_model_used: bool
    model: str | None = None
    sealed: dict[str, bytes]


class Citation(BaseModel):
    number: int
    """The mark `[1]` in the answer."""
    entry_id: str
    """Of `GET /v1/ai-interactions/knowledge/{entry_id}`."""
    title: str
    source: Source


def citation(number: int, entry: KnowledgeEntry) -> Citation:
    return Citation(number=number, entry_id=entry.id, title=entry.title, source=entry.source)


class ExchangePrivate(BaseModel):
    """The sealed part of an exchange."""

    question: str
    answer: str
    citations: list[Citation] = []
    red_flag_ids: list[str] = []


class Consent(Record):
    """`patients/{patient_id}/consents/assistant`: whether a language model may see the record, without what identifies the patient."""

    is_given: bool
    actor_uid: str
    """Who said so: the patient, or an administrator to whom they did."""


threads = Collection(Thread, "conversations/{}/threads")
exchanges = Collection(Exchange, "conversations/{}/exchanges")
consents = Collection(Consent, "patients/{}/consents")

CONSENT = "assistant"


async def has_consented(patient_id: str) -> bool:
    found = await consents.get(patient_id, CONSENT)
    return found is not None and found.is_given


async def own_vault(uid: str) -> Vault:
    """The person's key, made at their first conversation; a patient's is that of their record.

    Raises `NotFound` for a patient who was erased, and `Unavailable`.
    """
    try:
        return await vault_of(uid)
    except NotFound:
        return await new_vault(uid)
