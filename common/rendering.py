"""Makes pictures for people of what a DICOM file or a photograph holds: 8 bits, grey or RGB.

The order is DICOM's (PS3.4, N.2): stored values, modality LUT or rescale, VOI
LUT or window, presentation LUT; colours by palette or colour space.
"""

import math
from typing import Any

import numpy
from PIL import Image

from common.dicom import group, is_encapsulated
from common.imaging import Quality
from common.reasons import NotTaken, Reason

PREVIEW_SIDE = 1024
THUMBNAIL_SIDE = 256
SHEET_FRAMES = 16
_SHEET_CELL = 256

Array = Any
"""numpy's, rows × columns or rows × columns × 3."""

_MOST_VALUES = 1 << 16
_RLE = "1.2.840.10008.1.2.5"
_BAND = 64
"""Rows."""


def decoded(data: Any, frame: int) -> Array:
    """One frame's stored values; YBR becomes RGB. Raises `NotTaken`."""
    from pydicom.pixels.utils import pixel_array

    try:
        values = pixel_array(data, index=frame, raw=False)
    except MemoryError:
        raise NotTaken(Reason.TOO_MANY_PIXELS) from None
    except Exception as error:  # noqa: BLE001 - each decoder has its own
        text = str(error).lower()
        is_short = isinstance(error, EOFError) or "bytes of pixel data is less" in text
        raise NotTaken(Reason.TRUNCATED if is_short else Reason.UNREADABLE_IMAGE) from None
    # Of the encapsulated only RLE holds each allocated bit as it was; the others decode to what the image is.
    is_as_stored = not is_encapsulated(data) or data.file_meta.TransferSyntaxUID == _RLE
    return own_bits(data, values) if is_as_stored else values


def own_bits(data: Any, values: Array) -> Array:
    """Stored values without the bits that the image does not use: overlays of old files lie in them (PS3.5, 8.1.1).

    The others stay where they are.
    """
    allocated = 8 * values.dtype.itemsize
    if values.dtype.kind not in "iu" or data.get("BitsAllocated") != allocated or not values.size:
        return values
    above, below = _unused(data, allocated)
    if above and (values.dtype.kind == "i" or int(values.max()) >> (allocated - above)):
        values = (values << above) >> above
    return (values >> below) << below if below else values


def _unused(data: Any, allocated: int) -> tuple[int, int]:
    """How many bits above and below the image's are none of its own."""
    stored, high = _whole(data, "BitsStored"), _whole(data, "HighBit")
    if stored is None or not 0 < stored <= allocated:
        return 0, 0
    # One that leaves no room for the stored bits, or lies outside, is a slip.
    if high is None or not stored <= high + 1 <= allocated:
        high = stored - 1
    return allocated - 1 - high, high + 1 - stored


def _whole(data: Any, keyword: str) -> int | None:
    try:
        return int(data.get(keyword))
    except (TypeError, ValueError):
        return None


def rendered(data: Any, values: Array, frame: int = 0) -> Array:
    """The frame's values as they are to be seen: `uint8`, grey or RGB. Raises `NotTaken`."""
    try:
        with numpy.errstate(all="ignore"):
            if str(data.get("PhotometricInterpretation", "")) == "PALETTE COLOR":
                return _coloured(data, values)
            if values.ndim == 3:
                return _to_bytes(values, int(data.get("BitsStored") or 8))
            return _grey(data, values, frame)
    except NotTaken:
        raise
    except Exception:  # noqa: BLE001 - tables and windows as a stranger wrote them
        raise NotTaken(Reason.UNREADABLE_IMAGE) from None


def _coloured(data: Any, values: Array) -> Array:
    from pydicom.pixels.processing import apply_color_lut

    colours = apply_color_lut(values, data)
    return _to_bytes(colours, 16 if colours.dtype.itemsize > 1 else 8)


def _to_bytes(values: Array, bits: int) -> Array:
    if bits == 8 and values.dtype == numpy.uint8:
        return values
    return (values.astype(numpy.float64) * (255.0 / (2.0**bits - 1))).clip(0, 255).astype("uint8")


def _grey(data: Any, values: Array, frame: int) -> Array:
    if int(data.get("BitsAllocated") or 8) == 1:
        return (values > 0).astype("uint8") * 255
    if values.dtype.kind not in "iu" or not values.size or "PixelPaddingValue" in data:
        return _toned(
            data, values, frame
        )  # without a window padding is told by which values there are
    low, high = int(values.min()), int(values.max())
    if high - low >= min(_MOST_VALUES, values.size):
        return _toned(data, values, frame)
    # Each value once, not each pixel: of a mammogram's millions there are a few thousand.
    domain = numpy.arange(low, high + 1, dtype=values.dtype)
    return _toned(data, domain, frame)[values if low == 0 else values.astype("int64") - low]


def _toned(data: Any, values: Array, frame: int) -> Array:
    from pydicom.pixels.processing import apply_modality_lut

    is_padding = _padding(data, values)
    rescale = group(data, frame, "PixelValueTransformationSequence") or data
    real = apply_modality_lut(values, rescale).astype(numpy.float64)
    shown = _windowed(data, real, frame, is_padding)
    if is_inverse(data):
        shown = 255.0 - shown
    if is_padding is not None:
        shown[is_padding] = 0.0
    return shown.round().clip(0, 255).astype("uint8")


def _padding(data: Any, values: Array) -> Array | None:
    """Where there is no image (PS3.3 C.7.5.1.1.2); None if everywhere is."""
    low = data.get("PixelPaddingValue")
    if not isinstance(low, int) or values.dtype.kind not in "iu":
        return None
    high = data.get("PixelPaddingRangeLimit", low)
    high = high if isinstance(high, int) else low
    found = (values >= min(low, high)) & (values <= max(low, high))
    return found if found.any() and not found.all() else None


