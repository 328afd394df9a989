"""What may be stuck, found by queries that touch nothing else."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime

from common.appointments import practices, waitlist
from common.firestore import Order, Where
from common.scheduling import Practice, WaitlistEntry, WaitlistStatus

_log = logging.getLogger("healthhub.sweep")


def overdue(status: WaitlistStatus, moment: datetime) -> AsyncIterator[WaitlistEntry]:
    """Those of this status whose `expire_time` has passed."""
    where: Where = [("status", "==", status), ("expire_time", "<=", moment)]
    order: Order = [("expire_time", "ASCENDING")]
    return waitlist.all_(where=where, order=order, unreadable=_unreadable)


def _unreadable(path: str) -> None:
    _log.error("a place on the waitlist can't be read", extra={"fields": {"path": path}})


async def entry(waitlist_id: str) -> WaitlistEntry | None:
    return await waitlist.get(waitlist_id)


async def practice(doctor_id: str) -> Practice | None:
    return await practices.get(doctor_id)
