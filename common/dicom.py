"""Reads a DICOM file that a stranger sent, within limits, and says what it is. Runs in a process of its own.

pydicom meets hostile files with many kinds of errors; whatever it raises here
becomes `NotTaken`, with the reason that fits.
"""

import io
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from itertools import pairwise
from typing import Any, BinaryIO

from common.imaging import Box, ImageMetadata
from common.reasons import NotTaken, Reason

MOST_INFLATED = 1 << 30
MOST_RATIO = 100
"""Of a deflated data set, to what it was; images deflate to a third, empty ones to a hundredth."""
SMALL = 16 << 20
"""Bytes that may be inflated whatever the ratio."""
DEEPEST = 16
"""Sequences in sequences; the deepest of the standard's have about eight."""
MOST_ELEMENTS = 500_000
MOST_FRAME_PIXELS = 100_000_000
MOST_FRAMES = 20_000
_MOST_REGIONS = 16
MOST_DECODED = 4_000_000_000
"""Bytes of all frames together; they are decoded one at a time."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
_DIRECTORY = "1.2.840.10008.1.3.10"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_VIDEO = "1.2.840.10008.1.2.4.10"
"""MPEG-2, MPEG-4 and HEVC: how the UIDs of their transfer syntaxes begin."""


def read(file: BinaryIO) -> Any:
    """The data set, whole. Raises `NotTaken`."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    _configure()
    try:
        data = pydicom.dcmread(_inflated(file), force=True)
        _check_tree(data)
    except NotTaken:
        raise
    except RecursionError:
        raise NotTaken(Reason.NESTED_TOO_DEEP) from None
    except (EOFError, zlib.error):
        raise NotTaken(Reason.TRUNCATED) from None
    except (InvalidDicomError, MemoryError):
        raise NotTaken(Reason.UNREADABLE_IMAGE) from None
    if str(data.get("SOPClassUID") or _media_class(data)) == _DIRECTORY:
        raise NotTaken(Reason.DIRECTORY)
    says = ("SOPClassUID", "SOPInstanceUID", "Modality", *PIXELS)
    if not _media_class(data) and not any(name in data for name in says):
        # Anything that begins like an element can be read so; this says nothing that an image says.
        raise NotTaken(Reason.NOT_IMAGE)
    return data


def _configure() -> None:
    from pydicom import config

    # Values that break the standard are common; what matters of them is checked where it is used.
    config.settings.reading_validation_mode = config.IGNORE
    config.settings.writing_validation_mode = config.IGNORE


def _media_class(data: Any) -> str:
    return str(getattr(data, "file_meta", {}).get("MediaStorageSOPClassUID", ""))


def _inflated(file: BinaryIO) -> BinaryIO:
    """The file; if its data set is deflated, inflated, as long as that is bearable.

    pydicom would inflate whatever there is at once. Raises `NotTaken`.
    """
    from pydicom.filebase import DicomBytesIO
    from pydicom.filereader import read_preamble
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import ExplicitVRLittleEndian

    file.seek(0)
    preamble = read_preamble(file, force=True)
    if preamble is None:
        file.seek(0)
        return file
    from pydicom.filereader import _read_file_meta_info

    meta = _read_file_meta_info(file)
    if str(meta.get("TransferSyntaxUID", "")) != _DEFLATED:
        file.seek(0)
        return file
    packed = file.read()
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(max(SMALL, MOST_RATIO * len(packed)), MOST_INFLATED)
    plain = inflating.decompress(packed, most)
    if inflating.unconsumed_tail:
        raise NotTaken(Reason.BOMB)
    if not inflating.eof:
        raise NotTaken(Reason.TRUNCATED)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole = DicomBytesIO()
    whole.write(preamble + b"DICM")
    write_file_meta_info(whole, meta, enforce_standard=False)
    whole.write(plain)
    return io.BytesIO(whole.getvalue())


def _check_tree(data: Any) -> None:
    """Read every element, so that what is broken shows itself here. Raises `NotTaken`, and whatever pydicom raises."""
    left = MOST_ELEMENTS
    waiting: list[tuple[Any, int]] = [(data, 1)]
    while waiting:
        branch, depth = waiting.pop()
        if depth > DEEPEST:
            raise NotTaken(Reason.NESTED_TOO_DEEP)
        for element in _elements(branch):
            left -= 1
            if left < 0:
                raise NotTaken(Reason.BOMB)
            if element.VR == "SQ":
                waiting.extend((item, depth + 1) for item in element.value or [])


