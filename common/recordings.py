"""What was recorded: is it sound at all, how long, does anybody speak; and the same as FLAC.

What arrived is not believed: neither its name nor its type nor its header.
It is read by `common/sound.py`, in a process with limits.
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from common import children, storage
from common.children import Child, Ended
from common.problems import Unavailable
from common.reasons import NotTaken, Reason
from common.storage import Bucket, StoredObject

MOST_BYTES = 480_000_000
LONGEST_SECONDS = 8 * 3600.0

_DEADLINE = 480.0
"""Seconds for the whole file; the function may run for 540."""

Progress = Callable[[float], Awaitable[None]]
"""Told how much of the file was read, from 0 to 1, every half minute of sound."""

CONTENT_TYPES = {
    "wav": ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
    "flac": ("audio/flac", "audio/x-flac"),
    "mp3": ("audio/mpeg", "audio/mp3"),
    "ogg": ("audio/ogg", "audio/opus"),
    "matroska": ("audio/webm",),
    "mov": ("audio/mp4", "audio/x-m4a", "audio/m4a"),
}
"""By the name that FFmpeg has for the container; the first is the usual one."""


@dataclass(frozen=True)
class Examined:
    seconds: float
    is_truncated: bool
    has_speech: bool
    """False for silence, one steady sound and bare tones; True says only that it may be speech."""


def container_of(head: bytes) -> str | None:
    """What kind of file begins so: by its magic bytes, whatever it is called."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:3] == b"ID3" or _is_mp3_frame(head):
        return "mp3"
    return None


def _is_mp3_frame(head: bytes) -> bool:
    """Frame sync, and a layer, bit rate and sampling rate that exist (ISO/IEC 11172-3, 2.4.1.3)."""
    return (
        len(head) > 2
        and head[0] == 0xFF
        and head[1] & 0xE0 == 0xE0
        and head[1] & 0x18 != 0x08
        and head[1] & 0x06 != 0
        and head[2] & 0xF0 not in (0, 0xF0)
        and head[2] & 0x0C != 0x0C
    )


async def convert(stored: StoredObject, format: str, target: str, told: Progress) -> Examined:
    """Read the upload to its end, and store it as FLAC under `target`, among the results.

    Raises `NotTaken`; `NotFound`; `Unavailable`, also when it takes too long or is killed from outside.
    """
    arguments = (format, str(stored.size), str(LONGEST_SECONDS))
    async with children.running("common.sound", *arguments, grace=0) as child:
        reader = _Reader(child, stored, told)
        try:
            async with asyncio.timeout(_DEADLINE):
                await storage.write(Bucket.RESULTS, target, reader.flac(), "audio/flac")
        except TimeoutError:
            raise Unavailable("The file could not be read in time.") from None
    assert reader.examined is not None  # noqa: S101 - flac() ends with it, or raises
    return reader.examined


class _Reader:
    """Answers what the reading process asks for, and takes what it makes."""

    def __init__(self, child: Child, stored: StoredObject, told: Progress) -> None:
        self._child = child
        self._stored = stored
        self._told = told
        self.examined: Examined | None = None

    async def flac(self) -> AsyncIterator[bytes]:
        while True:
            try:
                kind, content = await self._child.message()
            except Ended as ended:
                raise ended.verdict(Reason.UNREADABLE_AUDIO) from None
            match kind:
                case b"R":
                    await self._answer(*struct.unpack(">QI", content))
                case b"F":
                    yield content
                case b"P":
                    seconds, declared = struct.unpack(">dd", content)
                    await self._told(min(seconds / declared, 1.0) if declared else 0.0)
                case _:
                    self.examined = _examined(json.loads(content))
                    return

    async def _answer(self, start: int, size: int) -> None:
        piece = await storage.read(Bucket.UPLOADS, self._stored, start, size)
        # If it ended while it waited, the next reading finds that.
        await self._child.send(struct.pack(">I", len(piece)) + piece)


def _examined(found: dict[str, object]) -> Examined:
    if "error" in found:
        raise NotTaken(Reason(str(found["error"])))
    return Examined(
        seconds=float(str(found["seconds"])),
        is_truncated=bool(found["is_truncated"]),
        has_speech=bool(found["has_speech"]),
    )
