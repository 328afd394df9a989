"""Reads a photograph or a scan (PNG, JPEG, TIFF, WebP) that a stranger sent, within limits.

Runs in a process of its own. What is made of it carries pixels only: no EXIF,
no place, no embedded thumbnail.
"""

import io
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

import numpy
from PIL import Image, ImageOps

from common.imaging import Alias, Box, DeidentificationReport, ImageMetadata, RemovedTag
from common.imaging import Deidentification as Status
from common.reasons import NotTaken, Reason
from common.verdict import ImageKind

MOST_PIXELS = 100_000_000
"""Of a frame."""
MOST_PAGES = 1_000
MOST_DECODED = 1 << 30
"""Pixels of all pages together."""

_PILLOW = {
    ImageKind.PNG: "PNG",
    ImageKind.JPEG: "JPEG",
    ImageKind.TIFF: "TIFF",
    ImageKind.WEBP: "WEBP",
}
_TAKEN = 36867  # EXIF: DateTimeOriginal
_MAKER, _MODEL = 271, 272
_EXIF = 0x8769
_PIECE = 1 << 20

METHOD = "HealthHub: pixels only, with the text in them blacked out; no metadata is kept"


class Photo:
    """Opened, not yet decoded. Raises `NotTaken`, as all its methods do."""

    def __init__(self, file: BinaryIO, kind: ImageKind) -> None:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        self.kind = kind
        with _as_not_taken():
            # Only the format that the first bytes say: Pillow knows dozens, some of them fragile.
            if kind is ImageKind.PNG:
                # Its checksums: Pillow shows what is damaged as black.
                Image.open(file, formats=["PNG"]).verify()
                file.seek(0)
            opened = Image.open(file, formats=[_PILLOW[kind]])
            self._file: Any = opened
            self.frame_count = 1 if kind is ImageKind.JPEG else int(getattr(opened, "n_frames", 1))
            wide, high = opened.size
        if wide * high > MOST_PIXELS or self.frame_count > MOST_PAGES:
            raise NotTaken(Reason.TOO_MANY_PIXELS)
        if wide * high * self.frame_count > MOST_DECODED:
            raise NotTaken(Reason.TOO_MANY_PIXELS)
        self.ratio = 1.0
        self.has_pixels = True
        self._known = _known_of(opened)

    def stored(self, frame: int) -> Any:
        """Grey of 8 or 16 bits, or RGB; upright."""
        with _as_not_taken():
            if self.frame_count > 1:
                self._file.seek(frame)
                if self._file.width * self._file.height > MOST_PIXELS:
                    raise NotTaken(Reason.TOO_MANY_PIXELS)
            self._file.load()
            image = self._file.copy() if self.frame_count > 1 else self._file
            if self.frame_count == 1:
                image = ImageOps.exif_transpose(image)
            return numpy.asarray(_plain(image))

    def shown(self, values: Any, frame: int) -> Any:
        if values.dtype == numpy.uint8:
            return values
        low, high = float(values.min()), float(values.max())
        if high <= low:
            return numpy.zeros(values.shape, "uint8")
        return ((values - low) * (255.0 / (high - low))).astype("uint8")

    def burnt_out(self, values: Any, boxes: list[Box]) -> Any:
        if not boxes:
            return values
        out = numpy.array(values)
        for box in boxes:
            out[box.top : box.bottom, box.left : box.right] = 0
        return out

    def metadata(self) -> ImageMetadata:
        wide, high = self._file.size
        return ImageMetadata(
            kind=self.kind,
            rows=high,
            columns=wide,
            frame_count=self.frame_count,
            manufacturer=self._known.get("Make"),
            manufacturer_model=self._known.get("Model"),
            acquisition_time=_taken(self._known.get("DateTimeOriginal")),
        )

    def deidentified(self, boxes: list[Box], alias: Alias) -> tuple[str, Iterator[bytes], Any]:
        """Its type, its content, and what was removed: PNG, or TIFF where there are several pages."""
        into = io.BytesIO()
        pages = (self._clean(frame, boxes) for frame in range(self.frame_count))
        if self.frame_count == 1:
            next(pages).save(into, "PNG")
            kind = "image/png"
        else:
            first = next(pages)
            first.save(into, "TIFF", save_all=True, append_images=pages, compression="tiff_deflate")
            kind = "image/tiff"
        removed = [
            RemovedTag(tag=f"{tag:04X}", keyword=name, action="X", count=1)
            for name, tag in sorted(_tags_of(self._file).items())
        ]
        report = DeidentificationReport(status=Status.DONE, profile=METHOD, tags=removed)
        return kind, _pieces(into), report

    def identifying(self) -> list[str]:
        return sorted(_tags_of(self._file))

    def surroundings(self) -> list[Box]:
        """A photograph says nothing of it."""
        return []

    def _clean(self, frame: int, boxes: list[Box]) -> Image.Image:
        return Image.fromarray(self.burnt_out(self.stored(frame), boxes))


