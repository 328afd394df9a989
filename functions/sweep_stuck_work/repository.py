"""What may be stuck, found by queries that touch nothing else."""

from collections.abc import AsyncIterator
from datetime import datetime

from common.appointments import practices, waitlist
from common.firestore import Where
from common.scheduling import Practice, WaitlistEntry, WaitlistStatus


def overdue(status: WaitlistStatus, moment: datetime) -> AsyncIterator[WaitlistEntry]:
    """Those of this status whose `expire_time` has passed."""
    where: Where = [("status", "==", status), ("expire_time", "<=", moment)]
    return waitlist.all_(where=where, order=[("expire_time", "ASCENDING")])


async def entry(waitlist_id: str) -> WaitlistEntry | None:
    return await waitlist.get(waitlist_id)


async def practice(doctor_id: str) -> Practice | None:
    return await practices.get(doctor_id)
