"""Reads an image that a stranger sent: in a process of its own, with limits on memory and time.

python -m common.picture <kind> <descriptor>

It has neither network nor credentials, and one file, which it is given open. Once it is there, it sends one byte, `!`.
Each line on standard input is a command, as JSON; the answer is messages on standard output: one byte that says the kind,
four that say the length, and so many bytes.

    N  a name, as JSON: what follows is called so      F  a part of it
    E  the end, as JSON

    {"do": "examine"}                  the renditions; what the image is
    {"do": "read", "boxes": […]}       pictures in which to look for text, with these regions black; where lettering seems to be
    {"do": "clean", "boxes": […], "secret": "…"}   the copy without identifiers
"""

import io
import json
import os
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Protocol

from common.imaging import Alias, Box, ImageMetadata, Rendition
from common.reasons import NotTaken, Reason
from common.verdict import ImageKind

MEMORY = 3 << 30
"""Bytes of address space: the largest file, a few of the largest frames, and the libraries."""
CPU_SECONDS = 450

READ_FRAMES = 16
"""In how many frames text is looked for; beyond, in the brightest and the darkest of the others together."""
READ_SIZES = 8
"""Of how many sizes of pages the others are put together by size; all further ones share a canvas."""
READ_BYTES = 18 << 20
"""A picture to be read; Vision takes 20 MB."""
READ_SIDE = 4096
"""Larger pictures are scaled down to be read: what Vision recommends is far less."""


class Source(Protocol):
    """What an image of any kind can do here."""

    frame_count: int
    has_pixels: bool
    ratio: float

    def stored(self, frame: int) -> Any: ...

    def shown(self, values: Any, frame: int) -> Any: ...

    def burnt_out(self, values: Any, boxes: list[Box]) -> Any: ...

    def metadata(self) -> ImageMetadata: ...

    def deidentified(self, boxes: list[Box], alias: Alias) -> tuple[str, Iterator[bytes], Any]: ...

    def identifying(self) -> list[str]: ...

    def surroundings(self) -> list[Box]: ...


class Answers:
    def __init__(self, to: BinaryIO) -> None:
        self._to = to

    def send(self, kind: bytes, content: bytes) -> None:
        self._to.write(kind + struct.pack(">I", len(content)) + content)
        self._to.flush()

    def begin(self, name: str, **more: Any) -> None:
        self.send(b"N", json.dumps({"name": name, **more}).encode())

    def picture(self, image: Any, name: str) -> None:
        self.begin(name)
        self.send(b"F", as_png(image))

    def end(self, found: Any) -> None:
        self.send(b"E", json.dumps(found).encode())


def as_png(image: Any) -> bytes:
    into = io.BytesIO()
    image.save(into, "PNG", compress_level=4)
    return into.getvalue()


def opened(kind: ImageKind, file: BinaryIO) -> Source:
    """Raises `NotTaken`."""
    if kind is ImageKind.DICOM:
        from common.scans import Scan

        return Scan(file)
    from common.photos import Photo

    return Photo(file, kind)


def examine(source: Source, to: Answers) -> dict[str, Any]:
    """Send the renditions; what the image is."""
    from common import rendering

    found: dict[str, Any] = {
        "metadata": source.metadata().model_dump(mode="json"),
        "patient": getattr(source, "patient", dict)(),
        "identifying": source.identifying(),
        "surroundings": [box.model_dump() for box in source.surroundings()],
        "renditions": [],
        "quality": None,
    }
    if not source.has_pixels:
        return found
    middle = source.frame_count // 2
    shown = source.shown(source.stored(middle), middle)
    found["quality"] = rendering.quality_of(shown).model_dump()
    whole = rendering.scaled(rendering.picture(shown, source.ratio), rendering.PREVIEW_SIDE)
    made = {
        Rendition.PREVIEW: whole,
        Rendition.THUMBNAIL: rendering.scaled(whole, rendering.THUMBNAIL_SIDE),
    }
    if source.frame_count > 1:
        cells = []
        for frame in rendering.spread(source.frame_count, rendering.SHEET_FRAMES):
            cell = rendering.picture(source.shown(source.stored(frame), frame), source.ratio)
            cells.append(rendering.scaled(cell, rendering.THUMBNAIL_SIDE))
        made[Rendition.CONTACT_SHEET] = rendering.contact_sheet(cells)
    for rendition, image in made.items():
        to.picture(image, rendition)
    found["renditions"] = list(made)
    return found


