"""Where histories live in Firestore: `patients/{patient_id}/history` and `…/versions`."""

from datetime import date

from common import audit
from common.clinical import HistoryRecord, HistoryType, Patient
from common.crypto import Vault
from common.firestore import Batch, Order, Where
from common.idempotency import Once
from common.models import AuditEvent
from common.pages import PageQuery
from common.patients import history, versions

from .schemas import HistoryPublic

_NEWEST: Order = [("occurred_on", "DESCENDING")]


async def get(patient_id: str, record_id: str) -> HistoryRecord | None:
    return await history.get(patient_id, record_id)


async def list_(
    patient_id: str,
    type: HistoryType | None,
    first: date | None,
    last: date | None,
    page: PageQuery,
) -> tuple[list[HistoryRecord], str | None]:
    """Newest first by the day of occurrence, and of one day the one that was entered last."""
    wanted = (("type", "==", type), ("occurred_on", ">=", first), ("occurred_on", "<=", last))
    where: Where = [each for each in wanted if each[2] is not None]
    return await history.list_(patient_id, where=where, order=_NEWEST, page=page)


async def list_versions(
    patient_id: str, record_id: str, page: PageQuery
) -> tuple[list[HistoryRecord], str | None]:
    """Those before the current one, newest first."""
    order: Order = [("version", "DESCENDING")]
    return await versions.list_(patient_id, record_id, order=order, page=page)


async def version_known_as(patient_id: str, record_id: str, revision: str) -> HistoryRecord | None:
    """The earlier version that was current under this revision."""
    where: Where = [("replaced_revision", "==", revision)]
    found = await versions.find(patient_id, record_id, where=where, limit=1)
    return found[0] if found else None


async def add(
    patient: Patient,
    record: HistoryRecord,
    once: Once,
    answer: HistoryPublic,
    vault: Vault,
    event: AuditEvent,
) -> None:
    """Raises `RecordChanged` when the patient was changed, archived perhaps, since it was read."""
    batch = Batch()
    batch.create(record.path, record)
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
    once.remember(batch, 201, answer, f"/v1/{record.path}", vault)
    audit.add(batch, event)
    await batch.commit()


async def amend(
    patient: Patient,
    record: HistoryRecord,
    amended: HistoryRecord,
    earlier: HistoryRecord,
    event: AuditEvent,
) -> str:
    """Write the new version in place and keep the earlier one below it; returns the new revision.

    Raises `RecordChanged` when record or patient is not as it was read.
    """
    batch = Batch()
    batch.create(earlier.path, earlier)
    batch.update(record.path, dict(amended), record.revision)
    batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
    audit.add(batch, event)
    return (await batch.commit()).revisions[record.path]
