"""What happens to an uploaded recording: claimed, checked, converted, given to recognition.

Nothing reads a file before its verdict: size, hash, malware, kind. The result
of recognition is another object, which `store_transcript` is told of; nobody
waits for it here.

Every step can be cut off. The message comes again, takes its own claim over,
and starts from the file; what a step had made is made again under the same name.
"""

import time
from typing import Any

from common import arrivals, recordings, speech, storage
from common.events import ObjectStored
from common.firestore import now
from common.outside import Failed, Refused
from common.problems import Unavailable
from common.reasons import NotTaken, Reason
from common.recordings import Examined
from common.resumption import change
from common.storage import Bucket, StoredObject
from common.transcripts import Transcription, converted_name, parts_of, transcriptions
from common.uploads import UploadState, over

_CHECKED = 20
"""Percent; recognition takes the rest."""
_TELL_EVERY = 5.0
"""Seconds between two changes of the progress: listeners pay for each."""


async def transcribe(event: ObjectStored) -> None:
    """Raises `NotFound` for an object that belongs to no record; whatever else is tried again."""

    async def work(record: Transcription, stored: StoredObject) -> None:
        try:
            await _begin(record, stored, event)
        except NotTaken as refused:
            await _reject(record, stored, refused.reason)

    async def forget(patient_id: str, id: str) -> None:
        await storage.delete(Bucket.UPLOADS, event.name)
        await storage.delete(Bucket.RESULTS, converted_name(patient_id, id))

    await arrivals.work_on(transcriptions, event, parts_of(event.name), work, forget)


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
        return await change(record, {**found, **done})
    prefix = f"{record.results_prefix}/{record.generation}-{record.attempts}"
    try:
        operation = await speech.begin(converted, prefix, record.language)
    except Refused:
        raise NotTaken(Reason.SPEECH_REFUSED) from None
    except Failed:
        raise Unavailable("Speech recognition does not answer.") from None
    moment = now()
    return await change(
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
    await arrivals.scan(record, stored, event)
    head = await storage.read(Bucket.UPLOADS, stored, 0, 64)
    container = recordings.container_of(head)
    if container is None:
        raise NotTaken(Reason.NOT_AUDIO)
    return container


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
        current = await change(current, fields)

    return await recordings.convert(stored, container, target, tell), current


async def _reject(record: Transcription, stored: StoredObject, reason: Reason) -> None:
    if await arrivals.refuse(transcriptions, record, stored, reason):
        await storage.delete(Bucket.RESULTS, record.converted_name)  # if it came so far
