"""Images: what a file costs over bare decoding, what bombs take, how previews compare, what text is left.

The renderer to compare with is dcmtk's `dcmj2pnm`, where it is installed (Debian: `apt-get install dcmtk`).
"""

import asyncio
import io
import logging
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import psutil
import pydicom
from PIL import Image, ImageDraw, ImageFont

from common import burnt_in, dicom, rendering
from common.imaging import Alias, Rendition
from common.reasons import NotTaken
from tests.bench.table import Row, Target
from tests.common.test_pictures import FILES, bomb
from tests.pictured import a_scan, carried, opened

_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts")
_WORDS = ("GARCIA^MARIA", "Müller, Anna", "MRN 4471882", "1984-03-12", "DOB 12.03.1984", "St. Mary")
_SIZES = (10, 12, 16, 22, 32)
_CONTRASTS = (255, 190, 130)
_VISIBLE = 25
"""By how much ink must differ from what is below it to be seen."""
_LEFT = 0.35
"""The share of a word's ink that must be left for it to count as legible."""


def measure() -> tuple[list[Row], list[str]]:
    return [_five_megapixels(), _header_only()], []


async def corpora() -> tuple[list[Row], list[str]]:
    """Hundreds of pictures; needs the stand-in of Cloud Vision, by the environment."""
    logging.disable(logging.WARNING)  # pydicom remarks on much that its own test files hold
    return [], [await _all_files(), *_compared(), await _bombs(), await _burnt_in()]


def _five_megapixels_scan() -> bytes:
    rng = numpy.random.default_rng(1)
    smooth = numpy.add.outer(numpy.arange(2560), numpy.arange(2048)) % 4096
    values = (smooth + rng.integers(0, 40, smooth.shape)).astype("uint16")
    return a_scan(
        Image.fromarray(numpy.zeros((2560, 2048), "uint8")),
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelData=values.tobytes(),
    )


def _five_megapixels() -> Row:
    """The thumbnail, against decoding alone; both in this process, by turns."""
    content = _five_megapixels_scan()
    bare, ours = [], []
    for _ in range(7):
        begun = time.perf_counter()
        _ = pydicom.dcmread(io.BytesIO(content)).pixel_array
        bare.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        data = dicom.read(io.BytesIO(content))
        shown = rendering.rendered(data, rendering.decoded(data, 0))
        rendering.scaled(rendering.picture(shown), rendering.THUMBNAIL_SIDE)
        ours.append(time.perf_counter() - begun)
    first, second = statistics.median(bare), statistics.median(ours)
    return Row(
        "thumbnail of 5 megapixels over bare decoding",
        f"{1000 * first:.0f} ms",
        f"{1000 * second:.0f} ms",
        second / first,
        Target("≤", 30, "ms over 1.1 ×"),
        judged=1000 * (second - 1.1 * first),
    )


def _header_only() -> Row:
    content = carried("CT_small.dcm")
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        data = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        _ = data.SOPInstanceUID
        first = time.perf_counter() - begun
        begun = time.perf_counter()
        dicom.metadata_of(dicom.read(io.BytesIO(content)))
        times.append((first, time.perf_counter() - begun))
    bare, ours = (statistics.median(column) for column in zip(*times, strict=True))
    return Row(
        "metadata, every element checked, over reading the header",
        f"{1000 * bare:.2f} ms",
        f"{1000 * ours:.2f} ms",
        ours / bare,
        Target("≤", 0.5, "ms"),
        judged=1000 * ours,
    )


async def _all_files() -> str:
    """Each file that pydicom carries through the reading process, against decoding it here."""
    reasons: Counter[str] = Counter()
    ratio, shown = [], 0
    for path in FILES:
        content = carried(path.name)
        begun = time.perf_counter()
        try:
            data = pydicom.dcmread(io.BytesIO(content), force=True)
            if dicom.has_pixels(data):
                _ = data.pixel_array
        except Exception:  # noqa: BLE001, S110 - ours says what is wrong with it
            pass
        bare = time.perf_counter() - begun
        begun = time.perf_counter()
        try:
            async with opened(content) as picture:
                examined = await picture.examine()
                shown += Rendition.PREVIEW in examined.renditions
        except NotTaken as refused:
            reasons[refused.reason] += 1
        ratio.append((time.perf_counter() - begun) / bare)
    why = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return (
        f"Of {len(FILES)} files that pydicom carries {shown} are shown and {sum(reasons.values())} refused"
        f" ({why}); the others have no pixels. A file takes {statistics.median(ratio):.0f} × what decoding it in a"
        " process that is there already takes (median); nearly all of it is the start of a process."
    )


def _compared() -> list[str]:
    program = shutil.which("dcmj2pnm")
    if program is None:
        return ["dcmj2pnm (dcmtk) is not installed, so previews were compared with nothing."]
    differences: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in FILES:
            difference = _difference(program, path, Path(folder))
            if difference is not None:
                differences[path.name] = difference
    worst = sorted(differences.items(), key=lambda each: -each[1])[:6]
    listed = ", ".join(f"{name} {difference:.1f}" for name, difference in worst)
    return [
        f"Previews against dcmj2pnm, {len(differences)} files that it can read: mean difference"
        f" {statistics.mean(differences.values()):.2f} of 255, median {statistics.median(differences.values()):.2f};"
        f" the most: {listed}."
    ]


