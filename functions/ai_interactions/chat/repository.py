"""Where conversations live: `conversations/{uid}`."""

from dataclasses import dataclass

from common import audit
from common.assistant import (
    Exchange,
    Thread,
    exchanges,
    threads,
)
from common.crypto import Vault
from common.firestore import Batch, Order, Where, now, plus
from common.idempotency import Once
from common.models import AuditEvent
from common.urgency import Urgency

from .schemas import ChatAnswer

_NEWEST: Order = [("create_time", "DESCENDING")]


async def thread(uid: str, conversation_id: str) -> Thread | None:
    return await threads.get(uid, conversation_id)


async def latest(uid: str, conversation_id: str, most: int) -> list[Exchange]:
    """The last exchanges of a conversation, oldest first."""
    where: Where = [("conversation_id", "==", conversation_id)]
    found = await exchanges.find(uid, where=where, order=_NEWEST, limit=most)
    return found[::-1]


@dataclass(frozen=True)
class Added:
    """What one more exchange brings with it."""

    exchange: Exchange
    title: bytes | None
    """Begins a conversation."""
    urgency: Urgency | None
    """The highest of the conversation."""
    answer: ChatAnswer
    event: AuditEvent


async def add(uid: str, added: Added, once: Once, vault: Vault) -> None:
    """Store an exchange, and that its conversation has one more.

    Raises `NotFound` when the conversation was deleted meanwhile.
    """
    exchange = added.exchange
    batch = Batch()
    batch.create(exchange.path, exchange)
    path = threads.path(uid, exchange.conversation_id)
    moment = now()
    if added.title is not None:
        thread = Thread(
            create_time=moment,
            update_time=moment,
            exchange_count=1,
            urgency=added.urgency,
            sealed={"title": added.title},
        )
        batch.create(path, thread)
    else:
        fields = {"exchange_count": plus(1), "update_time": moment, "urgency": added.urgency}
        batch.update(path, fields)
    once.remember(batch, 200, added.answer, vault=vault)
    audit.add(batch, added.event)
    await batch.commit()