def is_inverse(data: Any) -> bool:
    """White is low: by its photometric interpretation or its presentation LUT; both together say it once."""
    shape = str(data.get("PresentationLUTShape", "")).upper()
    if shape in ("INVERSE", "IDENTITY"):
        return shape == "INVERSE"
    return str(data.get("PhotometricInterpretation", "")) == "MONOCHROME1"


def _windowed(data: Any, real: Array, frame: int, is_padding: Array | None) -> Array:
    """From 0 to 255: by the file's first window, else its VOI LUT, else from the least to the greatest value."""
    voi = group(data, frame, "FrameVOILUTSequence") or data
    window = first_window(voi)
    if window is None and (table := data.get("VOILUTSequence")):
        return _looked_up(data, real, int(table[0].LUTDescriptor[2]))
    if window is not None:
        centre, width = window
        return _by_function(real, centre, width, str(voi.get("VOILUTFunction") or "LINEAR").upper())
    seen = real if is_padding is None else real[~is_padding]
    seen = seen[numpy.isfinite(seen)]
    if not seen.size:
        return numpy.zeros(real.shape)
    low, high = float(seen.min()), float(seen.max())
    if high <= low:
        return numpy.full(real.shape, 0.0 if low <= 0 else 255.0)
    return numpy.nan_to_num(
        (real - low) * (255.0 / (high - low)), nan=0.0, posinf=255.0, neginf=0.0
    )


def first_window(voi: Any) -> tuple[float, float] | None:
    found = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = voi.get(keyword)
        if value is not None and not isinstance(value, str) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        try:
            found.append(float(value))
        except (TypeError, ValueError):
            return None
    centre, width = found
    return (centre, width) if math.isfinite(centre) and math.isfinite(width) and width > 0 else None


def _by_function(real: Array, centre: float, width: float, function: str) -> Array:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return 255.0 / (1.0 + numpy.exp(-4.0 * (real - centre) / width))
    if function == "LINEAR_EXACT":
        return ((real - centre) / width + 0.5).clip(0, 1) * 255.0
    if width <= 1:
        return numpy.where(real > centre - 0.5, 255.0, 0.0)
    return ((real - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1) * 255.0


def _looked_up(data: Any, real: Array, bits: int) -> Array:
    from pydicom.pixels.processing import apply_voi

    return apply_voi(real.astype(numpy.int64), data).astype(numpy.float64) * (
        255.0 / (2.0**bits - 1)
    )


# ---------------------------------------------------------------- pictures


def picture(shown: Array, ratio: float = 1.0) -> Image.Image:
    """An image to be scaled and stored; `ratio` is a pixel's height to its width."""
    image = Image.fromarray(numpy.ascontiguousarray(shown))
    if abs(ratio - 1.0) > 0.01:
        wide, high = image.size
        size = (
            (wide, max(1, round(high * ratio)))
            if ratio > 1
            else (max(1, round(wide / ratio)), high)
        )
        image = image.resize(size, Image.Resampling.BILINEAR)
    return image


def pixel_ratio(data: Any) -> float:
    """Height to width of a pixel; 1 where the file does not say, or says nonsense."""
    for keyword in ("PixelSpacing", "PixelAspectRatio"):
        value = data.get(keyword)
        try:
            high, wide = float(value[0]), float(value[1])
        except (TypeError, ValueError, IndexError):
            continue
        if high > 0 and wide > 0 and 0.1 <= high / wide <= 10:
            return high / wide
    return 1.0


def scaled(image: Image.Image, side: int) -> Image.Image:
    """At most that long on its longest side; never larger than it is."""
    if max(image.size) <= side:
        return image
    share = side / max(image.size)
    size = tuple(max(1, round(each * share)) for each in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS, reducing_gap=3.0)


def spread(count: int, most: int) -> list[int]:
    """Up to `most` frames out of `count`, evenly, with the first and the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(index * (count - 1) / (most - 1)) for index in range(most)})


def contact_sheet(frames: list[Image.Image]) -> Image.Image:
    """All of these, in rows, each scaled to a cell."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    sheet = Image.new("RGB", (columns * _SHEET_CELL, rows * _SHEET_CELL))
    for index, frame in enumerate(frames):
        small = scaled(frame, _SHEET_CELL)
        left = index % columns * _SHEET_CELL + (_SHEET_CELL - small.width) // 2
        top = index // columns * _SHEET_CELL + (_SHEET_CELL - small.height) // 2
        sheet.paste(small, (left, top))
    return sheet


def quality_of(shown: Array) -> Quality:
    grey = shown if shown.ndim == 2 else numpy.asarray(picture(shown).convert("L"))
    low, high = numpy.percentile(grey, [5, 95])
    return Quality(
        exposure=round(float(grey.mean()) / 255, 4),
        contrast=round(float(high - low) / 255, 4),
        sharpness=round(_sharpness(grey), 2),
        clipped=round(float(((grey == 0) | (grey == 255)).mean()), 4),
    )


def _sharpness(grey: Array) -> float:
    """The Laplacian's variance; some rows at a time, for the largest pictures would not fit as wider numbers."""
    count = total = squares = 0
    for top in range(0, grey.shape[0] - 2, _BAND):
        some = grey[top : top + _BAND + 2].astype(numpy.int32)
        around = some[:-2, 1:-1] + some[2:, 1:-1] + some[1:-1, :-2] + some[1:-1, 2:]
        laplacian = around - 4 * some[1:-1, 1:-1]
        count += laplacian.size
        total += int(laplacian.sum(dtype=numpy.int64))
        squares += int((laplacian**2).sum(dtype=numpy.int64))
    return squares / count - (total / count) ** 2 if count else 0.0