def _elements(data: Any) -> Iterator[Any]:
    """Each element; one that can't be read is taken out: what it says nobody knows."""
    for tag in list(data.keys()):
        if _is_short(data.get_item(tag)):
            raise NotTaken(Reason.TRUNCATED)
        try:
            element = data[tag]
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - pydicom raises whatever its converters raise
            if tag.group in (0x0028, 0x7FE0):
                raise NotTaken(Reason.UNREADABLE_IMAGE) from None
            del data[tag]
            continue
        yield element


def _is_short(raw: Any) -> bool:
    """Whether the file ended before this element did; pydicom takes what there is."""
    length, value = getattr(raw, "length", None), getattr(raw, "value", None)
    return isinstance(value, bytes) and length not in (None, 0xFFFFFFFF) and len(value) < length


# ---------------------------------------------------------------- pixels


def has_pixels(data: Any) -> bool:
    return any(name in data for name in PIXELS)


def frame_count(data: Any) -> int:
    """Raises `NotTaken`."""
    try:
        return max(1, int(data.get("NumberOfFrames") or 1))
    except (TypeError, ValueError):
        raise NotTaken(Reason.UNREADABLE_IMAGE) from None


def check_pixels(data: Any) -> None:
    """Whether its frames may be decoded, by what it declares of them. Raises `NotTaken`."""
    syntax = str(data.file_meta.get("TransferSyntaxUID", "")) if hasattr(data, "file_meta") else ""
    if syntax.startswith(_VIDEO):
        raise NotTaken(Reason.VIDEO)
    try:
        rows, columns = int(data.Rows), int(data.Columns)
        samples = int(data.get("SamplesPerPixel") or 1)
        allocated = int(data.get("BitsAllocated") or 8)
    except (AttributeError, TypeError, ValueError):
        raise NotTaken(Reason.UNREADABLE_IMAGE) from None
    frames = frame_count(data)
    if rows < 1 or columns < 1 or samples not in (1, 3) or not 1 <= allocated <= 64:
        raise NotTaken(Reason.UNREADABLE_IMAGE)
    frame = rows * columns * samples * max(allocated // 8, 1)
    if rows * columns > MOST_FRAME_PIXELS or frames > MOST_FRAMES or frame * frames > MOST_DECODED:
        raise NotTaken(Reason.TOO_MANY_PIXELS)
    name = next(name for name in PIXELS if name in data)
    stored = len(data[name].value or b"")
    if not is_encapsulated(data) and stored < expected_bytes(data):
        raise NotTaken(Reason.TRUNCATED)


def expected_bytes(data: Any) -> int:
    """Of all frames, uncompressed; more may follow, which is no picture."""
    pixels = int(data.Rows) * int(data.Columns) * frame_count(data)
    if str(data.get("PhotometricInterpretation", "")).upper() == "YBR_FULL_422":
        return pixels * 2
    return -(
        -pixels * int(data.get("SamplesPerPixel") or 1) * int(data.get("BitsAllocated") or 8) // 8
    )


def is_encapsulated(data: Any) -> bool:
    from pydicom.uid import UID

    syntax = UID(str(data.file_meta.get("TransferSyntaxUID", "")))
    try:
        return bool(syntax.is_encapsulated)
    except ValueError:  # a private syntax: encapsulated, or its frames could not be told apart
        return True


def surroundings_of(data: Any) -> list[Box]:
    """All that lies outside of its ultrasound regions (PS3.3 C.8.5.5.1), as boxes beside each other.

    None where it has no regions, or one that reaches further than the image. Many machines give the first
    row and column after a region as its last, some list regions that are empty.
    """
    regions: list[Box] = []
    wide, high = int(data.Columns), int(data.Rows)
    for item in data.get("SequenceOfUltrasoundRegions") or []:
        corners = [
            _whole(item, f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")
        ]
        left, top, right, bottom = (-1 if each is None else each for each in corners)
        if not (
            0 <= left <= wide and 0 <= right <= wide and 0 <= top <= high and 0 <= bottom <= high
        ):
            return []
        region = Box(left=left, top=top, right=min(right + 1, wide), bottom=min(bottom + 1, high))
        if left < right and top < bottom:
            regions.append(region)
    if not 0 < len(regions) <= _MOST_REGIONS:
        return []
    return _around(regions, wide, high)


def _around(regions: list[Box], wide: int, high: int) -> list[Box]:
    """In bands from top to bottom: in each, what is not in a region."""
    levels = sorted({0, high, *(y for each in regions for y in (each.top, each.bottom))})
    found = []
    for top, bottom in pairwise(levels):
        at = 0
        for region in sorted(
            (each for each in regions if each.top <= top and bottom <= each.bottom),
            key=lambda each: each.left,
        ):
            if region.left > at:
                found.append(Box(left=at, top=top, right=region.left, bottom=bottom))
            at = max(at, region.right)
        if at < wide:
            found.append(Box(left=at, top=top, right=wide, bottom=bottom))
    return found


# ---------------------------------------------------------------- metadata


def metadata_of(data: Any) -> ImageMetadata:
    from pydicom.uid import UID

    syntax = str(getattr(data, "file_meta", {}).get("TransferSyntaxUID", "") or "")
    sop_class = _text(data, "SOPClassUID") or _media_class(data) or None
    pixels = has_pixels(data)
    return ImageMetadata(
        kind="dicom",
        modality=_text(data, "Modality"),
        body_site=_text(data, "BodyPartExamined") or _meaning(data, "AnatomicRegionSequence"),
        laterality=_text(data, "ImageLaterality") or _text(data, "Laterality"),
        study_instance_uid=_text(data, "StudyInstanceUID"),
        series_instance_uid=_text(data, "SeriesInstanceUID"),
        sop_instance_uid=_text(data, "SOPInstanceUID"),
        sop_class_uid=sop_class,
        sop_class=UID(sop_class).name if sop_class else None,
        study_description=_text(data, "StudyDescription"),
        series_description=_text(data, "SeriesDescription"),
        series_number=_whole(data, "SeriesNumber"),
        instance_number=_whole(data, "InstanceNumber"),
        accession_number=_text(data, "AccessionNumber"),
        manufacturer=_text(data, "Manufacturer"),
        manufacturer_model=_text(data, "ManufacturerModelName"),
        study_date=_day(data, "StudyDate"),
        acquisition_time=_acquired(data),
        rows=_whole(data, "Rows"),
        columns=_whole(data, "Columns"),
        frame_count=frame_count(data) if pixels else None,
        pixel_spacing=_spacing(data),
        slice_thickness=_numbers(data, "SliceThickness", 1),
        bits_stored=_whole(data, "BitsStored"),
        photometric_interpretation=_text(data, "PhotometricInterpretation"),
        transfer_syntax_uid=syntax or None,
        transfer_syntax=UID(syntax).name if syntax else None,
        has_pixels=pixels,
    )


def _text(data: Any, keyword: str) -> str | None:
    value = data.get(keyword)
    if value is None or value == "":
        return None
    if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue":
        value = "\\".join(str(each) for each in value)
    text = "".join(char for char in str(value) if char.isprintable()).strip()
    return text[:300] or None


def _meaning(data: Any, keyword: str) -> str | None:
    items = data.get(keyword)
    return _text(items[0], "CodeMeaning") if items else None


def _whole(data: Any, keyword: str) -> int | None:
    try:
        return int(data.get(keyword))
    except (TypeError, ValueError, OverflowError):
        return None


def _numbers(data: Any, keyword: str, count: int) -> Any:
    """That many numbers, or the one; None for anything else."""
    value = data.get(keyword)
    try:
        found = [float(value)] if count == 1 else [float(each) for each in value]
    except (TypeError, ValueError):
        return None
    if len(found) != count or not all(0 < each < 1e6 for each in found):
        return None
    return found[0] if count == 1 else found


def _spacing(data: Any) -> list[float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if (found := _numbers(data, keyword, 2)) is not None:
            return list(found)
    measures = group(data, 0, "PixelMeasuresSequence")
    return _numbers(measures, "PixelSpacing", 2) if measures is not None else None


def group(data: Any, frame: int, keyword: str) -> Any:
    """A functional group of a frame, its own or the one shared by all (PS3.3 C.7.6.16); None without."""
    for name, index in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = data.get(name)
        if items and len(items) > index and (found := items[index].get(keyword)):
            return found[0]
    return None


def _day(data: Any, keyword: str) -> date | None:
    text = (_text(data, keyword) or "").replace(".", "")[:8]
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def _acquired(data: Any) -> datetime | None:
    from pydicom.valuerep import DT

    if text := _text(data, "AcquisitionDateTime"):
        try:
            return _plain(DT(text))
        except (TypeError, ValueError):
            pass
    for kind in ("Acquisition", "Content", "Series", "Study"):
        day = _day(data, f"{kind}Date")
        if day is None:
            continue
        clock = (_text(data, f"{kind}Time") or "").replace(":", "").split(".")[0].ljust(6, "0")
        try:
            return datetime.strptime(f"{day:%Y%m%d}{clock}", "%Y%m%d%H%M%S")  # noqa: DTZ007
        except ValueError:
            return datetime(day.year, day.month, day.day)  # noqa: DTZ001
    return None


def _plain(moment: Any) -> datetime | None:
    if moment is None:
        return None
    return datetime(
        moment.year,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
        tzinfo=moment.tzinfo,
    )
