"""Conversations, prompts and consents, as they are read again and deleted."""

from collections.abc import Sequence

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
from common.clinical import Patient
from common.egress import Prompt, prompts
from common.firestore import Batch, Order, Where, now
from common.models import Record
from common.pages import PageQuery

_NEWEST: Order = [("create_time", "DESCENDING")]
_LATEST: Order = [("update_time", "DESCENDING")]
AT_ONCE = 200


async def thread(uid: str, conversation_id: str) -> Thread | None:
    return await threads.get(uid, conversation_id)


async def list_threads(uid: str, page: PageQuery) -> tuple[list[Thread], str | None]:
    return await threads.list_(uid, order=_LATEST, page=page)


async def list_exchanges(
    uid: str, conversation_id: str, page: PageQuery
) -> tuple[list[Exchange], str | None]:
    where: Where = [("conversation_id", "==", conversation_id)]
    return await exchanges.list_(uid, where=where, order=_NEWEST, page=page)


async def some_exchanges(uid: str, conversation_id: str | None) -> list[Exchange]:
    """Of one conversation or of all; as many as one batch deletes."""
    where: Where = [("conversation_id", "==", conversation_id)] if conversation_id else []
    return await exchanges.find(uid, where=where, limit=AT_ONCE)


async def some_threads(uid: str, conversation_id: str | None) -> list[Thread]:
    if conversation_id:
        found = await thread(uid, conversation_id)
        return [found] if found is not None else []
    return await threads.find(uid, limit=AT_ONCE)


async def delete(records: Sequence[Record], held_by: Sequence[Patient]) -> None:
    """Delete them together, unless one of these patients has come under a legal hold meanwhile.

    Raises `RecordChanged`.
    """
    batch = Batch()
    for patient in held_by:
        batch.verify(patient.path, {"has_legal_hold": False}, patient.revision)
    for each in records:
        batch.delete(each.path)
    await batch.commit()


async def list_prompts(patient_id: str, page: PageQuery) -> tuple[list[Prompt], str | None]:
    return await prompts.list_(patient_id, order=_NEWEST, page=page)


async def consent(patient_id: str) -> Consent | None:
    return await consents.get(patient_id, CONSENT)


async def put_consent(caller: Principal, patient: Patient, *, is_given: bool) -> Consent:
    """Raises `RecordChanged`, as when the patient is erased meanwhile."""
    patient_id = patient.id
    moment = now()
    path = consents.path(patient_id, CONSENT)
    stored = Consent(
        create_time=moment, update_time=moment, is_given=is_given, actor_uid=caller.uid
    )
    batch = Batch()
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
    batch.put(path, stored)
    action = "consents.give" if is_given else "consents.withdraw"
    audit.add(batch, audit.event(caller, action, path, patient_id))
    await batch.commit()
    return stored
