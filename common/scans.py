"""A DICOM file as `common/picture.py` works on it: its frames, and a copy of it without identifiers."""

import copy
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy

from common import codestreams, deidentify, dicom, rendering
from common.imaging import Alias, Box, DeidentificationReport, ImageMetadata
from common.imaging import Deidentification as Status
from common.reasons import NotTaken, Reason

_PIECE = 1 << 20
_UNDEFINED = 0xFFFFFFFF
_OURS = "2.25.203470162395142381461396213216373961043"
"""Implementation Class UID: which program wrote the file (PS3.10, 7.1); made of a random UUID."""
_DOCUMENT = "EncapsulatedDocument"
_NOT_KEPT = (
    "DataSetTrailingPadding",
    "EncapsulatedPixelDataValueTotalLength",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)


class Scan:
    """Read, and its pixels found bearable, not yet decoded. Raises `NotTaken`, as all its methods do."""

    def __init__(self, file: BinaryIO) -> None:
        self._data = dicom.read(file)
        self.has_pixels = dicom.has_pixels(self._data)
        self.frame_count = 0
        if self.has_pixels:
            dicom.check_pixels(self._data)
            self.frame_count = dicom.frame_count(self._data)
        self.ratio = rendering.pixel_ratio(self._data)

    def stored(self, frame: int) -> Any:
        return rendering.decoded(self._data, frame)

    def shown(self, values: Any, frame: int) -> Any:
        return rendering.rendered(self._data, values, frame)

    def burnt_out(self, values: Any, boxes: list[Box]) -> Any:
        return deidentify.burnt_out(self._data, values, boxes)

    def metadata(self) -> ImageMetadata:
        return dicom.metadata_of(self._data)

    def patient(self) -> dict[str, str]:
        """Whom the file names: to be compared with the record."""
        found = {
            "name": str(self._data.get("PatientName") or ""),
            "birth_date": str(self._data.get("PatientBirthDate") or ""),
            "sex": str(self._data.get("PatientSex") or ""),
        }
        return {name: value for name, value in found.items() if value}

    def deidentified(
        self, boxes: list[Box], alias: Alias
    ) -> tuple[str, Iterator[bytes], DeidentificationReport]:
        """Its type, its content, and what was done; neither for a document, which can't be cleaned.

        Frames stay as they were encoded, without notes, unless something is blacked out or nobody knows
        what is in them; then they are stored without compression, explicit little endian.
        """
        if _DOCUMENT in self._data:
            report = DeidentificationReport(status=Status.DOCUMENT, profile=deidentify.METHOD)
            return "", iter(()), report
        clean = self._without_pixels()
        done = deidentify.deidentify(clean, alias, has_pixels=self.has_pixels)
        syntax, pixels = self._pixels(clean, boxes)
        report = DeidentificationReport(
            status=Status.DONE,
            profile=deidentify.METHOD,
            tags=done.tags(),
            private_count=done.private,
            regions=boxes,
        )
        return "application/dicom", _written(clean, syntax, pixels), report

    def identifying(self) -> list[str]:
        """Keywords of attributes that hold what identifies somebody."""
        return sorted(
            {
                element.keyword
                for element in self._data
                if element.keyword in deidentify.IDENTIFYING and element.value
            }
        )

    def surroundings(self) -> list[Box]:
        """What lies outside of an ultrasound's regions, where the machine writes whose image it is."""
        return dicom.surroundings_of(self._data) if self.has_pixels else []

    def _without_pixels(self) -> Any:
        """A copy, but for what is large."""
        kept = {name: self._data[name] for name in dicom.PIXELS if name in self._data}
        for name in kept:
            delattr(self._data, name)
        try:
            clean = copy.deepcopy(self._data)
        finally:
            for element in kept.values():
                self._data.add(element)
        for name in _NOT_KEPT:
            if name in clean:
                delattr(clean, name)
        if not _is_little_endian(self._data):
            _swap_words(clean)
        return clean

    def _pixels(self, clean: Any, boxes: list[Box]) -> tuple[str, Iterator[bytes]]:
        """The transfer syntax and the pixel data's element."""
        if not self.has_pixels:
            return _EXPLICIT, iter(())
        if not boxes and dicom.is_encapsulated(self._data):
            try:
                frames = self._plain_frames()
            except codestreams.NotUnderstood:
                pass
            else:
                return str(self._data.file_meta.TransferSyntaxUID), _encapsulated(frames)
        if boxes or dicom.is_encapsulated(self._data) or not _is_little_endian(self._data):
            return _EXPLICIT, self._anew(clean, boxes)
        return _EXPLICIT, self._as_stored()

    def _plain_frames(self) -> list[bytes]:
        """The compressed frames. Raises `NotUnderstood`.

        By an offset table there can be more than are declared; nobody looked at those.
        """
        from pydicom.encaps import generate_frames

        try:
            stored = generate_frames(self._data.PixelData, number_of_frames=self.frame_count)
            frames = [codestreams.plain(frame) for frame in stored]
        except ValueError:  # fragments that can't be told apart
            raise codestreams.NotUnderstood from None
        if len(frames) != self.frame_count:
            raise codestreams.NotUnderstood
        return frames

    def _as_stored(self) -> Iterator[bytes]:
        """The frames' bytes and no more, of each value only the bits that are the image's."""
        name = next(name for name in dicom.PIXELS if name in self._data)
        element = self._data[name]
        value = memoryview(element.value)[: dicom.expected_bytes(self._data)]
        vr = element.VR if element.VR in ("OB", "OW", "OF", "OD") else "OW"
        yield _begin(element.tag, vr, len(value) + len(value) % 2)
        for piece in _cut(value):
            yield self._own_bits(piece) if name == "PixelData" else piece
        yield b"\0" * (len(value) % 2)

    def _own_bits(self, piece: bytes) -> bytes:
        allocated = int(self._data.get("BitsAllocated") or 8)
        if allocated not in (8, 16, 32):
            return piece
        kind = "i" if self._data.get("PixelRepresentation") == 1 else "u"
        values = numpy.frombuffer(piece, f"<{kind}{allocated // 8}")
        return bytes(rendering.own_bits(self._data, values).tobytes())

    def _anew(self, clean: Any, boxes: list[Box]) -> Iterator[bytes]:
        """The frames, decoded and blacked out; `clean` is made to describe them."""
        first = self.burnt_out(self.stored(0), boxes)
        if first.ndim == 3:
            clean.PhotometricInterpretation = "RGB"
            clean.PlanarConfiguration = 0
        if first.dtype.kind != "f":
            bits = first.dtype.itemsize * 8
            if int(clean.get("BitsAllocated") or 0) != bits:
                clean.BitsAllocated = bits
                clean.BitsStored = min(int(clean.get("BitsStored") or bits), bits)
                clean.HighBit = clean.BitsStored - 1
        name = next(name for name in dicom.PIXELS if name in self._data)
        return self._frames(name, first, boxes)

    def _frames(self, name: str, first: Any, boxes: list[Box]) -> Iterator[bytes]:
        from pydicom.datadict import tag_for_keyword
        from pydicom.tag import Tag

        size = first.nbytes * self.frame_count
        vr = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}.get(
            name, "OB" if first.dtype.itemsize == 1 else "OW"
        )
        yield _begin(Tag(tag_for_keyword(name) or 0), vr, size + size % 2)
        for frame in range(self.frame_count):
            values = self.burnt_out(self.stored(frame), boxes) if frame else first
            plain = values.astype(values.dtype.newbyteorder("<"), copy=False)
            yield from _cut(memoryview(plain.tobytes()))
        yield b"\0" * (size % 2)