def read(source: Source, boxes: list[Box], to: Answers) -> dict[str, Any]:
    """Send what is to be read; a picture's `scale` is its size to the frame's, `lettering` is in pixels of the frame."""
    from common import rendering

    if not source.has_pixels:
        return {}
    middle = source.frame_count // 2
    frames = sorted({*rendering.spread(source.frame_count, READ_FRAMES - 1), middle})
    is_some = len(frames) < source.frame_count
    together: dict[Any, tuple[Any, Any]] = {}
    for frame in range(source.frame_count) if is_some else frames:
        shown = source.shown(source.burnt_out(source.stored(frame), boxes), frame)
        if frame in frames:
            _send(shown, to, frame, boxes, is_middle=frame == middle)
            continue
        is_own = shown.shape in together or len(together) < READ_SIZES
        size = shown.shape if is_own else None
        bright, dark = together.get(size, (None, None))
        together[size] = _together(bright, shown, "maximum"), _together(dark, shown, "minimum")
    for bright, dark in together.values():
        _send(bright, to, None, boxes)
        if dark is not bright:  # of several frames
            _send(dark, to, None, boxes)
    return {}


def _together(before: Any, shown: Any, how: str) -> Any:
    """The brightest (`maximum`) or the darkest of both; what only one of them has stays as it is."""
    import numpy

    if before is None:
        return shown
    if before.shape != shown.shape:
        ground = 0 if how == "maximum" else 255
        size = tuple(max(sides) for sides in zip(before.shape[:2], shown.shape[:2], strict=True))
        is_colour = before.ndim + shown.ndim > 4
        before, shown = (_on(each, size, ground, is_colour) for each in (before, shown))
    return getattr(numpy, how)(before, shown)


def _on(shown: Any, size: tuple[int, ...], ground: int, is_colour: bool) -> Any:
    """On a canvas of this size, from its upper left corner."""
    import numpy

    canvas = numpy.full((*size, 3) if is_colour else size, ground, "uint8")
    grey = is_colour and shown.ndim == 2
    canvas[: shown.shape[0], : shown.shape[1]] = shown[:, :, None] if grey else shown
    return canvas


def _send(
    shown: Any, to: Answers, frame: int | None, black: list[Box], *, is_middle: bool = False
) -> None:
    import numpy

    from common import lettering, rendering

    whole = rendering.picture(shown)
    image = rendering.scaled(whole, READ_SIDE)
    # Of the longer side: the shorter one's is rounded by far more.
    scale = max(image.size) / max(whole.size)
    rows = lettering.find(numpy.asarray(image), [box.scaled(scale) for box in black])
    png = as_png(image)
    while len(png) > READ_BYTES:
        image = rendering.scaled(image, max(image.size) // 2)
        png = as_png(image)
    to.begin(
        "frame",
        frame=frame,
        scale=max(image.size) / max(whole.size),
        is_middle=is_middle,
        lettering=[row.scaled(1 / scale).model_dump() for row in rows],
    )
    to.send(b"F", png)


def clean(source: Source, boxes: list[Box], alias: Alias, to: Answers) -> dict[str, Any]:
    kind, content, report = source.deidentified(boxes, alias)
    if kind:
        to.begin("file", content_type=kind)
    for piece in content:
        if piece:
            to.send(b"F", piece)
    return {"report": report.model_dump(mode="json")}


def obey(source: Source, command: Any, to: Answers) -> dict[str, Any]:
    boxes = [Box.model_validate(box) for box in command.get("boxes", [])]
    match command["do"]:
        case "examine":
            return examine(source, to)
        case "read":
            return read(source, boxes, to)
        case "clean":
            return clean(source, boxes, Alias(bytes.fromhex(command["secret"])), to)
    raise ValueError("no such command")


def attempted(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it finds, or the reason why it does not, whatever a hostile file does to the libraries."""
    try:
        return work()
    except NotTaken as refused:
        return {"error": refused.reason}
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - a panic of a decoder that is written in Rust is no Exception
        return {"error": Reason.UNREADABLE_IMAGE}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # The soft limit is told by SIGXCPU, so that SIGKILL always means somebody else.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.buffer.write(b"!")
    sys.stdout.buffer.flush()
    to = Answers(sys.stdout.buffer)
    kind, descriptor = sys.argv[1:]
    file = os.fdopen(int(descriptor), "rb")
    source: Source | None = None

    def answer(command: bytes) -> dict[str, Any]:
        nonlocal source
        source = source or opened(ImageKind(kind), file)
        return obey(source, json.loads(command), to)

    for line in sys.stdin.buffer:
        to.end(attempted(partial(answer, line)))


if __name__ == "__main__":
    main()
