"""Where conversations live: `conversations/{uid}`."""

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

from .schemas import ChatAnswer

_NEWEST: Order = [("create_time", "DESCENDING")]


async def thread(uid: str, conversation_id: str) -> Thread | None:
    return await threads.get(uid, conversation_id)


async def latest(uid: str, conversation_id: str, most: int) -> list[Exchange]:
    """The last exchanges of a conversation, oldest first."""
    where: Where = [("conversation_id", "==", conversation_id)]
    found = await exchanges.find(uid, where=where, order=_NEWEST, limit=most)
    return found[::-1]


async def add(
    uid: str,
    conversation_id: str,
    exchange: Exchange,
    title: bytes | None,
    once: Once,
    answer: ChatAnswer,
    vault: Vault,
    event: AuditEvent,
) -> None:
    """Store an exchange, and that its conversation has one more; `title` begins a new one.

    Raises `NotFound` when the conversation was deleted meanwhile.
    """
    batch = Batch()
    batch.create(exchange.path, exchange)
    path = threads.path(uid, conversation_id)
    moment = now()
    if title is not None:
        thread = Thread(
            create_time=moment,
            update_time=moment,
            exchange_count=1,
            urgency=exchange.urgency,
            sealed={"title": title},
        )
        batch.create(path, thread)
    else:
        fields = {"exchange_count": plus(1), "update_time": moment}
        if exchange.urgency is not None:
            fields["urgency"] = exchange.urgency
        batch.update(path, fields)
    once.remember(batch, 200, answer, vault=vault)
    audit.add(batch, event)
    await batch.commit()
