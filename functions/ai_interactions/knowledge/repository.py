"""Where the knowledge base lives: `knowledge/{entry_id}`."""

from common import audit
from common.auth import Principal
from common.firestore import Batch
from common.idempotency import Once
from common.knowledge import EmbeddedEntry, KnowledgeEntry, knowledge

from .schemas import KnowledgePublic


async def get(entry_id: str) -> KnowledgeEntry | None:
    return await knowledge.get(entry_id)


async def add(caller: Principal, entry: EmbeddedEntry, once: Once, answer: KnowledgePublic) -> None:
    """Raises `AlreadyExists`."""
    batch = Batch()
    batch.create(entry.path, entry)
    once.remember(batch, 201, answer, f"/v1/ai-interactions/{entry.path}")
    audit.add(batch, audit.event(caller, "knowledge.create", entry.path, None))
    await batch.commit()


async def delete(caller: Principal, entry_id: str) -> None:
    """Raises `NotFound`."""
    batch = Batch()
    path = knowledge.path(entry_id)
    batch.delete(path, must_exist=True)
    audit.add(batch, audit.event(caller, "knowledge.delete", path, None))
    await batch.commit()
