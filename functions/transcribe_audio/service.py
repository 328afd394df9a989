"""What happens to an uploaded recording: claimed, checked, converted, given to recognition.

Nothing reads a file before its verdict: size, hash, malware, kind. The result
of recognition is another object, which `store_transcript` is told of; nobody
waits for it here.

Every step can be cut off. The message comes again, takes its own claim over,
and starts from the file; what a step had made is made again under the same name.
"""

import hashlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from common import malware, recordings, speech, storage, telemetry
from common.events import ObjectStored
from common.firestore import now
from common.outside import Refused
from common.preconditions import applied
from common.problems import NotFound, RecordChanged, Unavailable
from common.reasons import Reason
from common.recordings import Examined, NotTaken
from common.storage import Bucket, StoredObject
from common.transcripts import Transcription, converted_name, parts_of
from common.uploads import CHECK_WITHIN, MAX_ATTEMPTS, UploadState, over

from . import repository

_CHECKED = 20
"""Percent; recognition takes the rest."""
_TELL_EVERY = 5.0
"""Seconds between two changes of the progress: listeners pay for each."""

_log = logging.getLogger("healthhub.transcribe")


async def transcribe(event: ObjectStored) -> None:
    """Raises `NotFound` for an object that belongs to no record; whatever else is tried again."""
    names = parts_of(event.name)
    if names is None:
        raise NotFound
    record = await applied(lambda: _claim(event, *names))
    if record is None:
        return
    with telemetry.continued(record.traceparent, "transcribe_audio"):
        await _work_on(record, event)


async def _work_on(record: Transcription, event: ObjectStored) -> None:
    stored = await storage.find(Bucket.UPLOADS, event.name)
    if stored is None or stored.generation != event.generation:
        return  # deleted, or there is a newer one, of which we are told too
    try:
        record = await _begin(record, stored, event)
    except NotTaken as refused:
        await _reject(record, stored, refused.reason)
    except RecordChanged:
        _log.info("somebody else went on with it", extra={"fields": {"path": record.path}})
    except NotFound:
        await storage.delete(Bucket.RESULTS, record.converted_name)
        raise  # deleted meanwhile, and so must be what was made of it


async def _claim(event: ObjectStored, patient_id: str, id: str) -> Transcription | None:
    """The record, if it is ours to work on; None if there is nothing to do."""
    record = await repository.get(id)
    if record is None or record.patient_id != patient_id:
        # Its record was deleted while it was on its way.
        await storage.delete(Bucket.UPLOADS, event.name)
        await storage.delete(Bucket.RESULTS, converted_name(patient_id, id))
        raise NotFound
    moment = now()
    if not _is_due(record, event):
        return None
    is_taken = record.is_claimed_by_another(event.push.message_id, moment)
    if is_taken and not _is_fresh(record, event):
        return None
    if record.attempts >= MAX_ATTEMPTS and not _is_fresh(record, event):
        await repository.change(record, over(UploadState.FAILED, Reason.PROCESSING_FAILED))
        return None
    return await repository.change(
        record,
        {
            "state": UploadState.UPLOADED,
            "reason": None,
            "progress": 5,
            "attempts": 1 if _is_fresh(record, event) else record.attempts + 1,
            "generation": event.generation,
            "claimed_by": event.push.message_id,
            "due_time": moment + CHECK_WITHIN,
            "update_time": moment,
        },
    )


def _is_due(record: Transcription, event: ObjectStored) -> bool:
    """Not what is older, done, or under way; what failed only for a newer object or a replay."""
    if event.generation < record.generation or record.state is UploadState.COMPLETED:
        return False
    if event.generation > record.generation:
        return True
    if record.state.is_final:
        return record.state is UploadState.FAILED and event.push.is_replayed
    return record.state is not UploadState.PROCESSING


def _is_fresh(record: Transcription, event: ObjectStored) -> bool:
    """Whether its attempts are counted from one again: another object, or an operator's wish."""
    return event.generation > record.generation or event.push.is_replayed


