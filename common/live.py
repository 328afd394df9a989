"""Speech recognised while it is spoken: sound in, words out, both at once.

https://cloud.google.com/speech-to-text/v2/docs/streaming-recognize

Speech-to-Text hears five minutes at most in one stream, so a longer talk is
heard in several, and its times are counted on. What is not plain samples is
read by `common/sound.py`, in a process of its own.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from common import children
from common.children import Child, Ended
from common.clients import speech_client
from common.outside import Failed, Refused
from common.problems import Unavailable
from common.sound import RATE
from common.speech import asking, config, recognizer, segment
from common.transcripts import Segment, Word

LIVE_TYPES = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/webm": "matroska",
    "audio/l16": "",
}
"""What can be read from its beginning on, with FFmpeg's name for it; `audio/l16` is samples alone."""

_BYTES_A_SECOND = RATE * 2
_MESSAGE = 24_000
"""Bytes in one message; it takes 25,600."""
_STREAM_SECONDS = 280.0
"""It takes 300."""
_DEADLINE = 330.0
_PATIENCE = 4.0
_SILENCE = bytes(3200)
_WAITING = 32
"""Messages that may wait for Speech-to-Text; then the app waits too."""


class NotSound(Exception):
    """What was sent can't be read as the sound that it was said to be."""


@dataclass(frozen=True)
class Heard:
    """Some words: while they may still change, or for good."""

    text: str
    end: float
    """Seconds from the beginning."""
    segment: Segment | None = None
    """Once it is final."""


# ---------------------------------------------------------------- sound


@asynccontextmanager
async def samples(chunks: AsyncIterator[bytes], format: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The sound as samples: 16 bit, mono, 16 kHz. Raises `Failed` when nothing can read it just now."""
    if not format:
        yield chunks
        return
    async with AsyncExitStack() as stack:
        reading = children.running("common.sound", format, "live", "0", grace=0)
        try:
            child = await stack.enter_async_context(reading)
        except Unavailable as error:
            raise Failed("no process reads the sound") from error
        feeding = asyncio.create_task(_feed(child, chunks))
        try:
            yield _made(child, feeding)
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await feeding


async def _feed(child: Child, chunks: AsyncIterator[bytes]) -> None:
    try:
        async for chunk in chunks:
            if not await child.send(chunk):
                return  # it has ended, and says why
    finally:
        child.send_no_more()


async def _made(child: Child, feeding: "asyncio.Task[None]") -> AsyncIterator[bytes]:
    """Raises `NotSound`, and what ended the chunks."""
    while True:
        try:
            kind, content = await child.message()
        except Ended:
            raise NotSound from None
        if kind == b"S":
            yield content
            continue
        if feeding.done():
            feeding.result()
        if b"error" in content:
            raise NotSound
        return


# ---------------------------------------------------------------- words


async def heard(sound: AsyncIterator[bytes], language: str) -> AsyncIterator[Heard]:
    """What is heard in these samples, as it is heard. Raises `Failed`, `Refused`, `NotSound`."""
    pending: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_WAITING)
    reading = asyncio.create_task(_read(sound, pending))
    count = 0
    offset = 0.0
    try:
        is_over = False
        while not is_over:
            stream = _Stream(pending, language)
            async for result in stream.results():
                found = _heard(result, offset, f"s{count + 1}")
                if found is None:
                    continue
                count += found.segment is not None
                yield found
            offset += stream.seconds
            is_over = stream.is_over
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def _read(
    sound: AsyncIterator[bytes], pending: "asyncio.Queue[bytes | Exception | None]"
) -> None:
    buffer = b""
    try:
        async for piece in sound:
            buffer += piece
            while len(buffer) >= _MESSAGE:
                await pending.put(buffer[:_MESSAGE])
                buffer = buffer[_MESSAGE:]
        if len(buffer) > 1:
            await pending.put(buffer[: len(buffer) // 2 * 2])
        await pending.put(None)
    except Exception as error:  # noqa: BLE001 - whoever takes from the queue raises it
        await pending.put(error)


class _Stream:
    """One stream of Speech-to-Text."""

    def __init__(self, pending: "asyncio.Queue[bytes | Exception | None]", language: str) -> None:
        self._pending = pending
        self._language = language
        self._error: Exception | None = None
        self.seconds = 0.0
        self.is_over = False

    async def results(self) -> AsyncIterator[Any]:
        try:
            call = await asking(
                speech_client().streaming_recognize(requests=self._requests(), timeout=_DEADLINE)
            )
            answers = aiter(call)
            while (answer := await asking(_next_of(answers))) is not None:
                for result in answer.results:
                    yield result
        except (Failed, Refused) as error:
            # Without sound there is nothing to recognise; after a pause, or a time, the next stream goes on.
            if self._error is None and not (self.seconds and _is_only_over(error)):
                raise
        if self._error is not None:
            raise self._error

    async def _requests(self) -> AsyncIterator[Any]:
        from google.cloud import speech_v2

        settings = config(self._language, is_diarized=False)
        del settings["auto_decoding_config"]
        settings["explicit_decoding_config"] = {
            "encoding": "LINEAR16",
            "sample_rate_hertz": RATE,
            "audio_channel_count": 1,
        }
        streaming = {"config": settings, "streaming_features": {"interim_results": True}}
        yield speech_v2.StreamingRecognizeRequest(
            recognizer=recognizer(), streaming_config=streaming
        )
        end = time.monotonic() + _STREAM_SECONDS
        while self.seconds < _STREAM_SECONDS and time.monotonic() < end:
            try:
                piece = await asyncio.wait_for(self._pending.get(), _PATIENCE)
            except TimeoutError:
                piece = _SILENCE  # else it gives up after ten seconds
            if not isinstance(piece, bytes):
                self.is_over = True
                self._error = piece
                return
            self.seconds += len(piece) / _BYTES_A_SECOND
            yield speech_v2.StreamingRecognizeRequest(audio=piece)


def _is_only_over(error: Exception) -> bool:
    """Whether Speech-to-Text ended a stream for its length, or for a silence: `OUT_OF_RANGE`, `ABORTED`."""
    return str(error) in ("OutOfRange", "Aborted")


async def _next_of(answers: AsyncIterator[Any]) -> Any:
    return await anext(answers, None)


def _heard(result: Any, offset: float, id: str) -> Heard | None:
    if not result.alternatives:
        return None
    best = result.alternatives[0]
    end = offset + result.result_end_offset.total_seconds()
    if not result.is_final:
        return Heard(best.transcript.strip(), end) if best.transcript.strip() else None
    words = [
        Word(
            text=word.word,
            start=round(offset + word.start_offset.total_seconds(), 3),
            end=round(offset + word.end_offset.total_seconds(), 3),
            confidence=round(word.confidence, 3) or None,
        )
        for word in best.words
    ]
    if not words and best.transcript.strip():
        words = [Word(text=best.transcript.strip(), start=round(end, 3), end=round(end, 3))]
    if not words:
        return None
    return Heard(best.transcript.strip(), end, segment(id, None, words))