def _difference(program: str, path: Path, folder: Path) -> float | None:
    """Of the first frame, in grey values; None where one of the two can't show it."""
    content = carried(path.name)
    source, target = folder / "in.dcm", folder / "out.pgm"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    try:
        data = dicom.read(io.BytesIO(content))
        if not dicom.has_pixels(data):
            return None
        dicom.check_pixels(data)
        ours = rendering.rendered(data, rendering.decoded(data, 0))
    except (NotTaken, AttributeError):
        return None
    has_window = rendering.first_window(data) is not None
    window = ["+Wi", "1"] if has_window else ["+Wm"]
    plain = ["-O", "-a", "+op", *(window if ours.ndim == 2 else [])]
    subprocess.run([program, *plain, source, target], capture_output=True, timeout=60)
    if not target.exists():
        return None
    theirs = numpy.asarray(Image.open(target)).astype(int)
    if ours.ndim == 3 and theirs.ndim == 2:
        ours = ours.mean(axis=2)
    return None if theirs.shape != ours.shape else float(numpy.abs(theirs - ours).mean())


async def _bombs() -> str:
    found = []
    for name, content in (
        ("400 MiB deflated to 400 KB", bomb(400 << 20)),
        ("a PNG of 400 megapixels in 50 KB", _wide_png()),
        ("65,000 frames declared", a_scan(NumberOfFrames=65_000)),
    ):
        peak, reason = await _peak(content)
        found.append(f"{name}: {reason}, {peak:.0f} MB")
    return f"Bombs, and what the reading process took at most: {'; '.join(found)}."


def _wide_png() -> bytes:
    into = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(into, "PNG")
    return into.getvalue()


async def _peak(content: bytes) -> tuple[float, str]:
    peak, reason = 0.0, "taken"

    async def watch() -> None:
        nonlocal peak
        while True:
            for child in psutil.Process().children():
                try:
                    if "common.picture" in child.cmdline():
                        peak = max(peak, child.memory_info().rss / 1e6)
                except psutil.Error:
                    continue
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    try:
        async with opened(content) as picture:
            await picture.examine()
    except NotTaken as refused:
        reason = str(refused.reason)
    finally:
        watching.cancel()
    return peak, reason


# ---------------------------------------------------------------- burnt in


async def _burnt_in(count: int = 200) -> str:
    """Invented identifiers in pictures of many kinds: which of them can still be made out afterwards."""
    chance = random.Random(7)
    fonts = _fonts()
    left: Counter[str] = Counter()
    words = given_up = 0
    for _ in range(count):
        size, contrast = chance.choice(_SIZES), chance.choice(_CONTRASTS)
        ground = chance.choice(("black", "grey", "ramp", "noise", "ct"))
        picture, ink = _drawn(chance, fonts, size, contrast, ground)
        content = a_scan(picture, WindowCenter=128, WindowWidth=256)
        async with opened(content) as read:
            reading = await burnt_in.read_text(read, [])
            parts = [part async for part in read.cleaned(reading.regions, Alias(bytes(32)))]
        words += len(ink)
        if reading.residual:
            given_up += 1
            continue
        clean = pydicom.dcmread(io.BytesIO(b"".join(parts[1:]))).pixel_array
        before = numpy.asarray(picture)
        for mask in ink:
            kept = (clean[mask] == before[mask]).mean()
            if kept > _LEFT:
                left[f"{size} px, contrast {contrast}, on {ground}"] += 1
    listed = ", ".join(f"{where}: {n}" for where, n in sorted(left.items()))
    total = sum(left.values())
    return (
        f"Burnt-in identifiers: {words} in {count} pictures ({len(fonts)} fonts); {total} still legible"
        f" ({100 * total / words:.1f} %), {given_up} pictures given up and so not shared. Legible: {listed or 'none'}."
        " Read by tesseract, which the stand-in uses; Cloud Vision was not tried."
    )


def _fonts() -> list[Any]:
    """Names and paths of fonts: Pillow's own, and some of those of this machine."""
    found = sorted(
        path
        for folder in _FONTS
        for path in Path(folder).rglob("*.ttf")
        if re.search(r"(Sans|Serif|Mono)(-Regular|-Bold)?\.ttf$", path.name)
    )
    return [None, *found[:6]]


def _drawn(
    chance: random.Random, fonts: list[Any], size: int, contrast: int, ground: str
) -> tuple[Image.Image, list[Any]]:
    """A picture, and for each word on it where its ink is."""
    values = _ground(ground, chance)
    level = int(numpy.median(values))
    tone = min(255, level + contrast) if level < 128 else max(0, level - contrast)
    picture = Image.fromarray(values)
    ink = []
    for place in chance.sample(range(8), 4):
        path = chance.choice(fonts)
        font = ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)
        layer = Image.new("L", picture.size)
        at = (10 + place % 2 * 260, 10 + place // 2 * 120)
        ImageDraw.Draw(layer).text(at, chance.choice(_WORDS), font=font, fill=255)
        mask = numpy.asarray(layer) > 128
        pixels = numpy.array(picture)
        visible = mask & (abs(pixels.astype(int) - tone) >= _VISIBLE)
        pixels[mask] = tone
        picture = Image.fromarray(pixels)
        if visible.sum() >= _LEFT * mask.sum():  # else it is white on bone, and nobody reads it
            ink.append(visible)
    return picture, ink


def _ground(kind: str, chance: random.Random) -> Any:
    shape = (512, 512)
    match kind:
        case "black":
            return numpy.zeros(shape, "uint8")
        case "grey":
            return numpy.full(shape, 90, "uint8")
        case "ramp":
            return (numpy.add.outer(numpy.arange(512), numpy.arange(512)) // 10).astype("uint8")
        case "noise":
            rng = numpy.random.default_rng(chance.randrange(1 << 30))
            return rng.integers(0, 60, shape).astype("uint8")
    data = dicom.read(io.BytesIO(carried("J2K_pixelrep_mismatch.dcm")))
    return rendering.rendered(data, rendering.decoded(data, 0))
