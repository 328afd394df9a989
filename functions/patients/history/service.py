"""The use cases of a patient's history: enter, read, amend."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from common import access, audit, crypto
from common.auth import Principal
from common.clinical import Ground, HistoryPrivate, HistoryRecord, Patient
from common.crypto import Vault
from common.firestore import ANY_REVISION, now
from common.idempotency import Once
from common.pages import PageQuery
from common.patients import changeable, history, new_history, patients, versions
from common.preconditions import applied, changed_since
from common.problems import (
    AlreadyExists,
    Forbidden,
    Invalid,
    NotFound,
    RecordChanged,
)

from .. import policy
from . import repository
from .schemas import MEASURED, HistoryAmend, HistoryCreate, HistoryFilter, HistoryPublic

T = TypeVar("T")


async def list_(
    caller: Principal, patient_id: str, wish: HistoryFilter
) -> tuple[list[HistoryPublic], str | None]:
    if wish.from_ and wish.to and wish.to < wish.from_:
        raise Invalid.field("?to", "This is before `from`")
    path = f"{patients.path(patient_id)}/history"
    (found, token), vault = await _reading(
        caller,
        patient_id,
        "history.list",
        path,
        lambda: repository.list_(patient_id, wish.type, wish.from_, wish.to, wish),
    )
    return [_shown(patient_id, record.id, record, vault) for record in found], token


async def get(
    caller: Principal, patient_id: str, record_id: str
) -> tuple[HistoryRecord, HistoryPublic]:
    path = history.path(patient_id, record_id)
    record, vault = await _reading(
        caller, patient_id, "history.read", path, lambda: repository.get(patient_id, record_id)
    )
    if record is None:
        raise NotFound
    return record, _shown(patient_id, record_id, record, vault)


async def list_versions(
    caller: Principal, patient_id: str, record_id: str, wish: PageQuery
) -> tuple[list[HistoryPublic], str | None]:
    """What the record said before its amendments, newest first."""
    path = history.path(patient_id, record_id)
    (record, (found, token)), vault = await _reading(
        caller,
        patient_id,
        "history.read-versions",
        path,
        lambda: asyncio.gather(
            repository.get(patient_id, record_id),
            repository.list_versions(patient_id, record_id, wish),
        ),
    )
    if record is None:
        raise NotFound
    return [_shown(patient_id, record_id, version, vault) for version in found], token


async def _reading(
    caller: Principal,
    patient_id: str,
    action: str,
    path: str,
    read: Callable[[], Awaitable[T]],
) -> tuple[T, Vault]:
    """What `read` finds and the key to it, for who may see the patient; with its audit event."""
    ground = await access.ground(caller, patient_id, action, path)
    event = audit.event(caller, action, path, patient_id, reason=ground)
    both = asyncio.gather(read(), crypto.vault_of(patient_id))
    found, vault = await audit.reading(event, both)
    return found, vault


async def create(
    caller: Principal, patient_id: str, wish: HistoryCreate, once: Once
) -> tuple[HistoryRecord, HistoryPublic]:
    """Raises `NotFound`, `Forbidden`, `PatientArchived`."""
    path = f"{patients.path(patient_id)}/history"
    ground = await access.ground(caller, patient_id, "history.create", path)
    if not policy.can_write_history(ground):
        raise await audit.refuse(caller, "history.create", path, patient_id, Forbidden())
    vault = await crypto.vault_of(patient_id)
    record = new_history(patient_id, wish.type, wish.occurred_on, caller.uid)
    private = HistoryPrivate(**wish.model_dump(exclude={"type", "occurred_on"}))
    record.sealed = vault.seal_all(record.path, private)
    answer = _shown(patient_id, record.id, record, vault)

    async def change() -> None:
        patient = await changeable(patient_id)
        event = audit.event(caller, "history.create", record.path, patient_id, reason=ground)
        try:
            await repository.add(patient, record, once, answer, vault, event)
        except AlreadyExists:
            await once.replay()
            raise

    await applied(change)
    return record, answer


async def amend(
    caller: Principal,
    patient_id: str,
    record_id: str,
    wish: HistoryAmend,
    revision: str = ANY_REVISION,
) -> tuple[HistoryRecord, HistoryPublic]:
    """Write a new version; the earlier one stays, sealed for its new place.

    Raises `NotFound`, `Forbidden`, `PatientArchived`, and `RecordChanged`
    when the record is not at `revision`: it then names the fields that
    another amendment changed, so that nothing typed need be typed again.
    """
    path = history.path(patient_id, record_id)
    ground = await access.ground(caller, patient_id, "history.amend", path)
    vault = await crypto.vault_of(patient_id)

    async def change() -> tuple[HistoryRecord, HistoryPublic]:
        patient, record = await asyncio.gather(
            changeable(patient_id), repository.get(patient_id, record_id)
        )
        if record is None:
            raise NotFound
        if not policy.can_amend(caller, ground, record):
            raise await audit.refuse(caller, "history.amend", path, patient_id, Forbidden())
        said = vault.open_all(path, record.sealed, HistoryPrivate)
        if revision not in (ANY_REVISION, record.revision):
            raise await _changed_since(patient_id, record, said, wish, vault, revision)
        return await _write(caller, ground, patient, record, said, wish, vault)

    return await applied(change, revision)


async def _write(
    caller: Principal,
    ground: Ground,
    patient: Patient,
    record: HistoryRecord,
    said: HistoryPrivate,
    wish: HistoryAmend,
    vault: Vault,
) -> tuple[HistoryRecord, HistoryPublic]:
    fields = wish.model_fields_set - {"reason", "occurred_on"}
    changes = {name: getattr(wish, name) for name in fields}
    private = said.model_copy(update={**changes, "amendment_reason": wish.reason})
    if private.values and record.type not in MEASURED:
        raise Invalid.field("/values", "Only observations and laboratory results have values")
    moment = now()
    amended = record.model_copy(
        update={
            "occurred_on": wish.occurred_on or record.occurred_on,
            "editor_uid": caller.uid,
            "version": record.version + 1,
            "update_time": moment,
            "sealed": vault.seal_all(record.path, private),
        }
    )
    event = audit.event(caller, "history.amend", record.path, patient.id, reason=ground)
    earlier = _earlier(patient.id, record, said, vault)
    amended.stored_as(record.path, await repository.amend(patient, record, amended, earlier, event))
    return amended, _shown(patient.id, record.id, amended, vault)


def _earlier(
    patient_id: str, record: HistoryRecord, said: HistoryPrivate, vault: Vault
) -> HistoryRecord:
    """The record as it is, for its place among the versions."""
    path = versions.path(patient_id, record.id, f"{record.version:06d}")
    earlier = record.model_copy(
        update={
            "replaced_revision": record.revision,
            "sealed": vault.seal_all(path, said),
        }
    )
    earlier.stored_as(path, "")
    return earlier


async def _changed_since(
    patient_id: str,
    record: HistoryRecord,
    said: HistoryPrivate,
    wish: HistoryAmend,
    vault: Vault,
    revision: str,
) -> RecordChanged:
    """Which fields are not as the caller read them, and which of these they want to change too."""
    known = await repository.version_known_as(patient_id, record.id, revision)
    if known is None:
        return RecordChanged()
    before = _fields(known, vault.open_all(known.path, known.sealed, HistoryPrivate))
    after = _fields(record, said)
    changed = [name for name in before if before[name] != after[name]]
    return changed_since(changed, wish.model_fields_set, record.etag)


def _fields(record: HistoryRecord, said: HistoryPrivate) -> dict[str, Any]:
    amendable = HistoryAmend.model_fields.keys() - {"reason"}
    return {name: value for name, value in (*record, *said) if name in amendable}


def _shown(patient_id: str, record_id: str, record: HistoryRecord, vault: Vault) -> HistoryPublic:
    private = vault.open_all(record.path, record.sealed, HistoryPrivate)
    return HistoryPublic.of(patient_id, record_id, record, private)
