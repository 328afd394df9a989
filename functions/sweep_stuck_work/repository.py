"""What may be stuck, found by queries that touch nothing else."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime

from common.appointments import practices, waitlist
from common.firestore import Order, Where
from common.images import MedicalImage, medical_images
from common.scheduling import Practice, WaitlistEntry, WaitlistStatus
from common.transcripts import Transcription, transcriptions

_log = logging.getLogger("healthhub.sweep")


def overdue(status: WaitlistStatus, moment: datetime) -> AsyncIterator[WaitlistEntry]:
    """Those of this status whose `expire_time` has passed."""
    where: Where = [("status", "==", status), ("expire_time", "<=", moment)]
    order: Order = [("expire_time", "ASCENDING")]
    return waitlist.all_(where=where, order=order, unreadable=_unreadable)


def stuck_recordings(moment: datetime) -> AsyncIterator[Transcription]:
    """Recordings that should have gone on by now, the longest waiting first."""
    where: Where = [("due_time", "<=", moment)]
    order: Order = [("due_time", "ASCENDING")]
    return transcriptions.all_(where=where, order=order, unreadable=_unreadable)


def stuck_images(moment: datetime) -> AsyncIterator[MedicalImage]:
    where: Where = [("due_time", "<=", moment)]
    order: Order = [("due_time", "ASCENDING")]
    return medical_images.all_(where=where, order=order, unreadable=_unreadable)


async def image(image_id: str) -> MedicalImage | None:
    return await medical_images.get(image_id)


async def recording(transcription_id: str) -> Transcription | None:
    return await transcriptions.get(transcription_id)


def _unreadable(path: str) -> None:
    _log.error("what may be stuck can't be read", extra={"fields": {"path": path}})


async def entry(waitlist_id: str) -> WaitlistEntry | None:
    return await waitlist.get(waitlist_id)


async def practice(doctor_id: str) -> Practice | None:
    return await practices.get(doctor_id)
