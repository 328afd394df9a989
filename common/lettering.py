"""Finds what looks like lettering in a picture, whether or not anybody can read it.

Text that was burnt into an image is small strokes of one tone, lighter or
darker than what lies around them, in rows. That is looked for here, beside
Cloud Vision, which reads: a name in a bad font or on a noisy ground is no word
to a reader, and is still a name. What is found is blacked out in the copy, so a
texture that is taken for letters costs pixels, and no more.

Runs in the process that reads what strangers send. A picture's frames are
`uint8`, grey or RGB, as people see them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy

from common.imaging import Box

Array = Any

_STROKE = 15
"""Pixels: wider than this is no stroke of a letter at this scale."""
_LEVELS = (20, 36, 60, 100, 160)
"""By how much a stroke differs from what is around it, at least; letters stand alone at one of these."""
_LEAST_HEIGHT, _MOST_HEIGHT = 5, 72
_LEAST_LETTERS = 3
_LEAST_BESIDES = 2
"""Of a row that looks like others that are certain."""
_MOST_CANDIDATES = 6000
"""Specks at one level; more are a texture, of which letters stand out at a higher one."""
_STEEP, _STEEP_SHARE = 1.5, 0.5
_TONES = 20.0
"""How far the tones of two letters of one word may lie apart."""
_SAME = 8.0
_LARGE = 900
"""Pixels on the shorter side: larger pictures are looked at once more at a third of their size."""


@dataclass(frozen=True)
class Letter:
    """A speck that may be a letter, or a few that touch."""

    left: int
    top: int
    right: int
    bottom: int
    tone: float

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def find(shown: Array, known: list[Box]) -> list[Box]:
    """Where rows of letters seem to be, besides where it is black already (`known`)."""
    found: list[Box] = []
    for scale in (1, 3) if min(shown.shape[:2]) >= _LARGE else (1,):
        small = shown[::scale, ::scale]
        covered = [box.scaled(1 / scale) for box in known]
        for plane in _planes(small):
            for polarity in (plane, 255 - plane):
                found += [box.scaled(scale) for box in _rows_in(polarity, covered)]
    return found


def _planes(shown: Array) -> Iterator[Array]:
    """In which coloured letters stand out: the lightest and the darkest of the channels."""
    if shown.ndim == 2:
        yield shown
        return
    light, dark = shown.max(axis=2), shown.min(axis=2)
    yield light
    if int((light - dark).max()) > _LEVELS[0]:
        yield dark


def _rows_in(plane: Array, covered: list[Box]) -> Iterator[Box]:
    strokes = plane - _opened(plane)
    for box in covered:
        strokes[max(0, box.top - 2) : box.bottom + 2, max(0, box.left - 2) : box.right + 2] = 0
    sums = numpy.zeros((plane.shape[0], plane.shape[1] + 1), numpy.int32)
    numpy.cumsum(plane, axis=1, dtype=numpy.int32, out=sums[:, 1:])
    short: list[list[Letter]] = []
    certain: list[tuple[float, int]] = []
    for level in _LEVELS:
        letters = _letters(strokes > level, strokes > _STEEP * level, sums)
        for row in _rows(letters):
            if _is_text(row):
                certain.append(_look(row))
                yield _around(row)
            elif len(row) >= _LEAST_BESIDES and _is_level(row):
                short.append(row)
    # A word that runs into something bright shows few of its letters: they look like the words that are whole.
    yield from (_around(row) for row in short if any(_is_like(_look(row), it) for it in certain))


def _opened(plane: Array) -> Array:
    """The picture without what is narrower than a stroke: a grey opening by a square."""
    low = _slid(_slid(plane, 0, numpy.minimum), 1, numpy.minimum)
    return _slid(_slid(low, 0, numpy.maximum), 1, numpy.maximum)


def _slid(plane: Array, axis: int, choose: Any) -> Array:
    """The least or greatest of each window; by doubling, so that it takes four steps for fifteen."""
    half = _STROKE // 2
    edge = [(half, half) if each == axis else (0, 0) for each in range(2)]
    out = numpy.pad(plane, edge, mode="edge")
    reach, size = 1, plane.shape[axis]
    while reach < _STROKE:
        step = min(reach, _STROKE - reach)
        length = out.shape[axis] - step
        first = out[:length] if axis == 0 else out[:, :length]
        second = out[step:] if axis == 0 else out[:, step:]
        out = choose(first, second)
        reach += step
    return out[:size] if axis == 0 else out[:, :size]


# ---------------------------------------------------------------- letters


def _letters(mask: Array, core: Array, sums: Array) -> list[Letter]:
    """The specks in a mask that have the size and shape of letters.

    `core` is the mask at a higher level: a letter has steep edges and hardly shrinks. `sums` are the tones added up along rows.
    """
    edges = numpy.diff(numpy.pad(mask, ((0, 0), (1, 1))).astype(numpy.int8), axis=1)
    rows, starts = numpy.nonzero(edges == 1)
    ends = numpy.nonzero(edges == -1)[1]
    if not rows.size:
        return []
    names = _joined(rows, starts, ends, mask.shape[1])
    order = numpy.argsort(names, kind="stable")
    first = numpy.flatnonzero(numpy.diff(names[order], prepend=-1))
    left = numpy.minimum.reduceat(starts[order], first)
    right = numpy.maximum.reduceat(ends[order], first)
    top = numpy.minimum.reduceat(rows[order], first)
    bottom = numpy.maximum.reduceat(rows[order], first) + 1
    area = numpy.add.reduceat((ends - starts)[order], first)
    tone = numpy.add.reduceat((sums[rows, ends] - sums[rows, starts])[order], first) / area
    kept = numpy.zeros((mask.shape[0], mask.shape[1] + 1), numpy.int32)
    numpy.cumsum(core, axis=1, out=kept[:, 1:])
    steep = numpy.add.reduceat((kept[rows, ends] - kept[rows, starts])[order], first)
    high, wide = bottom - top, right - left
    fits = (
        (steep >= _STEEP_SHARE * area)
        & (high >= _LEAST_HEIGHT)
        & (high <= _MOST_HEIGHT)
        & (wide <= 12 * high)
        & (high <= 9 * wide)
        & (area >= 0.12 * high * wide)
        & ((area <= 0.92 * high * wide) | (wide <= 0.5 * high))
    )
    if int(fits.sum()) > _MOST_CANDIDATES:
        return []
    return [
        Letter(int(left[i]), int(top[i]), int(right[i]), int(bottom[i]), float(tone[i]))
        for i in numpy.flatnonzero(fits)
    ]


def _joined(rows: Array, starts: Array, ends: Array, width: int) -> Array:
    """For each run of pixels the name of the speck that it belongs to: runs that touch, also at corners."""
    step = width + 3
    begin, end = rows * step + starts, rows * step + ends
    low = numpy.searchsorted(end, (rows + 1) * step + starts, side="left")
    high = numpy.searchsorted(begin, (rows + 1) * step + ends, side="right")
    counts = numpy.maximum(high - low, 0)
    above = numpy.repeat(numpy.arange(rows.size), counts)
    offset = numpy.arange(counts.sum()) - numpy.repeat(numpy.cumsum(counts) - counts, counts)
    below = numpy.repeat(low, counts) + offset
    names = numpy.arange(rows.size)
    while True:
        least = numpy.minimum(names[above], names[below])
        numpy.minimum.at(names, names[above], least)
        numpy.minimum.at(names, names[below], least)
        while True:
            nearer = names[names]
            if (nearer == names).all():
                break
            names = nearer
        if (names[above] == names[below]).all():
            return names


# ---------------------------------------------------------------- rows


def _rows(letters: list[Letter]) -> list[list[Letter]]:
    """Letters that follow each other: of like height and tone, on one line, with no wide gap."""
    letters = sorted(letters, key=lambda each: (each.left, each.top))
    buckets: dict[tuple[int, int], list[int]] = {}
    row_of = list(range(len(letters)))

    def root(index: int) -> int:
        while row_of[index] != index:
            row_of[index] = row_of[row_of[index]]
            index = row_of[index]
        return index

    for index, letter in enumerate(letters):
        for bucket in _buckets_beside(letter):
            if not (waiting := buckets.get(bucket)):
                continue
            # No gap is wider than four heights of the letter before it, nor than the highest letter.
            reach = letter.left - min(4 << bucket[0], _MOST_HEIGHT)
            waiting[:] = [i for i in waiting if letters[i].right >= reach]
            for other in waiting:
                if _follows(letters[other], letter) and root(other) != root(index):
                    row_of[root(index)] = root(other)
        for bucket in _buckets(letter, letter.height.bit_length()):
            buckets.setdefault(bucket, []).append(index)
    rows: dict[int, list[Letter]] = {}
    for index, letter in enumerate(letters):
        rows.setdefault(root(index), []).append(letter)
    return list(rows.values())


def _buckets_beside(letter: Letter) -> Iterator[tuple[int, int]]:
    """Where those wait that the letter may follow: one that does is at most twice as high, and at least half."""
    level = letter.height.bit_length()
    for each in (level - 1, level, level + 1):
        yield from _buckets(letter, each)


def _buckets(letter: Letter, level: int) -> Iterator[tuple[int, int]]:
    """By a letter's height in powers of two, bands of that height that the letter touches."""
    for band in range(letter.top >> level, (letter.bottom >> level) + 1):
        yield level, band