_EXPLICIT = "1.2.840.10008.1.2.1"


def _is_little_endian(data: Any) -> bool:
    return bool(data.original_encoding[1] is not False)


def _swap_words(data: Any) -> None:
    """16-bit words in values that pydicom takes as bytes: look-up tables, overlays."""
    for element in data.iterall():
        if element.VR == "OW" and isinstance(element.value, bytes) and len(element.value) % 2 == 0:
            element.value = numpy.frombuffer(element.value, ">u2").astype("<u2").tobytes()


def _written(data: Any, syntax: str, pixels: Iterator[bytes]) -> Iterator[bytes]:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset, write_file_meta_info
    from pydicom.uid import UID

    first = next(pixels, b"")  # before the header: it may still change what describes the pixels
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(str(data.get("SOPClassUID") or ""))
    meta.MediaStorageSOPInstanceUID = UID(str(data.get("SOPInstanceUID") or ""))
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(_OURS)
    head = DicomBytesIO()
    head.write(bytes(128) + b"DICM")
    write_file_meta_info(head, meta, enforce_standard=False)
    body = DicomBytesIO()
    body.is_little_endian, body.is_implicit_VR = True, False
    try:
        write_dataset(body, data)
    except Exception:  # noqa: BLE001 - values that no VR can hold
        raise NotTaken(Reason.UNREADABLE_IMAGE) from None
    yield head.getvalue()
    yield from _cut(memoryview(body.getvalue()))
    yield first
    yield from pixels


def _encapsulated(frames: list[bytes]) -> Iterator[bytes]:
    """Pixel data of undefined length: an empty offset table, each frame as one item (PS3.5, A.4)."""
    from pydicom.tag import Tag

    yield _begin(Tag("PixelData"), "OB", _UNDEFINED)
    yield struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    for frame in frames:
        yield struct.pack("<HHL", 0xFFFE, 0xE000, len(frame) + len(frame) % 2)
        yield from _cut(memoryview(frame))
        yield b"\0" * (len(frame) % 2)
    yield struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def _begin(tag: Any, vr: str, length: int) -> bytes:
    return struct.pack("<HH2sHL", tag.group, tag.element, vr.encode(), 0, length)


def _cut(value: memoryview) -> Iterator[bytes]:
    for start in range(0, len(value), _PIECE):
        yield bytes(value[start : start + _PIECE])
