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
    """That were read by themselves."""
    middle: bytes | None = None
    """The middle frame, with these regions black."""

    def word_count(self) -> int:
        """Words that were blacked out, each once, in however many frames it stands."""
        places: dict[str, list[Box]] = {}
        for word in self.words:
            known = places.setdefault(word.text, [])
            if not word.is_marker and not any(_is_within(word.box, box) for box in known):
                known.append(word.box)
        return sum(map(len, places.values()))


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
            found.words, found.frames = words, sum(each.frame is not None for each in seen)
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
    """Rows of it, without the markers of side that stand in them."""
    rows = [row for each in seen for row in each.lettering]
    for marker in (word.box for word in words if word.is_marker):
        rows = [part for row in rows for part in _without(row, marker)]
    return rows


def _without(row: Box, marker: Box) -> list[Box]:
    """What is left of the row beside a marker in it: a reader that saw only the marker saw no name beside it.

    A row has margins, so what is narrower than the marker is high holds no word.
    """
    if not _is_within(marker, row):
        return [row]
    sides = [(row.left, marker.left), (marker.right, row.right)]
    least = marker.bottom - marker.top
    return [
        Box(left=left, top=row.top, right=right, bottom=row.bottom)
        for left, right in sides
        if right - left > least
    ]


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
    ordered = sorted(boxes, key=lambda each: (each.top, each.left))
    is_taken = [False] * len(ordered)
    merged: list[Box] = []
    for start, first in enumerate(ordered):
        if is_taken[start]:
            continue
        box = first
        while near := _near(box, ordered, start + 1, is_taken):
            box = _around([box, *(ordered[index] for index in near)])
            for index in near:
                is_taken[index] = True
        merged.append(box)
    return sorted(merged, key=lambda each: (each.top, each.left))


def _near(box: Box, ordered: list[Box], start: int, is_taken: list[bool]) -> list[int]:
    """Which of those from `start` on are near and not taken; those below the box can't be."""
    found = []
    for index in range(start, len(ordered)):
        if ordered[index].top >= box.bottom:
            break
        if not is_taken[index] and _is_near(box, ordered[index]):
            found.append(index)
    return found


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