def _follows(before: Letter, after: Letter) -> bool:
    low, high = sorted((before.height, after.height))
    overlap = min(before.bottom, after.bottom) - max(before.top, after.top)
    gap = after.left - before.right
    slack = max(1.0, 0.25 * high)
    apart = abs(before.tone - after.tone)
    is_level = abs(before.bottom - after.bottom) <= slack or abs(before.top - after.top) <= slack
    return (
        2 * low >= high
        and 2 * overlap >= low
        and -0.3 * low
        <= gap
        <= (0.9 * high if apart > _SAME else max(0.9 * high, min(2 * high, 40)))
        and is_level
        and apart <= _TONES
    )


def _is_text(row: list[Letter]) -> bool:
    """Enough letters, on a line, of one tone."""
    high = sorted(each.height for each in row)[len(row) // 2]
    wide = max(each.right for each in row) - min(each.left for each in row)
    if len(row) < _LEAST_LETTERS or wide < 2 * high:
        return False
    if max(each.bottom for each in row) - min(each.top for each in row) > 2.2 * high:
        return False
    tones = sorted(each.tone for each in row)
    if sorted(abs(each - tones[len(tones) // 2]) for each in tones)[len(tones) // 2] > _SAME:
        return False
    bottoms = sorted(each.bottom for each in row)
    middle = bottoms[len(bottoms) // 2]
    on_line = sum(abs(each.bottom - middle) <= max(1.0, 0.2 * high) for each in row)
    return on_line >= 0.6 * len(row)


def _is_level(row: list[Letter]) -> bool:
    high = max(each.height for each in row)
    return max(each.bottom for each in row) - min(each.top for each in row) <= 2 * high


def _look(row: list[Letter]) -> tuple[float, int]:
    """Tone and height."""
    middle = len(row) // 2
    return sorted(each.tone for each in row)[middle], max(each.height for each in row)


def _is_like(one: tuple[float, int], other: tuple[float, int]) -> bool:
    low, high = sorted((one[1], other[1]))
    return abs(one[0] - other[0]) <= _SAME / 2 and 3 * low >= 2 * high


def _around(row: list[Letter]) -> Box:
    """With a margin: signs and strokes that are too thin lie beside the letters."""
    high = max(each.height for each in row)
    margin = 2 + high // 3
    return Box(
        left=max(0, min(each.left for each in row) - high),
        top=max(0, min(each.top for each in row) - margin),
        right=max(each.right for each in row) + high,
        bottom=max(each.bottom for each in row) + margin,
    )
