"""Text in an image's pixels: found by Cloud Vision, blacked out in every frame, and looked for again.

Beside what Vision reads goes what only looks like lettering (common/lettering.py): a name that no
reader makes out may be one that a person does.
"""

from dataclasses import dataclass, field

from common import vision
from common.imaging import Box
from common.pictures import Picture, Readable
from common.vision import Word

_PASSES = 3
"""How often text is blacked out and looked for again, before the copy is given up."""
_GROWTH = 4
"""Pixels by which what is still read is blacked out further, each time."""


@dataclass
class Reading:
    """The text in an image's pixels, and what became of it."""

    words: list[Word] = field(default_factory=list)
    regions: list[Box] = field(default_factory=list)
    """To be blacked out."""
    unread: int = 0
    """Of these, rows of lettering that nobody could read."""
    passes: int = 0
    residual: int = 0
    frames: int = 0
    middle: bytes | None = None
    """The middle frame, with these regions black."""


async def read_text(picture: Picture, beside: list[Box]) -> Reading:
    """Look for text, black it out, and look again, until none is left or it is of no use.

    `beside` is where there is no image, as the file itself says: it goes unread. Raises `Failed`, `Refused`.
    """
    found = Reading(regions=list(beside))
    text: list[Box] = []
    for attempt in range(_PASSES + 1):
        seen = [each async for each in picture.readable(found.regions)]
        words = await vision.read(seen)
        if attempt == 0:
            found.words, found.frames = words, len(seen)
        left = [word.box for word in words if _is_to_go(word, attempt)]
        rows = _lettering(seen, words)
        found.middle = _middle(seen)
        found.residual = len(left)
        left += rows
        if not left or attempt == _PASSES:
            break
        unread = [row for row in rows if not any(_is_within(word.box, row) for word in words)]
        found.unread += len(_merged(unread))
        grown = [_grown(box, _GROWTH * attempt) for box in left]
        text = _merged([*text, *grown])
        found.regions = [*beside, *text]
        found.passes = attempt + 1
    return found


def _is_to_go(word: Word, attempt: int) -> bool:
    """At first all but markers of side. Later single characters may stay: they are nobody, and mostly nothing."""
    return not word.is_marker and (attempt == 0 or sum(map(str.isalnum, word.text)) > 1)


def _lettering(seen: list[Readable], words: list[Word]) -> list[Box]:
    """Rows of it, but for markers of side."""
    markers = [word.box for word in words if word.is_marker]
    rows = [row for each in seen for row in each.lettering]
    return [row for row in rows if not any(_is_within(marker, row) for marker in markers)]


def _is_within(box: Box, other: Box) -> bool:
    """For the most part."""
    across = min(box.right, other.right) - max(box.left, other.left)
    down = min(box.bottom, other.bottom) - max(box.top, other.top)
    size = (box.right - box.left) * (box.bottom - box.top)
    return across > 0 and down > 0 and 2 * across * down >= size


def _middle(seen: list[Readable]) -> bytes | None:
    return next((each.png for each in seen if each.is_middle), None)


def _grown(box: Box, by: int) -> Box:
    return Box(
        left=max(0, box.left - by),
        top=max(0, box.top - by),
        right=box.right + by,
        bottom=box.bottom + by,
    )


def _merged(boxes: list[Box]) -> list[Box]:
    """Those of one line, and those that lie in each other, as one: strips between them would look like letters."""
    left = sorted(boxes, key=lambda each: (each.top, each.left))
    merged: list[Box] = []
    while left:
        box = left.pop(0)
        near = [other for other in left if _is_near(box, other)]
        if not near:
            merged.append(box)
            continue
        left = [other for other in left if other not in near]
        left.insert(0, _around([box, *near]))
    return sorted(merged, key=lambda each: (each.top, each.left))


def _is_near(box: Box, other: Box) -> bool:
    down = min(box.bottom, other.bottom) - max(box.top, other.top)
    across = min(box.right, other.right) - max(box.left, other.left)
    least = min(box.bottom - box.top, other.bottom - other.top)
    return across > -least and down > least / 2


def _around(boxes: list[Box]) -> Box:
    return Box(
        left=min(each.left for each in boxes),
        top=min(each.top for each in boxes),
        right=max(each.right for each in boxes),
        bottom=max(each.bottom for each in boxes),
    )
