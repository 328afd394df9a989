"""The eyes of the stand-in of Cloud Vision: tesseract, on a few renderings of a picture.

Tesseract was made for dark print on white paper. What is burnt into a medical
image is light on dark, small, and lies on the image itself; so each picture is
read enlarged, as it is and inverted, with its background taken away, and what is
found is put together.
"""

import gzip
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_THREAD_LIMIT", "1")

import numpy
from PIL import Image, ImageChops, ImageFilter, ImageOps

_LEAST_CONFIDENCE = 55.0
_LEAST_OF_FEW = 75.0
"""Of two or three letters."""
_LEAST_OF_ONE = 85.0
"""Of a single letter: textures look like one."""
_SCALES = ((500, 3), (1200, 2))
"""By how much pictures are enlarged whose longest side has fewer pixels than that."""
_BACKGROUND = 15
"""Pixels: what is larger than this is background, not letters."""


@dataclass(frozen=True)
class Word:
    text: str
    confidence: float
    """From 0 to 1."""
    left: int
    top: int
    right: int
    bottom: int
    line: int
    """Words of one line have one number."""


class Eyes:
    """One reader for each thread: tesseract can't be shared."""

    def __init__(self, packed: Path, folder: Path) -> None:
        self._folder = folder
        self._local = threading.local()
        folder.mkdir(exist_ok=True)
        with gzip.open(packed) as source:
            (folder / "eng.traineddata").write_bytes(source.read())

    def read(self, image: Image.Image) -> list[Word]:
        grey = ImageOps.grayscale(image)
        scale = next((by for side, by in _SCALES if max(grey.size) < side), 1)
        found: list[Word] = []
        for variant in _variants(grey):
            size = (grey.width * scale, grey.height * scale)
            enlarged = variant.resize(size, Image.Resampling.BICUBIC) if scale > 1 else variant
            for word in self._words(enlarged, scale, len(found)):
                if not any(_is_same(word, other) for other in found):
                    found.append(word)
        return sorted(found, key=lambda word: (word.top, word.left))

    def _words(self, image: Image.Image, scale: int, first_line: int) -> list[Word]:
        import tesserocr

        reader = self._reader()
        bordered = ImageOps.expand(image, 10, fill=255)
        reader.SetImage(bordered)
        reader.SetSourceResolution(150)
        reader.Recognize()
        found: list[Word] = []
        line = first_line * 1000
        iterator = reader.GetIterator()
        if iterator is None:
            return found
        for item in tesserocr.iterate_level(iterator, tesserocr.RIL.WORD):
            if item.IsAtBeginningOf(tesserocr.RIL.TEXTLINE):
                line += 1
            try:
                text = item.GetUTF8Text(tesserocr.RIL.WORD).strip()
            except RuntimeError:  # nothing here
                continue
            confidence = item.Confidence(tesserocr.RIL.WORD)
            box = item.BoundingBox(tesserocr.RIL.WORD)
            least = _least(text)
            if box is None or confidence < least or not _is_word(text):
                continue
            left, top, right, bottom = ((each - 10) // scale for each in box)
            found.append(
                Word(text, confidence / 100, max(0, left), max(0, top), right, bottom, line)
            )
        return found

    def _reader(self) -> Any:
        import tesserocr

        if not hasattr(self._local, "reader"):
            reader = tesserocr.PyTessBaseAPI(
                path=str(self._folder), lang="eng", psm=tesserocr.PSM.SPARSE_TEXT
            )
            self._local.reader = reader
        return self._local.reader


def _variants(grey: Image.Image) -> list[Image.Image]:
    """Dark on light, whichever way round the text is."""
    light = _lifted(grey)
    dark = _lifted(ImageOps.invert(grey))
    return [ImageOps.invert(light), ImageOps.invert(dark), ImageOps.invert(grey)]


def _lifted(grey: Image.Image) -> Image.Image:
    """What is lighter than all around it: the picture less its background (a white top-hat)."""
    size = _BACKGROUND
    opened = grey.filter(ImageFilter.MinFilter(size)).filter(ImageFilter.MaxFilter(size))
    return ImageOps.autocontrast(ImageChops.subtract(grey, opened), cutoff=(0, 0.2))


def _least(text: str) -> float:
    """How sure a reading must be: the shorter it is, the more often a texture looks like it."""
    letters = len(re.sub(r"[\W_]", "", text))
    if letters <= 1:
        return _LEAST_OF_ONE
    return _LEAST_OF_FEW if letters <= 3 else _LEAST_CONFIDENCE


def _is_word(text: str) -> bool:
    letters = re.sub(r"[\W_]", "", text)
    if not letters:
        return False
    if len(letters) == 1:
        return letters.upper() in "LR" or letters.isdigit()
    return not re.fullmatch(r"[lI1|ioOeEcC]{1,3}", letters)


def _is_same(word: Word, other: Word) -> bool:
    """Whether they lie, for the most part, in one place."""
    across = min(word.right, other.right) - max(word.left, other.left)
    down = min(word.bottom, other.bottom) - max(word.top, other.top)
    if across <= 0 or down <= 0:
        return False
    least = min(
        (word.right - word.left) * (word.bottom - word.top),
        (other.right - other.left) * (other.bottom - other.top),
    )
    return across * down > 0.5 * max(least, 1)


def shares(image: Image.Image) -> dict[str, float]:
    """What pixels alone tell: how dark, how light, how colourful; each from 0 to 1."""
    small = numpy.asarray(image.convert("RGB").resize((64, 64))).astype(float)
    grey = small.mean(axis=2)
    return {
        "dark": float((grey < 64).mean()),
        "light": float((grey > 192).mean()),
        "colour": float(((small.max(axis=2) - small.min(axis=2)) > 40).mean()),
    }
