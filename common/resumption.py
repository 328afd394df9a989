"""How an uploaded file's work goes on: its record is changed as it was read, its worker told anew."""

from collections.abc import Mapping
from typing import Any, TypeVar

from common import telemetry
from common.events import tell_again
from common.firestore import Batch, now
from common.reasons import Reason
from common.storage import Bucket
from common.uploads import CHECK_WITHIN, MAX_ATTEMPTS, Upload, UploadState, over

U = TypeVar("U", bound=Upload)


async def change(record: U, fields: Mapping[str, Any]) -> U:
    """The record with these fields; an end without a result is counted. Raises `RecordChanged`, `NotFound`."""
    batch = Batch()
    batch.update(record.path, fields, record.revision)
    revision = (await batch.commit()).revisions[record.path]
    changed = record.model_copy(update=dict(fields))
    changed.stored_as(record.path, revision)
    if changed.state in (UploadState.FAILED, UploadState.REJECTED):
        telemetry.count(record.metric, state=changed.state, reason=changed.reason or "")
    return changed


async def go_on(record: Upload, reason: Reason, also: Mapping[str, Any] | None = None) -> bool:
    """Have the file worked on anew, now; after some attempts it is given up for this reason.

    Returns whether it goes on. Raises `RecordChanged`, `Unavailable`.
    """
    if record.attempts >= MAX_ATTEMPTS:
        await change(record, over(UploadState.FAILED, reason))
        return False
    moment = now()
    fields = {
        "state": UploadState.UPLOADED,
        "claimed_by": "",
        "due_time": moment + CHECK_WITHIN,
        "update_time": moment,
        **(also or {}),
    }
    await change(record, fields)
    await tell(record, record.generation)
    return True


async def tell(record: Upload, generation: int, *, is_replay: bool = False) -> None:
    """Have the file's worker look at it once more. Raises `Unavailable`."""
    await tell_again(
        record.worker,
        Bucket.UPLOADS.full_name,
        record.object_name,
        generation,
        is_replay=is_replay,
    )