async def _begin(record: Transcription, stored: StoredObject, event: ObjectStored) -> Transcription:
    container = await _verdict(record, stored, event)
    converted = record.converted_name
    examined, record = await _convert(record, stored, container, converted)
    found = {
        "content_type": recordings.CONTENT_TYPES[container][0],
        "duration_seconds": examined.seconds,
        "is_truncated": examined.is_truncated,
    }
    if not examined.has_speech:
        await storage.delete(Bucket.RESULTS, converted)
        done = over(UploadState.COMPLETED, Reason.NO_SPEECH)
        return await repository.change(record, {**found, **done})
    prefix = f"{record.results_prefix}/{record.generation}-{record.attempts}"
    try:
        operation = await speech.begin(converted, prefix, record.language)
    except Refused:
        raise NotTaken(Reason.SPEECH_REFUSED) from None
    moment = now()
    return await repository.change(
        record,
        {
            **found,
            "state": UploadState.PROCESSING,
            "progress": _CHECKED,
            "operation": operation,
            "operation_time": moment,
            "claimed_by": "",
            "due_time": moment + speech.LOOK_EVERY,
            "update_time": moment,
        },
    )


async def _verdict(record: Transcription, stored: StoredObject, event: ObjectStored) -> str:
    """What kind of container it is. Raises `NotTaken`; `Unavailable` while nobody can say."""
    if stored.size != record.size_bytes:
        raise NotTaken(Reason.SIZE_MISMATCH)
    await _scan(record, stored, event)
    head = await storage.read(Bucket.UPLOADS, stored, 0, 64)
    container = recordings.container_of(head)
    if container is None:
        raise NotTaken(Reason.NOT_AUDIO)
    return container


async def _scan(record: Transcription, stored: StoredObject, event: ObjectStored) -> None:
    """Hash and malware, in one reading."""
    digest = hashlib.sha256()

    async def content() -> AsyncIterator[bytes]:
        async for piece in storage.pieces(Bucket.UPLOADS, stored):
            digest.update(piece)
            yield piece

    if malware.is_configured():
        try:
            is_harmful = await malware.is_harmful(content())
        except malware.NoVerdict:
            if not event.push.is_last:
                raise Unavailable("The malware scanner gives no verdict.") from None
            raise NotTaken(Reason.NOT_SCANNED) from None
        if is_harmful:
            raise NotTaken(Reason.MALWARE)
    elif record.sha256 is not None:
        async for _ in content():
            pass
    if record.sha256 is not None and digest.hexdigest() != record.sha256:
        raise NotTaken(Reason.HASH_MISMATCH)


async def _convert(
    record: Transcription, stored: StoredObject, container: str, target: str
) -> tuple[Examined, Transcription]:
    """The recording as FLAC; the record, with the progress that it has made."""
    current = record
    told = time.monotonic()

    async def tell(share: float) -> None:
        nonlocal current, told
        if time.monotonic() - told < _TELL_EVERY:
            return
        told = time.monotonic()
        fields: dict[str, Any] = {"progress": 5 + int((_CHECKED - 5) * share), "update_time": now()}
        current = await repository.change(current, fields)

    return await recordings.convert(stored, container, target, tell), current


async def _reject(record: Transcription, stored: StoredObject, reason: Reason) -> None:
    """End it, with the reason, if it is still ours; what may be harmful goes where only operators look."""
    current = await repository.get(record.id)
    if current is None or current.claimed_by != record.claimed_by or current.state.is_final:
        return
    if reason in (Reason.MALWARE, Reason.NOT_SCANNED):
        await storage.quarantine(stored)
    await storage.delete(Bucket.RESULTS, record.converted_name)  # if it came so far
    is_files_fault = reason not in (Reason.NOT_SCANNED, Reason.SPEECH_REFUSED)
    state = UploadState.REJECTED if is_files_fault else UploadState.FAILED
    await repository.change(current, over(state, reason))
    fields = {"path": record.path, "reason": reason}
    _log.warning("recording refused", extra={"fields": fields})