class _as_not_taken:  # noqa: N801 - reads as a statement
    """What Pillow raises, as the reason that fits."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, NotTaken):
            return
        if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
            raise NotTaken(Reason.TOO_MANY_PIXELS) from None
        if isinstance(error, Exception):
            said = str(error).lower()
            is_short = "truncated" in said or "broken data" in said or isinstance(error, EOFError)
            raise NotTaken(Reason.TRUNCATED if is_short else Reason.UNREADABLE_IMAGE) from None


def _plain(image: Any) -> Image.Image:
    """Grey of 8 or 16 bits, or RGB."""
    match image.mode:
        case "L" | "RGB" | "I;16":
            plain = image
        case "1":
            plain = image.convert("L")
        case "I;16B" | "I;16L" | "I" | "F":
            values = numpy.asarray(image).astype(numpy.float64)
            plain = Image.fromarray(numpy.nan_to_num(values).clip(0, 65535).astype("uint16"))
        case "LA" | "RGBA" | "PA" | "La" | "RGBa":
            # What is transparent would otherwise show colours that were not meant to be seen.
            clear = image.convert("RGBA")
            plain = Image.new("RGB", image.size)
            plain.paste(clear, mask=clear.getchannel("A"))
        case "P" if "transparency" in image.info:
            return _plain(image.convert("RGBA"))
        case _:
            plain = image.convert("RGB")
    return plain  # type: ignore[no-any-return]


def _tags_of(image: Any) -> dict[str, int]:
    from PIL.ExifTags import GPSTAGS, IFD, TAGS

    try:
        exif = image.getexif()
        found = {TAGS.get(tag, f"{tag:04X}"): tag for tag in exif}
        found |= {TAGS.get(tag, f"{tag:04X}"): tag for tag in exif.get_ifd(IFD.Exif)}
        found |= {GPSTAGS.get(tag, f"{tag:04X}"): tag for tag in exif.get_ifd(IFD.GPSInfo)}
    except Exception:  # noqa: BLE001 - what can't be read is not kept either
        return {}
    return {name: tag for name, tag in found.items() if name not in _TECHNICAL}


_TECHNICAL = frozenset(
    [
        "ImageWidth",
        "ImageLength",
        "BitsPerSample",
        "Compression",
        "PhotometricInterpretation",
        "StripOffsets",
        "SamplesPerPixel",
        "RowsPerStrip",
        "StripByteCounts",
        "XResolution",
        "YResolution",
        "PlanarConfiguration",
        "ResolutionUnit",
        "Orientation",
        "ColorMap",
        "TileWidth",
        "TileLength",
        "TileOffsets",
        "TileByteCounts",
        "ExtraSamples",
        "SampleFormat",
        "ExifOffset",
        "GPSInfo",
        "Predictor",
        "FillOrder",
        "NewSubfileType",
        "SubfileType",
        "PageNumber",
        "YCbCrSubSampling",
        "YCbCrPositioning",
        "ReferenceBlackWhite",
        "JPEGTables",
        "ColorSpace",
        "ComponentsConfiguration",
        "ExifVersion",
        "FlashPixVersion",
        "ExifImageWidth",
        "ExifImageHeight",
        "Software",
    ]
)
"""How the file is written, not of what or by whom."""


def _known_of(image: Any) -> dict[str, str]:
    try:
        exif = image.getexif()
        inner = exif.get_ifd(_EXIF)
        given = {
            "Make": exif.get(_MAKER),
            "Model": exif.get(_MODEL),
            "DateTimeOriginal": inner.get(_TAKEN),
        }
    except Exception:  # noqa: BLE001
        return {}
    return {name: str(value).strip("\0 ")[:100] for name, value in given.items() if value}


def _taken(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - a camera knows no zone
    except ValueError:
        return None


def _pieces(content: io.BytesIO) -> Iterator[bytes]:
    content.seek(0)
    while piece := content.read(_PIECE):
        yield piece
