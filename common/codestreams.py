"""Compressed frames without what is no picture in them: comments, camera data, what follows the end.

JPEG, JPEG-LS (ITU-T T.81, T.87) and JPEG 2000 (ITU-T T.800) streams carry notes beside the picture, and a
name can stand in one. The picture itself is passed on bit by bit.

RLE (PS3.5, G) is not taken: its segments hold every bit that is allocated, also those beside the picture.
"""

import struct
from collections.abc import Iterator

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_RESTARTS = range(0xD0, 0xD8)
_APPS = range(0xE0, 0xF0)
_JFIF = 0xE0
_KEPT = {_JFIF: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12), 0xE8: (b"mrfx", 5)}
"""Application segments by which a decoder knows the colours: how they begin, and their bytes of use."""

_SOC, _SOT, _SOD, _EOC, _NOTE = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9, 0xFF64
_TILE_LENGTH = 6
"""Where in the tile-part header (SOT) its length stands, from the marker on."""


class NotUnderstood(Exception):
    """The stream is not built as its standard says, so nobody knows what is in it."""


def plain(frame: bytes) -> bytes:
    """The frame without notes. Raises `NotUnderstood`."""
    try:
        if frame[:2] == b"\xff\xd8":
            return b"".join(_jpeg(frame))
        if frame[:2] == b"\xff\x4f":
            return b"".join(_jpeg_2000(frame))
    except (struct.error, IndexError):
        raise NotUnderstood from None
    raise NotUnderstood


def _jpeg(frame: bytes) -> Iterator[bytes]:
    yield frame[:2]
    at = 2
    while True:
        if frame[at] != 0xFF:
            raise NotUnderstood
        kind = frame[at + 1]
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        if kind == _EOI:
            yield frame[at : at + 2]
            return
        (length,) = struct.unpack_from(">H", frame, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(frame):
            raise NotUnderstood
        if kind in _APPS:
            yield _colours(kind, frame[at + 4 : end])
        elif kind != _COM:
            yield frame[at:end]
        at = end
        if kind == _SOS:
            at = _scan_end(frame, end)
            yield frame[end:at]


def _colours(kind: int, content: bytes) -> bytes:
    """The application segment, with what a decoder needs of it and no thumbnail; empty for a note."""
    begin, size = _KEPT.get(kind, (b"", 0))
    if not size or not content.startswith(begin):
        return b""
    if len(content) < size:
        raise NotUnderstood
    # The last two bytes of JFIF's are its thumbnail's size.
    kept = content[: size - 2] + bytes(2) if kind == _JFIF else content[:size]
    return struct.pack(">2BH", 0xFF, kind, 2 + size) + kept


def _scan_end(frame: bytes, at: int) -> int:
    """Where the next marker is: in coded data 0xFF is followed by less than 0x80, or by a restart."""
    while True:
        at = frame.find(b"\xff", at)
        if at < 0 or at + 1 >= len(frame):
            raise NotUnderstood
        following = frame[at + 1]
        if following >= 0x80 and following not in _RESTARTS and following != 0xFF:
            return at
        at += 1 if following == 0xFF else 2


def _jpeg_2000(frame: bytes) -> Iterator[bytes]:
    yield frame[:2]
    at, end = 2, len(frame)
    while True:
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker == _EOC:
            yield frame[at : at + 2]
            return
        (length,) = struct.unpack_from(">H", frame, at + 2)
        if marker == _SOT:
            (whole,) = struct.unpack_from(">L", frame, at + _TILE_LENGTH)
            # 0: up to the end of the codestream, which is the last marker.
            until = at + whole if whole else frame.rfind(b"\xff\xd9")
            if not at < until <= end:
                raise NotUnderstood
            yield _tile_part(frame[at:until], is_open=not whole)
            at = until
            continue
        if length < 2 or marker < 0xFF30 or at + 2 + length > end:
            raise NotUnderstood
        if marker != _NOTE:
            yield frame[at : at + 2 + length]
        at += 2 + length


def _tile_part(part: bytes, *, is_open: bool) -> bytes:
    """A tile-part whose header has no notes, with its new length."""
    header, at = [], 0
    while True:
        marker, length = struct.unpack_from(">2H", part, at)
        if marker == _SOD:
            break
        if length < 2 or marker < 0xFF30 or at + 2 + length > len(part):
            raise NotUnderstood
        if marker != _NOTE:
            header.append(part[at : at + 2 + length])
        at += 2 + length
    kept = bytearray(b"".join(header) + part[at:])
    if not is_open:
        struct.pack_into(">L", kept, _TILE_LENGTH, len(kept))
    return bytes(kept)
