"""What happens to any uploaded file before somebody reads it: claimed, scanned, or refused with a reason.

Messages come twice, late and in any order; a record is changed only as it was
read, so of two workers one goes on.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import IO, Any, TypeVar

from common import malware, storage, telemetry
from common.events import ObjectStored
from common.firestore import Collection, now
from common.preconditions import applied
from common.problems import NotFound, RecordChanged, Unavailable
from common.reasons import NotTaken, Reason
from common.resumption import change
from common.storage import Bucket, StoredObject
from common.uploads import CHECK_WITHIN, MAX_ATTEMPTS, Upload, UploadState, over

U = TypeVar("U", bound=Upload)

_NOT_THE_FILES_FAULT = frozenset((Reason.NOT_SCANNED, Reason.SPEECH_REFUSED, Reason.VISION_FAILED))

_log = logging.getLogger("healthhub.arrivals")


async def work_on(
    records: Collection[U],
    event: ObjectStored,
    names: tuple[str, str] | None,
    work: Callable[[U, StoredObject], Awaitable[None]],
    forget: Callable[[str, str], Awaitable[None]],
) -> None:
    """Have `work` done on what has come; `names` are the patient's and the record's ids.

    What belongs to no record, or whose record was deleted meanwhile, leaves nothing: `forget` deletes
    what lies there. Raises `NotFound` then; whatever else it raises, the message comes again.
    """
    if names is None:
        raise NotFound
    try:
        record = await applied(lambda: claim(records, event, *names))
        if record is None:
            return
        with telemetry.continued(record.traceparent, record.worker):
            stored = await storage.find(Bucket.UPLOADS, event.name)
            if stored is None or stored.generation != event.generation:
                return  # deleted, or there is a newer one, of which we are told too
            await _worked_on(record, stored, work)
    except NotFound:
        await forget(*names)
        raise


async def _worked_on(
    record: U, stored: StoredObject, work: Callable[[U, StoredObject], Awaitable[None]]
) -> None:
    try:
        await work(record, stored)
    except RecordChanged:
        _log.info("somebody else went on with it", extra={"fields": {"path": record.path}})


async def claim(records: Collection[U], event: ObjectStored, patient_id: str, id: str) -> U | None:
    """The record, if it is ours to work on; None if there is nothing to do.

    Raises `NotFound` for a file that belongs to no record, `RecordChanged`.
    """
    record = await records.get(id)
    if record is None or record.patient_id != patient_id:
        raise NotFound
    moment = now()
    if not _is_due(record, event):
        return None
    is_taken = record.is_claimed_by_another(event.push.message_id, moment)
    if is_taken and not _is_fresh(record, event):
        return None
    if record.attempts >= MAX_ATTEMPTS and not _is_fresh(record, event):
        await change(record, over(UploadState.FAILED, Reason.PROCESSING_FAILED))
        return None
    return await change(
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


def _is_due(record: Upload, event: ObjectStored) -> bool:
    """Not what is older, done, or under way elsewhere; what failed only for a newer object or a replay."""
    if event.generation < record.generation or record.state is UploadState.COMPLETED:
        return False
    if event.generation > record.generation:
        return True
    if record.state.is_final:
        return record.state is UploadState.FAILED and event.push.is_replayed
    return record.state is not UploadState.PROCESSING or bool(record.claimed_by)


def _is_fresh(record: Upload, event: ObjectStored) -> bool:
    """Whether its attempts are counted from one again: another object, or an operator's wish."""
    return event.generation > record.generation or event.push.is_replayed


async def scan(
    record: Upload, stored: StoredObject, event: ObjectStored, into: IO[bytes] | None = None
) -> str:
    """Size, malware and hash, in one reading; with `into`, what was read lies there then.

    Returns the SHA-256, in hex; of nothing, if nothing had to be read. Raises `NotTaken`; `Unavailable` while nobody can say.
    """
    if stored.size != record.size_bytes:
        raise NotTaken(Reason.SIZE_MISMATCH)
    digest = hashlib.sha256()

    async def content() -> AsyncIterator[bytes]:
        async for piece in storage.pieces(Bucket.UPLOADS, stored):
            digest.update(piece)
            if into is not None:
                into.write(piece)
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
    elif record.sha256 is not None or into is not None:
        async for _ in content():
            pass
    if record.sha256 is not None and digest.hexdigest() != record.sha256:
        raise NotTaken(Reason.HASH_MISMATCH)
    return digest.hexdigest()


async def refuse(
    records: Collection[U],
    record: U,
    stored: StoredObject,
    reason: Reason,
    found: Mapping[str, Any] | None = None,
) -> bool:
    """End it, with the reason, if it is still ours; what may be harmful goes where only operators look.

    Returns whether it did.
    """
    current = await records.get(record.id)
    if current is None or current.claimed_by != record.claimed_by or current.state.is_final:
        return False
    if reason in (Reason.MALWARE, Reason.NOT_SCANNED):
        await storage.quarantine(stored)
    state = UploadState.FAILED if reason in _NOT_THE_FILES_FAULT else UploadState.REJECTED
    await change(current, {**(found or {}), **over(state, reason)})
    _log.warning("upload refused", extra={"fields": {"path": record.path, "reason": reason}})
    return True
