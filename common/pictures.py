"""What an image holds, asked of `common/picture.py`: the process that reads what strangers send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from common import children
from common.children import Child, Ended
from common.imaging import Alias, Box, DeidentificationReport, ImageMetadata, Quality, Rendition
from common.outside import until
from common.problems import Unavailable
from common.reasons import NotTaken, Reason
from common.verdict import ImageKind

_DEADLINE = 420.0
"""Seconds for one command; the function may run for 540."""
_GRACE = 2.0
"""Seconds for the process to end."""


@dataclass(frozen=True)
class Examined:
    metadata: ImageMetadata
    patient: dict[str, str]
    """Whom the file names: `name`, `birth_date` and `sex` as DICOM writes them."""
    identifying: list[str]
    """Keywords of attributes that hold what identifies somebody."""
    surroundings: list[Box]
    """What lies outside of the image proper, as the file says."""
    renditions: dict[Rendition, bytes]
    quality: Quality | None


@dataclass(frozen=True)
class Readable:
    """A picture in which to look for text."""

    png: bytes
    frame: int | None
    """None: several frames together."""
    scale: float
    """Its size to the frame's."""
    is_middle: bool
    lettering: list[Box] = field(default_factory=list)
    """Where something looks like text, in pixels of the frame."""


class Picture:
    """One image, open in a process of its own."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.report: DeidentificationReport | None = None
        """Once the copy was read to its end."""

    async def examine(self) -> Examined:
        """Raises `NotTaken`, `Unavailable`, as all its methods do."""
        renditions: dict[Rendition, bytes] = {}
        found: dict[str, Any] = {}
        async for name, content in self._named({"do": "examine"}):
            if name is None:
                found = content
            else:
                renditions[Rendition(name["name"])] = content
        return Examined(
            metadata=ImageMetadata.model_validate(found["metadata"]),
            patient=found["patient"],
            identifying=found["identifying"],
            surroundings=[Box.model_validate(box) for box in found["surroundings"]],
            renditions=renditions,
            quality=Quality.model_validate(found["quality"]) if found["quality"] else None,
        )

    async def readable(self, boxes: list[Box]) -> AsyncIterator[Readable]:
        """What is to be read, with these regions black, picture by picture."""
        async for name, content in self._named({"do": "read", "boxes": _plain(boxes)}):
            if name is not None:
                yield Readable(
                    content,
                    name["frame"],
                    name["scale"],
                    name["is_middle"],
                    [Box.model_validate(box) for box in name["lettering"]],
                )

    async def cleaned(self, boxes: list[Box], alias: Alias) -> AsyncIterator[bytes]:
        """The copy without identifiers; its type comes first, as if it were content.

        Nothing comes of a file that can't be cleaned.
        """
        command = {"do": "clean", "boxes": _plain(boxes), "secret": alias.secret.hex()}
        async for kind, content in self._messages(command):
            match kind:
                case b"N":
                    yield json.loads(content)["content_type"].encode()
                case b"F":
                    yield content
                case _:
                    self.report = DeidentificationReport.model_validate(
                        json.loads(content)["report"]
                    )

    async def _named(self, command: dict[str, Any]) -> AsyncIterator[tuple[Any, Any]]:
        """(name, content) of each part; at the end (None, what was found)."""
        name: Any = None
        parts: list[bytes] = []
        async for kind, content in self._messages(command):
            if kind == b"F":
                parts.append(content)
                continue
            if name is not None:
                yield name, b"".join(parts)
                parts = []
            name = json.loads(content) if kind == b"N" else None
            if kind == b"E":
                yield None, json.loads(content)

    async def _messages(self, command: dict[str, Any]) -> AsyncIterator[tuple[bytes, bytes]]:
        ends = asyncio.get_running_loop().time() + _DEADLINE
        try:
            # If it has ended, the next message says that.
            await self._child.send(json.dumps(command).encode() + b"\n")
            async for kind, content in until(ends, self._child.messages()):
                if kind == b"E" and (error := json.loads(content).get("error")):
                    raise NotTaken(Reason(error))
                yield kind, content
                if kind == b"E":
                    return
        except Ended as ended:
            raise ended.verdict(Reason.UNREADABLE_IMAGE) from None
        except TimeoutError:
            raise Unavailable("The image could not be read in time.") from None


def _plain(boxes: list[Box]) -> list[dict[str, int]]:
    return [box.model_dump() for box in boxes]


@asynccontextmanager
async def opened(file: IO[bytes], kind: ImageKind) -> AsyncIterator[Picture]:
    """`file` is a real one, on this machine; the process has nothing else."""
    descriptor = file.fileno()
    arguments = (kind, str(descriptor))
    async with children.running(
        "common.picture", *arguments, grace=_GRACE, pass_fds=(descriptor,)
    ) as child:
        yield Picture(child)
