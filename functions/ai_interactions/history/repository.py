"""Conversations, prompts and consents, as they are read again and deleted."""

from common import audit
from common.assistant import (
    CONSENT,
    Consent,
    Exchange,
    Thread,
    consents,
    exchanges,
    threads,
)
from common.auth import Principal
from common.egress import Prompt, prompts
from common.firestore import Batch, Order, Where, now
from common.pages import PageQuery

_NEWEST: Order = [("create_time", "DESCENDING")]
_LATEST: Order = [("update_time", "DESCENDING")]
_AT_ONCE = 200


async def thread(uid: str, conversation_id: str) -> Thread | None:
    return await threads.get(uid, conversation_id)


async def list_threads(uid: str, page: PageQuery) -> tuple[list[Thread], str | None]:
    return await threads.list_(uid, order=_LATEST, page=page)


async def list_exchanges(
    uid: str, conversation_id: str, page: PageQuery
) -> tuple[list[Exchange], str | None]:
    where: Where = [("conversation_id", "==", conversation_id)]
    return await exchanges.list_(uid, where=where, order=_NEWEST, page=page)


async def forget(caller: Principal, uid: str, conversation_id: str | None) -> None:
    """Delete one conversation, or all, with an audit event; the threads go last, so that it can be done again."""
    where: Where = [("conversation_id", "==", conversation_id)] if conversation_id else []
    while found := await exchanges.find(uid, where=where, limit=_AT_ONCE):
        batch = Batch()
        for each in found:
            batch.delete(each.path)
        await batch.commit()
    if conversation_id:
        paths = [threads.path(uid, conversation_id)]
    else:
        paths = [each.path async for each in threads.all_(uid)]
    batch = Batch()
    for path in paths[:_AT_ONCE]:
        batch.delete(path)
    resource = f"conversations/{uid}/threads/{conversation_id or '*'}"
    audit.add(batch, audit.event(caller, "conversations.delete", resource, uid))
    await batch.commit()
    if len(paths) > _AT_ONCE:
        await forget(caller, uid, conversation_id)


async def list_prompts(patient_id: str, page: PageQuery) -> tuple[list[Prompt], str | None]:
    return await prompts.list_(patient_id, order=_NEWEST, page=page)


async def consent(patient_id: str) -> Consent | None:
    return await consents.get(patient_id, CONSENT)


async def put_consent(caller: Principal, patient_id: str, *, is_given: bool) -> Consent:
    moment = now()
    path = consents.path(patient_id, CONSENT)
    stored = Consent(
        create_time=moment, update_time=moment, is_given=is_given, actor_uid=caller.uid
    )
    batch = Batch()
    batch.put(path, stored)
    action = "consents.give" if is_given else "consents.withdraw"
    audit.add(batch, audit.event(caller, action, path, patient_id))
    await batch.commit()
    return stored
