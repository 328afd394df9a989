"""Delivers again what a function could not take, once what was wrong is put right."""

from common import events, storage, transcribing
from common.events import DeadLetter
from common.firestore import Where
from common.storage import Bucket
from common.transcripts import transcriptions
from common.uploads import UploadState


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
    if record is None or record.state is not UploadState.FAILED or record.is_streamed:
        raise NotFailed("there is no failed recording of this id")
    stored = await storage.find(Bucket.UPLOADS, record.object_name)
    if stored is None:
        raise NotFailed("its file is not there: it was never uploaded, or lies in quarantine")
    await transcribing.tell(record, stored.generation, is_replay=True)
