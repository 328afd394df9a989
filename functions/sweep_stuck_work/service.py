"""The use cases of the sweep: what waits for somebody who does not come goes on without them.

Offers that nobody took go to the next in line. Recordings and images whose file came
without word of it, whose worker was killed, or whose recognition came to
nothing are begun again, a few times, and then failed with a reason.

It can be fired twice at once, or killed at any point: each record is changed as
it was read, so one of two that meet does it.
"""

import logging
from datetime import datetime, timedelta

from common import audit, resumption, speech, storage, telemetry, transcribing, waitlist
from common.firestore import Batch, now
from common.outside import Refused
from common.preconditions import applied
from common.reasons import Reason
from common.scheduling import WaitlistEntry, WaitlistStatus
from common.storage import Bucket
from common.telemetry import Metric
from common.transcripts import Transcription
from common.uploads import CHECK_WITHIN, LOOK_AFTER, UPLOAD_WITHIN, Upload, UploadState, over

from . import repository

_RECOGNISED_WITHIN = timedelta(hours=24)
"""What Speech-to-Text promises for a batch."""

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
    recordings = images = 0
    async for record in repository.stuck_recordings(moment):
        try:
            recordings += await applied(lambda id=record.id: _resume_recording(id, moment))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001
            failures.append(error)
    async for image in repository.stuck_images(moment):
        try:
            images += await applied(lambda id=image.id: _resume_image(id, moment))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001
            failures.append(error)
    fields = {
        "offers_passed_on": passed,
        "waits_expired": expired,
        "recordings_resumed": recordings,
        "images_resumed": images,
    }
    _log.info("swept", extra={"fields": fields})
    if recordings + images:
        telemetry.count(Metric.STUCK_WORK, recordings + images)
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


# ---------------------------------------------------------------- files


async def _resume_image(image_id: str, moment: datetime) -> bool:
    """Have an image go on, or end it; whether it stood still, and it was this firing that found it."""
    record = await repository.image(image_id)
    if record is None or record.due_time is None or record.due_time > moment:
        return False
    if record.state is UploadState.PENDING_UPLOAD:
        return await _look_for_file(record, moment)
    return await resumption.go_on(record, Reason.PROCESSING_FAILED)


async def _resume_recording(transcription_id: str, moment: datetime) -> bool:
    """Have a recording go on, or end it; whether it stood still, and it was this firing that found it."""
    record = await repository.recording(transcription_id)
    if record is None or record.due_time is None or record.due_time > moment:
        return False
    if record.is_streamed:
        await _end_live(record)
    elif record.state is UploadState.PENDING_UPLOAD:
        return await _look_for_file(record, moment)
    elif record.state is UploadState.UPLOADED:
        return await transcribing.go_on(record, Reason.PROCESSING_FAILED)
    else:
        return await _look_at_recognition(record, moment)
    return True


async def _end_live(record: Transcription) -> None:
    """Nobody listens any more: what was heard is complete as far as it goes."""
    state = UploadState.COMPLETED if record.segment_count else UploadState.FAILED
    await resumption.change(record, over(state, Reason.CONNECTION_LOST))


async def _look_for_file(record: Upload, moment: datetime) -> bool:
    stored = await storage.find(Bucket.UPLOADS, record.object_name)
    if stored is not None:
        # Word of it was lost. The state stays: whoever is told now claims it.
        await resumption.change(record, {"due_time": moment + CHECK_WITHIN})
        await resumption.tell(record, stored.generation)
    elif moment - record.create_time > UPLOAD_WITHIN:
        await resumption.change(record, over(UploadState.FAILED, Reason.NOT_UPLOADED))
    else:
        await resumption.change(record, {"due_time": moment + LOOK_AFTER})
        return False
    return True


async def _look_at_recognition(record: Transcription, moment: datetime) -> bool:
    """Tell how far it is; begin it again when it came to nothing.

    Raises `Failed` while Speech-to-Text does not answer: it is asked again at the next firing.
    """
    if record.operation_time and moment - record.operation_time > _RECOGNISED_WITHIN:
        await transcribing.again(record, Reason.SPEECH_FAILED)
        return True
    try:
        seen = await speech.look(record.operation)
    except Refused:
        seen = speech.Look(True)
    if not seen.is_done:
        fields = {
            "progress": max(record.progress, speech.progress_of(seen.percent)),
            "due_time": moment + speech.LOOK_EVERY,
            "update_time": moment,
        }
        await resumption.change(record, fields)
        return False
    prefix = f"{record.results_prefix}/{record.generation}-"
    results = await storage.find_all(Bucket.RESULTS, prefix)
    if seen.error is not None or not results:
        await transcribing.again(record, Reason.SPEECH_FAILED)
        return True
    await resumption.change(record, {"due_time": moment + CHECK_WITHIN})
    await transcribing.tell_of_result(results[-1])
    return True
