"""Delivers again what a function could not take, once what was wrong is put right."""

from common import events, resumption, storage
from common.events import DeadLetter
from common.firestore import Where
from common.images import medical_images
from common.storage import Bucket
from common.transcripts import transcriptions
from common.uploads import Upload, UploadState


class NotFailed(Exception):
    """Says in one line why there is nothing to begin again."""


async def list_dead() -> list[DeadLetter]:
    where: Where = [("is_dead", "==", True)]
    return [letter async for letter in events.dead_letters.all_(where=where)]


async def replay(letter_id: str | None, function: str | None) -> int:
    """Returns how many were delivered again."""
    count = 0
    for letter in await list_dead():
        if letter_id in (None, letter.id) and function in (None, letter.function):
            await events.replay(letter)
            count += 1
    return count


async def retry_transcription(transcription_id: str) -> None:
    """Raises `NotFailed`, `Unavailable`."""
    record = await transcriptions.get(transcription_id)
    if record is None or record.is_streamed:
        raise NotFailed("there is no failed recording of this id")
    await _begin_anew(record)


async def retry_image(image_id: str) -> None:
    """Raises `NotFailed`, `Unavailable`."""
    record = await medical_images.get(image_id)
    if record is None:
        raise NotFailed("there is no failed image of this id")
    await _begin_anew(record)


async def _begin_anew(record: Upload) -> None:
    if record.state is not UploadState.FAILED:
        raise NotFailed("what has this id has not failed")
    stored = await storage.find(Bucket.UPLOADS, record.object_name)
    if stored is None:
        raise NotFailed("its file is not there: it was never uploaded, or lies in quarantine")
    await resumption.tell(record, stored.generation, is_replay=True)
