"""Notes inside compressed frames, bits beside the image and what follows it: none of them comes along in a copy."""

import io
import struct
from typing import Any

import numpy
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from common import codestreams, rendering
from common.imaging import Alias, Box
from tests.pictured import a_picture, a_scan, carried, opened

ALIAS = Alias(bytes(range(32)))
COMPRESSED = [
    "JPGExtended.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "examples_ybr_color.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEG2000.dcm",
    "MR_small_jp2klossless.dcm",
    "693_J2KI.dcm",
]


def frames_of(content: bytes) -> list[bytes]:
    data = pydicom.dcmread(io.BytesIO(content))
    count = int(data.get("NumberOfFrames") or 1)
    return list(generate_frames(data.PixelData, number_of_frames=count))


def noted(frame: bytes) -> bytes:
    """With a name in it, as a comment."""
    note = b"CANARY^MARIA"
    if frame[:2] == b"\xff\xd8":
        camera = b"\xff\xe1" + struct.pack(">H", 2 + 20) + b"Exif\0\0 CANARY GARCIA"[:20].ljust(20)
        return (
            b"\xff\xd8" + camera + b"\xff\xfe" + struct.pack(">H", 2 + len(note)) + note + frame[2:]
        )
    comment = b"\xff\x64" + struct.pack(">HH", 4 + len(note), 1) + note
    size = 4 + struct.unpack_from(">H", frame, 4)[0]  # SOC and SIZ come first
    return frame[:size] + comment + frame[size:]


async def cleaned(content: bytes, *boxes: Box) -> bytes:
    async with opened(content) as picture:
        parts = [part async for part in picture.cleaned(list(boxes), ALIAS)]
    return b"".join(parts[1:])


@pytest.mark.parametrize("name", COMPRESSED)
async def test_p34_notes_in_frames_go_and_the_picture_stays_bit_by_bit(name: str) -> None:
    content = carried(name)
    data = pydicom.dcmread(io.BytesIO(content))
    before = [rendering.decoded(data, frame) for frame in range(len(frames_of(content)))]
    data.PixelData = encapsulate([noted(frame) for frame in frames_of(content)])
    into = io.BytesIO()
    data.save_as(into)
    copy = await cleaned(into.getvalue())
    assert b"CANARY" not in copy
    clean = pydicom.dcmread(io.BytesIO(copy))
    assert clean.file_meta.TransferSyntaxUID == data.file_meta.TransferSyntaxUID
    for frame, values in enumerate(before):
        assert (rendering.decoded(clean, frame) == values).all()


def test_a_tile_part_without_its_notes_says_how_long_it_is() -> None:
    (frame,) = frames_of(carried("JPEG2000.dcm"))
    at = frame.index(b"\xff\x90")
    comment = b"\xff\x64" + struct.pack(">HH", 10, 1) + b"CANARY"
    length = struct.unpack_from(">L", frame, at + 6)[0]
    header = bytearray(frame[at : at + 12])
    if length:
        struct.pack_into(">L", header, 6, length + len(comment))
    longer = frame[:at] + bytes(header) + comment + frame[at + 12 :]
    assert codestreams.plain(longer) == codestreams.plain(frame)


def test_a_thumbnail_in_a_frame_goes_and_what_tells_the_colours_stays() -> None:
    (frame,) = frames_of(carried("SC_rgb_jpeg_dcmtk.dcm"))
    start, rest = frame[:2], frame[2 + 18 :] if frame[2:4] == b"\xff\xe0" else frame[2:]
    told = b"JFIF\0\x01\x02\0\0\x01\0\x01"
    thumbnail = b"CANARY^MARIA"  # 4 × 1 pixels
    longer = told + b"\x04\x01" + thumbnail
    whole = start + b"\xff\xe0" + struct.pack(">H", 2 + len(longer)) + longer + rest
    assert codestreams.plain(whole) == codestreams.plain(
        start + b"\xff\xe0\0\x10" + told + b"\0\0" + rest
    )
    assert b"CANARY" not in codestreams.plain(whole)


async def test_p34_frames_beyond_those_declared_do_not_come_along() -> None:
    content = carried("MR_small_jpeg_ls_lossless.dcm")
    data = pydicom.dcmread(io.BytesIO(content))
    (frame,) = frames_of(content)
    data.PixelData = encapsulate([frame, frame, frame], has_bot=True)
    data.NumberOfFrames = 1
    into = io.BytesIO()
    data.save_as(into)
    clean = pydicom.dcmread(io.BytesIO(await cleaned(into.getvalue())))
    assert clean.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert len(clean.PixelData) == 2 * clean.Rows * clean.Columns
    first = rendering.decoded(pydicom.dcmread(io.BytesIO(content)), 0)
    assert (clean.pixel_array == first).all()


async def test_p34_what_lies_beside_the_picture_in_rle_does_not_come_along() -> None:
    """Its segments hold every bit that is allocated, and may be followed by anything."""
    hidden = numpy.random.default_rng(5).integers(0, 16, (64, 64))
    content, meant = _twelve_bits(0, hidden)
    data = pydicom.dcmread(io.BytesIO(content))
    data.compress(RLELossless)
    (frame,) = generate_frames(data.PixelData, number_of_frames=1)
    data.PixelData = encapsulate([frame + b"CANARY^MARIA"])
    data.EncapsulatedPixelDataValueTotalLength = 4711
    into = io.BytesIO()
    data.save_as(into)
    copy = await cleaned(into.getvalue())
    clean = pydicom.dcmread(io.BytesIO(copy))
    assert b"CANARY" not in copy
    assert "EncapsulatedPixelDataValueTotalLength" not in clean
    assert (numpy.frombuffer(clean.PixelData, "<u2").reshape(64, 64) == meant).all()


