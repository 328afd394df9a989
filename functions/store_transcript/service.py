"""What happens to a result of speech recognition: it is stored once, and then deleted.

A recognition may have been started twice, and a result told of twice: whoever
comes to a record that is no longer processing finds nothing to do. A result
that is none has its recognition started again.
"""

import logging

from common import crypto, findings, speech, storage, telemetry, transcribing
from common.events import ObjectStored
from common.preconditions import applied
from common.problems import NotFound
from common.reasons import Reason
from common.storage import Bucket
from common.telemetry import Metric
from common.transcripts import Transcription, converted_name, duration_of, parts_of
from common.uploads import UploadState, over

from . import repository

MOST_BYTES = 64_000_000
"""Of a result: eight hours of talk, with the time of every word, are about 15 MB."""

_log = logging.getLogger("healthhub.store")


async def store(event: ObjectStored) -> None:
    """Raises `NotFound` for a result that belongs to no record."""
    names = parts_of(event.name)
    if names is None or not event.name.endswith(".json"):
        return
    try:
        await applied(lambda: _store(event, *names))
    except NotFound:
        await _clean(event.name, *names)
        raise
    await storage.delete(Bucket.RESULTS, event.name)


async def _store(event: ObjectStored, patient_id: str, id: str) -> None:
    record = await repository.get(id)
    if record is None or record.patient_id != patient_id:
        raise NotFound
    if record.state is not UploadState.PROCESSING or not _is_current(record, event.name):
        return
    with telemetry.continued(record.traceparent, "store_transcript"):
        await _take_in(record, event)


async def _take_in(record: Transcription, event: ObjectStored) -> None:
    stored = await storage.find(Bucket.RESULTS, event.name)
    if stored is None:
        return
    try:
        if stored.size > MOST_BYTES:
            raise speech.Unreadable
        raw = b"".join([piece async for piece in storage.pieces(Bucket.RESULTS, stored)])
        segments = speech.segments_of(raw)
    except speech.Unreadable:
        _log.warning("a result that is none", extra={"fields": {"path": record.path}})
        await transcribing.again(record, Reason.SPEECH_FAILED)
        return
    vault = await crypto.vault_of(record.patient_id)
    terms = await findings.terms_of(segments, record.language)
    speakers = {segment.speaker for segment in segments if segment.speaker}
    fields = {
        **over(UploadState.COMPLETED, None if segments else Reason.NO_SPEECH),
        "operation": "",
        "segment_count": len(segments),
        "speaker_count": len(speakers) or None,
        "duration_seconds": record.duration_seconds or duration_of(segments),
    }
    await repository.complete(record, fields, segments, terms, vault)
    telemetry.count(Metric.TRANSCRIPTS, state=UploadState.COMPLETED, how="file")
    await storage.delete(Bucket.RESULTS, record.converted_name)


async def _clean(name: str, patient_id: str, id: str) -> None:
    """What was deleted or erased while it was recognised leaves nothing, in whichever step it was."""
    await storage.delete(Bucket.RESULTS, name)
    await storage.delete(Bucket.RESULTS, converted_name(patient_id, id))
    if await repository.get(id) is None:
        await repository.forget(id)


def _is_current(record: Transcription, name: str) -> bool:
    """Whether this is the result of the latest generation; of which attempt does not matter."""
    return name.startswith(f"{record.results_prefix}/{record.generation}-")
