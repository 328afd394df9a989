"""The use cases of the knowledge base: find, read, add, delete."""

from common import egress
from common.assistant import own_vault
from common.auth import Principal
from common.budget import Meter
from common.idempotency import Once
from common.knowledge import KnowledgeWritten, embedded, search
from common.problems import (
    AlreadyExists,
    BudgetSpent,
    Busy,
    NotFound,
    RedactionIncomplete,
    Unavailable,
)
from common.redaction import language_of

from ..service import who_asks
from . import repository
from .schemas import (
    KnowledgeCreate,
    KnowledgeFound,
    KnowledgePublic,
    KnowledgeQuery,
    KnowledgeResults,
)


async def find(caller: Principal, wish: KnowledgeQuery) -> KnowledgeResults:
    """By meaning and by words; by words alone where the question may not leave or nobody answers."""
    vector = None
    if language_of(wish.q) is not None:
        try:
            asker = await who_asks(caller, None, None)
            vault = await own_vault(caller.uid)
            vector = await egress.embed_question(
                caller, vault, asker.redactor, wish.q, Meter(caller.uid)
            )
        except (RedactionIncomplete, BudgetSpent, Unavailable, Busy, NotFound):
            vector = None
    found = await search(wish.q, vector, wish.most)
    items = [KnowledgeFound.found(each) for each in found]
    return KnowledgeResults(items=items, is_by_meaning=vector is not None)


async def get(entry_id: str) -> KnowledgePublic:
    """Raises `NotFound`."""
    entry = await repository.get(entry_id)
    if entry is None:
        raise NotFound
    return KnowledgePublic.of(entry)


async def create(admin: Principal, wish: KnowledgeCreate, once: Once) -> KnowledgePublic:
    """Raises `AlreadyExists`, and `Unavailable` while nobody can say what it means."""
    written = KnowledgeWritten.model_validate(wish.model_dump(exclude={"entry_id"}))
    (entry,) = await embedded([(wish.entry_id, written)], egress.embed)
    answer = KnowledgePublic.of(entry)
    try:
        await repository.add(admin, entry, once, answer)
    except AlreadyExists:
        await once.replay()
        raise AlreadyExists(
            "There is an entry of this name. Delete it, or choose another."
        ) from None
    return answer


async def delete(admin: Principal, entry_id: str) -> None:
    """Raises `NotFound`."""
    await repository.delete(admin, entry_id)
