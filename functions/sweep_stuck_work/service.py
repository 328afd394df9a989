"""The use case of the sweep: offers that nobody took go to the next in line.

It can be fired twice at once, or killed at any point: each entry is changed as
it was read, together with its slot, so one of two that meet does it.
"""

import logging
from datetime import datetime

from common import audit, waitlist
from common.firestore import Batch, now
from common.preconditions import applied
from common.scheduling import WaitlistEntry, WaitlistStatus

from . import repository

_log = logging.getLogger("healthhub.sweep")


async def sweep() -> None:
    """Raises what the last failing entry raised, once every other was tried."""
    moment = now()
    failures: list[Exception] = []
    passed = expired = 0
    async for entry in repository.overdue(WaitlistStatus.OFFERED, moment):
        try:
            passed += await applied(lambda id=entry.id: _pass_on(id, moment))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - the others must not wait for this one
            failures.append(error)
    async for entry in repository.overdue(WaitlistStatus.WAITING, moment):
        try:
            expired += await applied(lambda id=entry.id: _expire(id, moment))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001
            failures.append(error)
    _log.info("swept", extra={"fields": {"offers_passed_on": passed, "waits_expired": expired}})
    if failures:
        raise failures[-1]


async def _pass_on(waitlist_id: str, moment: datetime) -> bool:
    """End an offer; whether it was this firing that did."""
    entry = await repository.entry(waitlist_id)
    if entry is None or entry.offer is None or entry.offer.expire_time > moment:
        return False
    practice = await repository.practice(entry.offer.doctor_id)
    await waitlist.take_back(
        entry, practice, waitlist.after_offer(entry), _told("waitlist.pass-on", entry)
    )
    return True


async def _expire(waitlist_id: str, moment: datetime) -> bool:
    entry = await repository.entry(waitlist_id)
    if entry is None or entry.status is not WaitlistStatus.WAITING or entry.to_time > moment:
        return False
    over = entry.model_copy(update={"status": WaitlistStatus.EXPIRED})
    await waitlist.take_back(entry, None, over, _told("waitlist.expire", entry))
    return True


def _told(action: str, entry: WaitlistEntry) -> waitlist.Write:
    def write(batch: Batch) -> None:
        audit.add(batch, audit.event(None, action, entry.path, entry.patient_id, reason="waitlist"))

    return write
