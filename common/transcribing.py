"""Starting over: what `store_transcript` and `sweep_stuck_work` do with a recognition that came to nothing."""

from datetime import timedelta

from common import resumption, storage
from common.events import tell_again
from common.firestore import now
from common.reasons import Reason
from common.storage import Bucket
from common.transcripts import Transcription
from common.uploads import MAX_ATTEMPTS, UploadState, over


async def again(record: Transcription, reason: Reason) -> None:
    """Have the recording checked and recognised anew: at once the first time, then later each time.

    After some attempts it is given up for this reason. Raises `RecordChanged`, `Unavailable`.
    """
    if record.attempts <= 1:
        await go_on(record, reason)
        return
    moment = now()
    waiting = {
        "state": UploadState.UPLOADED,
        "claimed_by": "",
        "operation": "",
        "due_time": moment + timedelta(minutes=record.attempts**2),
        "update_time": moment,
    }
    is_over = record.attempts >= MAX_ATTEMPTS
    await resumption.change(record, over(UploadState.FAILED, reason) if is_over else waiting)


async def go_on(record: Transcription, reason: Reason) -> bool:
    """Begin anew now; whether it goes on. Raises as `again` does."""
    return await resumption.go_on(record, reason, {"operation": ""})


async def tell_of_result(name: str) -> None:
    """Have `store_transcript` look at a result once more. Raises `Unavailable`."""
    stored = await storage.find(Bucket.RESULTS, name)
    if stored is not None:
        bucket = Bucket.RESULTS.full_name
        await tell_again("store_transcript", bucket, name, stored.generation)