async def test_frames_in_rle_are_stored_anew_as_they_were() -> None:
    content = carried("SC_rgb_rle_2frame.dcm")
    before = pydicom.dcmread(io.BytesIO(content))
    clean = pydicom.dcmread(io.BytesIO(await cleaned(content)))
    assert clean.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (clean.pixel_array == before.pixel_array).all()


def test_what_follows_the_end_of_a_frame_goes() -> None:
    for name in ("JPGExtended.dcm", "JPEG2000.dcm", "MR_small_jpeg_ls_lossless.dcm"):
        (frame,) = frames_of(carried(name))
        assert codestreams.plain(frame + b"CANARY") == codestreams.plain(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xfe\xff\xff",
        b"\xff\xd8" + b"\xff" * 50,
        b"\xff\x4f\xff\x51",
        b"\xff\x4f\xff\x90\0\x0a\0\0\0\0\0\x01\0\x01",
        b"GIF89a",
        bytes(80),
    ],
)
def test_a_stream_that_nobody_understands_is_said_to_be_one(frame: bytes) -> None:
    with pytest.raises(codestreams.NotUnderstood):
        codestreams.plain(frame)


async def test_p34_frames_that_nobody_understands_are_stored_anew() -> None:
    """A JPEG 2000 file of boxes where a bare stream should be: it can be shown, and carries whatever it likes."""
    image = a_picture("text")
    into = io.BytesIO()
    image.save(into, "JPEG2000", irreversible=False, comment="CANARY")
    assert into.getvalue()[4:8] == b"jP  "
    data = pydicom.dcmread(io.BytesIO(a_scan(image)))
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = encapsulate([into.getvalue()])
    data["PixelData"].VR = "OB"
    whole = io.BytesIO()
    data.save_as(whole, enforce_file_format=True)
    copy = await cleaned(whole.getvalue())
    clean = pydicom.dcmread(io.BytesIO(copy))
    assert clean.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (clean.pixel_array == numpy.asarray(image)).all()
    assert b"CANARY" not in copy


# ---------------------------------------------------------------- uncompressed


def _twelve_bits(signed: int, hidden: Any) -> tuple[bytes, Any]:
    """Of 16 bits 12 are the image's; in the others an overlay, as files had it before 2004."""
    plain = (numpy.arange(64 * 64).reshape(64, 64) % 4096).astype("uint16")
    meant = numpy.where(plain >= 2048, plain.astype(int) - 4096, plain) if signed else plain
    stored = plain | (hidden.astype("uint16") << 12)
    content = a_scan(
        a_picture(size=(64, 64)),
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=signed,
        PixelData=stored.tobytes(),
    )
    return content, meant


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("box", [(), (Box(left=0, top=0, right=4, bottom=4),)])
async def test_p34_overlays_in_unused_bits_do_not_come_along(signed: int, box: Any) -> None:
    hidden = numpy.random.default_rng(5).integers(0, 16, (64, 64))
    content, meant = _twelve_bits(signed, hidden)
    clean = pydicom.dcmread(io.BytesIO(await cleaned(content, *box)))
    stored = numpy.frombuffer(clean.PixelData, "<i2" if signed else "<u2").reshape(64, 64)
    assert (stored[4:] == meant[4:]).all()
    async with opened(content) as picture:
        shown = (await picture.examine()).quality
    content, _ = _twelve_bits(signed, numpy.zeros((64, 64)))
    async with opened(content) as picture:
        assert (await picture.examine()).quality == shown


@pytest.mark.parametrize(
    ("bits", "kept"),
    [
        pytest.param((16, 12, 15), 0xFFF0, id="the image's are the upper ones"),
        pytest.param((16, 12, 13), 0x3FFC, id="and in the middle"),
        pytest.param((16, 12, 0), 0x0FFF, id="no room below the highest"),
        pytest.param((16, 16, 99), 0xFFFF, id="a highest bit that is none"),
        pytest.param((16, 12, None), 0x0FFF, id="no highest bit"),
    ],
)
async def test_p34_only_bits_of_the_image_come_along(bits: Any, kept: int) -> None:
    stored = numpy.random.default_rng(6).integers(0, 1 << 16, (64, 64)).astype("uint16")
    allocated, used, high = bits
    content = a_scan(
        a_picture(size=(64, 64)),
        BitsAllocated=allocated,
        BitsStored=used,
        HighBit=high,
        PixelData=stored.tobytes(),
    )
    clean = pydicom.dcmread(io.BytesIO(await cleaned(content)))
    assert (numpy.frombuffer(clean.PixelData, "<u2").reshape(64, 64) == stored & kept).all()


async def test_a_highest_bit_that_is_too_low_hides_nothing() -> None:
    image = a_picture("text")
    clean = pydicom.dcmread(io.BytesIO(await cleaned(a_scan(image, HighBit=0))))
    assert (clean.pixel_array == numpy.asarray(image)).all()


async def test_p34_what_follows_the_last_frame_does_not_come_along() -> None:
    image = a_picture("x")
    content = a_scan(image, PixelData=numpy.asarray(image).tobytes() + b"CANARY^MARIA")
    copy = await cleaned(content)
    assert b"CANARY" not in copy
    assert (pydicom.dcmread(io.BytesIO(copy)).pixel_array == numpy.asarray(image)).all()


def test_jpeg_ls_data_that_looks_like_a_marker_is_none() -> None:
    (frame,) = frames_of(carried("MR_small_jpeg_ls_lossless.dcm"))
    assert JPEGLSLossless  # the syntax in which 0xFF may be followed by anything below 0x80
    assert codestreams.plain(frame).endswith(b"\xff\xd9")
