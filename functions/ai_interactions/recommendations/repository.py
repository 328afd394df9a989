"""What of a patient's history recommendations rest on."""

from common.clinical import HistoryRecord, HistoryType
from common.firestore import Order, Where
from common.patients import history

_NEWEST: Order = [("occurred_on", "DESCENDING")]
_MOST = 100
"""Of each type."""

TYPES = (HistoryType.MEDICATION, HistoryType.ALLERGY, HistoryType.CONDITION)


async def records(patient_id: str, type: HistoryType) -> list[HistoryRecord]:
    """The newest of one type."""
    where: Where = [("type", "==", type)]
    return await history.find(patient_id, where=where, order=_NEWEST, limit=_MOST)
