"""Images of strangers, read in a process of its own: what they are, how they are shown, their clean copy."""

import io
import struct
import zlib
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from PIL import Image, TiffImagePlugin
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID

from common import dicom, rendering
from common.deidentify import action_of
from common.imaging import Alias, Box, Deidentification, Rendition
from common.reasons import REASONS, NotTaken, Reason
from tests.pictured import CARRIED, a_photo, a_picture, a_scan, carried, opened

ALIAS = Alias(bytes(range(32)))
FILES = sorted(CARRIED.rglob("*.dcm"))


async def cleaned(content: bytes, *boxes: Box) -> tuple[str, bytes, Any]:
    """The clean copy's type and content, and what was done."""
    async with opened(content) as picture:
        parts = [part async for part in picture.cleaned(list(boxes), ALIAS)]
        assert picture.report is not None
        return (parts[0].decode() if parts else ""), b"".join(parts[1:]), picture.report


async def refusal(content: bytes) -> Reason:
    with pytest.raises(NotTaken) as refused:
        async with opened(content) as picture:
            await picture.examine()
    assert REASONS[refused.value.reason]
    return refused.value.reason


def shown(content: bytes, frame: int = 0) -> Any:
    data = dicom.read(io.BytesIO(content))
    return rendering.rendered(data, rendering.decoded(data, frame), frame)


# ---------------------------------------------------------------- what pydicom carries


async def test_p33_every_file_that_pydicom_carries_is_shown_or_refused_with_a_reason(
    figure: Any,
) -> None:
    done: dict[str, list[str]] = {"shown": [], "without pixels": [], "refused": []}
    for path in FILES:
        try:
            async with opened(carried(path.name)) as picture:
                examined = await picture.examine()
                _ = [part async for part in picture.cleaned([], ALIAS)]
                assert picture.report is not None
        except NotTaken as refused:
            done["refused"].append(f"{path.name}: {refused.reason}")
            continue
        kind = "shown" if examined.renditions else "without pixels"
        assert examined.metadata.has_pixels == bool(examined.renditions)
        done[kind].append(path.name)
        for png in examined.renditions.values():
            Image.open(io.BytesIO(png)).load()
    assert all(line.split(": ")[1] in REASONS for line in done["refused"])
    figure("shown / without pixels / refused", " / ".join(str(len(each)) for each in done.values()))
    assert len(done["shown"]) >= 70
    assert {line.split(": ")[0] for line in done["refused"]} <= {
        "DICOMDIR-empty.dcm",  # a directory
        "JPEG-lossy.dcm",  # its last bytes are missing
        "JPEG2000-embedded-sequence-delimiter.dcm",  # a marker inside the code stream
        "MR_truncated.dcm",
        "badVR.dcm",  # 1A frames
        "empty_charset_LEI.dcm",  # neither a class nor a modality
        "meta_missing_tsyntax.dcm",
        "nested_priv_SQ.dcm",  # pixels without a size
        "no_meta.dcm",  # begins with a blank
        "rtplan_truncated.dcm",
    }


async def test_a_copy_shows_what_the_original_shows() -> None:
    for name in ("693_J2KI", "examples_ybr_color", "liver_expb_1frame", "rtdose_rle", "image_dfl"):
        content = carried(f"{name}.dcm")
        _, copy, _ = await cleaned(content)
        frames = dicom.frame_count(dicom.read(io.BytesIO(content)))
        for frame in {0, frames // 2, frames - 1}:
            first = shown(content, frame).astype(int)
            assert numpy.abs(first - shown(copy, frame)).max() <= 1, name


@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI",
        "examples_palette",
        "examples_ybr_color",
        "SC_rgb_rle_16bit_2frame",
        "MR_small_expb",
    ],
)
async def test_what_is_blacked_out_is_black_in_every_frame_and_nothing_else_is(name: str) -> None:
    content = carried(f"{name}.dcm")
    box = Box(left=3, top=2, right=30, bottom=12)
    _, copy, report = await cleaned(content, box)
    assert report.regions == [box]
    before, after = (dicom.read(io.BytesIO(each)) for each in (content, copy))
    for frame in range(dicom.frame_count(before)):
        old, new = rendering.decoded(before, frame), rendering.decoded(after, frame)
        seen = rendering.rendered(after, new, frame)[2:12, 3:30]
        assert seen.max() == seen.min() <= rendering.rendered(before, old, frame).min() + 1
        inside = numpy.zeros(old.shape[:2], bool)
        inside[2:12, 3:30] = True
        assert (old[~inside] == new[~inside]).all()


async def test_metadata_are_in_fhirs_and_dicoms_words() -> None:
    async with opened(a_scan(BodyPartExamined="CHEST", PixelSpacing=[0.5, 0.5])) as picture:
        found = (await picture.examine()).metadata
    assert (found.kind, found.modality, found.body_site) == ("dicom", "CT", "CHEST")
    assert found.sop_class == "CT Image Storage"
    assert found.study_date == date(2026, 2, 14)
    assert found.acquisition_time == datetime(2026, 2, 14, 10, 15)  # noqa: DTZ001
    assert found.pixel_spacing == [0.5, 0.5]
    assert (found.rows, found.columns, found.frame_count) == (384, 512, 1)
    assert found.transfer_syntax == "Explicit VR Little Endian"


async def test_names_come_in_every_character_set() -> None:
    names = {}
    for path in sorted(CARRIED.rglob("chr*.dcm")):
        async with opened(path.read_bytes()) as picture:
            names[path.name] = (await picture.examine()).patient.get("name", "")
    assert names["chrRuss.dcm"] == "Люкceмбypг"
    assert names["chrH31.dcm"].startswith("Yamada^Tarou=山田^太郎")
    assert names["chrArab.dcm"] == "قباني^لنزار"
    assert all(names[name] for name in names if "SQ" not in name)


async def test_pixels_that_are_not_square_are_shown_as_they_are() -> None:
    async with opened(a_scan(PixelSpacing=[1.0, 0.5])) as picture:
        preview = (await picture.examine()).renditions[Rendition.PREVIEW]
    assert Image.open(io.BytesIO(preview)).size == (512, 768)


def _window(centre: float, width: float, **more: Any) -> Any:
    ramp = Image.fromarray(numpy.arange(256, dtype="uint8").reshape(1, 256).repeat(16, 0))
    return shown(a_scan(ramp, WindowCenter=centre, WindowWidth=width, **more))[0]


def test_a_window_is_the_standards() -> None:
    """PS3.3 C.11.2.1.2.1: linear from c - 0.5 - (w-1)/2 to c - 0.5 + (w-1)/2."""
    row = _window(128, 101).astype(int)
    assert (row[77], row[178]) == (0, 255)
    assert 126 <= row[127] <= 129
    exact = _window(128, 100, VOILUTFunction="LINEAR_EXACT").astype(int)
    assert (exact[78], exact[178]) == (0, 255)
    sigmoid = _window(128, 100, VOILUTFunction="SIGMOID").astype(int)
    assert 127 <= sigmoid[128] <= 128
    assert sigmoid[255] > 250


def test_white_is_low_where_the_file_says_so() -> None:
    row = _window(128, 256, PhotometricInterpretation="MONOCHROME1").astype(int)
    assert row[0] > 250 > 5 > row[255]


def test_padding_is_no_part_of_the_picture() -> None:
    values = numpy.full((16, 16), 100, "uint8")
    values[:8] = 0
    values[8, 0] = 110
    seen = shown(a_scan(Image.fromarray(values), PixelPaddingValue=0))
    assert (seen[:8] == 0).all()
    assert seen[8, 0] == 255  # of what is left, the lightest


# ---------------------------------------------------------------- hostile files


def bomb(size: int) -> bytes:
    """A deflated file that unpacks to so many zeros."""
    return _deflated(bytes(size))


def _deflated(plain: bytes) -> bytes:
    content = a_scan()
    data = pydicom.dcmread(io.BytesIO(content))
    meta = io.BytesIO()
    data.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1.99")
    data.save_as(meta, enforce_file_format=True)
    whole = meta.getvalue()
    length = 128 + 4 + 12 + int.from_bytes(whole[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return whole[:length] + packer.compress(plain) + packer.flush()


def _nested(depth: int) -> bytes:
    inner = Dataset()
    inner.PatientComments = "x"
    for _ in range(depth):
        outer = Dataset()
        outer.RequestAttributesSequence = Sequence([inner])
        inner = outer
    return a_scan(RequestAttributesSequence=inner.RequestAttributesSequence)


async def test_p33_what_unpacks_without_end_is_refused() -> None:
    assert await refusal(bomb(400 << 20)) is Reason.BOMB


async def test_p33_what_is_nested_without_end_is_refused() -> None:
    assert await refusal(_nested(40)) is Reason.NESTED_TOO_DEEP


async def test_p33_a_sequence_that_only_opens_is_refused() -> None:
    endless = bytes.fromhex("4000750253510000ffffffff") + bytes.fromhex("feff00e0ffffffff")
    content = a_scan()
    place = content.index(b"\x28\x00\x02\x00")
    assert await refusal(content[:place] + endless * 50_000) in (
        Reason.NESTED_TOO_DEEP,
        Reason.TRUNCATED,
        Reason.UNREADABLE_IMAGE,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(a_scan()[:-1000], Reason.TRUNCATED, id="a scan that ends early"),
        pytest.param(a_scan(Rows=40_000, Columns=40_000), Reason.TOO_MANY_PIXELS, id="declared"),
        pytest.param(a_scan(NumberOfFrames=65_000), Reason.TOO_MANY_PIXELS, id="frames"),
        pytest.param(a_scan(Rows=0), Reason.UNREADABLE_IMAGE, id="no rows"),
        pytest.param(a_scan(SamplesPerPixel=7), Reason.UNREADABLE_IMAGE, id="seven colours"),
        pytest.param(a_photo()[:-100], Reason.TRUNCATED, id="a photo that ends early"),
        pytest.param(a_photo(format="JPEG")[:-2000], Reason.TRUNCATED, id="half a JPEG"),
        pytest.param(a_photo()[:60] + b"\xff" * 500, Reason.TRUNCATED, id="noise"),
    ],
)
async def test_p33_a_lie_is_refused_with_its_reason(content: bytes, reason: Reason) -> None:
    assert await refusal(content) is reason


async def test_p33_a_small_picture_of_many_pixels_is_refused() -> None:
    into = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(into, "PNG")
    assert len(into.getvalue()) < 100_000
    assert await refusal(into.getvalue()) is Reason.TOO_MANY_PIXELS


async def test_p33_a_decoder_that_panics_ends_nothing() -> None:
    """One that is written in Rust does so where a run of an RLE segment is longer than the frame."""
    data = pydicom.dcmread(io.BytesIO(carried("SC_rgb_rle_16bit.dcm")))
    (frame,) = generate_frames(data.PixelData, number_of_frames=1)
    last = struct.unpack_from("<16L", frame)[6]
    runs = (b"\x7f" + bytes(128)) * 78 + b"\x12" + bytes(19)
    data.PixelData = pydicom.encaps.encapsulate([frame[:last] + runs])
    into = io.BytesIO()
    data.save_as(into)
    async with opened(into.getvalue()) as picture:
        for _ in range(2):  # the process is still there
            with pytest.raises(NotTaken) as refused:
                await picture.examine()
            assert refused.value.reason is Reason.UNREADABLE_IMAGE


async def test_a_video_is_told_from_what_is_damaged() -> None:
    data = pydicom.dcmread(io.BytesIO(a_scan()))
    data.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    data.PixelData = pydicom.encaps.encapsulate([b"\0\0\1\xb3" * 10])
    data["PixelData"].VR = "OB"
    into = io.BytesIO()
    data.save_as(into, enforce_file_format=True)
    assert await refusal(into.getvalue()) is Reason.VIDEO


# ---------------------------------------------------------------- without identifiers


def _identified() -> bytes:
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3.4.5"
    inner.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    private = a_scan(
        AccessionNumber="ACC-99",
        InstitutionName="St. Canary Hospital",
        ReferringPhysicianName="Schmidt^Anna",
        PatientAddress="1 Canary Street",
        SeriesDescription="Thorax of María García",
        ImageComments="called García at 555-0100",
        StudyTime="101500",
        AcquisitionDateTime="20260214101530.5",
        OtherPatientIDs="A1",
        ReferencedImageSequence=Sequence([inner]),
        ContentCreatorName="Schmidt^Anna",
        ProtocolName="Thorax",
        KVP="120",
    )
    data = pydicom.dcmread(io.BytesIO(private))
    block = data.private_block(0x0011, "CANARY", create=True)
    block.add_new(1, "LO", "García")
    into = io.BytesIO()
    data.save_as(into, enforce_file_format=True)
    return into.getvalue()


async def test_p34_no_identifier_is_left_in_the_attributes(figure: Any) -> None:
    _, copy, report = await cleaned(_identified())
    for word in ("Garc", "María", "4471882", "ACC-99", "Canary", "CANARY", "Schmidt", "19840312"):
        assert word.encode() not in copy
        assert word.encode("latin-1", "ignore") not in copy
    data = pydicom.dcmread(io.BytesIO(copy))
    assert data.PatientIdentityRemoved == "YES"
    assert data.BurnedInAnnotation == "NO"
    assert [code.CodeValue for code in data.DeidentificationMethodCodeSequence] == [
        "113100",
        "113101",
        "113107",
    ]
    assert str(data.PatientName) == data.PatientID == ALIAS.name
    assert not [element for element in data.iterall() if element.tag.is_private]
    assert report.private_count == 2
    assert data.KVP == 120  # what does not identify stays
    assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID


async def test_p34_the_same_becomes_the_same_and_times_keep_their_distances() -> None:
    study = "1.2.826.0.1.3680043.8.498.1"
    first, second = [
        pydicom.dcmread(
            io.BytesIO((await cleaned(a_scan(StudyInstanceUID=study, StudyDate=day)))[1])
        )
        for day in ("20260214", "20260301")
    ]
    assert first.StudyInstanceUID == second.StudyInstanceUID == ALIAS.uid(study) != study
    assert first.SOPInstanceUID != second.SOPInstanceUID
    days = [datetime.strptime(each.StudyDate, "%Y%m%d") for each in (first, second)]  # noqa: DTZ007
    assert (days[1] - days[0]).days == 15
    moved = days[0] - datetime(2026, 2, 14)  # noqa: DTZ001
    assert moved.days == ALIAS.shift_days < 0
    assert first.StudyTime == "101500"
    another = Alias(bytes(32))
    assert another.uid(study) != ALIAS.uid(study)
    assert len(ALIAS.uid(study)) <= 64


async def test_p34_every_attribute_of_an_independent_table_is_treated(figure: Any) -> None:
    """The table that the package dicom-anonymizer carries names what must not stay as it is."""
    for edition in ("2023", "2024b", "2026c"):
        table = dicom_anonymization_database_selector(f"dicomfields_{edition}")
        named = {tag for tag in table["ALL_TAGS"] if len(tag) == 2}
        missing = [tag for tag in named if action_of(pydicom.tag.Tag(tag)) is None]
        share = 1 - len(missing) / len(named)
        figure(f"tag coverage {edition} %", f"{100 * share:.1f}")
        assert len(named) > 400
        assert not missing


async def test_p34_a_document_is_not_cleaned_and_so_not_shared() -> None:
    content = a_scan(
        EncapsulatedDocument=b"%PDF-1.4 Garcia", MIMETypeOfEncapsulatedDocument="application/pdf"
    )
    data = pydicom.dcmread(io.BytesIO(content))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(data, keyword)
    into = io.BytesIO()
    data.save_as(into, enforce_file_format=True)
    kind, copy, report = await cleaned(into.getvalue())
    assert (kind, copy, report.status) == ("", b"", Deidentification.DOCUMENT)


async def test_p34_a_photograph_keeps_its_pixels_only() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Canary Camera"
    exif[0x0132] = "2026:02:14 10:15:00"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    exif[0x0112] = 6  # turned by a quarter
    content = a_photo("x", format="JPEG", exif=exif)
    assert b"Canary" in content
    async with opened(content) as picture:
        examined = await picture.examine()
    assert examined.metadata.manufacturer == "Canary Camera"
    assert {"GPSLatitude", "DateTime", "Make"} <= set(examined.identifying)
    kind, copy, report = await cleaned(content)
    image = Image.open(io.BytesIO(copy))
    assert (kind, image.size) == ("image/png", (384, 512))  # upright
    assert not image.getexif()
    assert b"Canary" not in copy
    assert {tag.keyword for tag in report.tags} == set(examined.identifying)


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("1", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("I;16", "PNG"),
        ("CMYK", "TIFF"),
        ("F", "TIFF"),
        ("L", "WEBP"),
    ],
)
async def test_photographs_of_every_mode_are_shown_and_copied(mode: str, format: str) -> None:
    plain = a_picture("text")
    image = (
        Image.fromarray(numpy.asarray(plain).astype("uint16") * 200)
        if mode == "I;16"
        else plain.convert("RGB").convert(mode)
        if mode in ("RGBA", "CMYK", "P")
        else plain.convert(mode)
    )
    into = io.BytesIO()
    image.save(into, format)
    async with opened(into.getvalue()) as picture:
        preview = (await picture.examine()).renditions[Rendition.PREVIEW]
        assert numpy.asarray(Image.open(io.BytesIO(preview)).convert("L")).std() > 5
        parts = [
            part async for part in picture.cleaned([Box(left=0, top=0, right=9, bottom=9)], ALIAS)
        ]
    copy = Image.open(io.BytesIO(b"".join(parts[1:])))
    assert copy.size == plain.size
    assert numpy.asarray(copy)[:9, :9].max() == 0


async def test_pages_of_a_scan_are_frames() -> None:
    pages = [a_picture(f"page {number}") for number in range(3)]
    into = io.BytesIO()
    pages[0].save(into, "TIFF", save_all=True, append_images=pages[1:])
    async with opened(into.getvalue()) as picture:
        examined = await picture.examine()
        assert examined.metadata.frame_count == 3
        assert Rendition.CONTACT_SHEET in examined.renditions
        read = [each async for each in picture.readable([])]
        assert [each.frame for each in read] == [0, 1, 2]
        assert [each.frame for each in read if each.is_middle] == [1]
    kind, copy, _ = await cleaned(into.getvalue(), Box(left=0, top=0, right=500, bottom=80))
    image = Image.open(io.BytesIO(copy))
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    assert (kind, image.n_frames) == ("image/tiff", 3)
    for page in range(3):
        image.seek(page)
        assert numpy.asarray(image)[:80, :500].max() == 0


async def test_of_many_frames_the_brightest_and_the_darkest_are_read_together() -> None:
    data = pydicom.dcmread(io.BytesIO(carried("examples_ybr_color.dcm")))
    assert data.NumberOfFrames == 30
    async with opened(carried("examples_ybr_color.dcm")) as picture:
        read = [each async for each in picture.readable([])]
    assert next(each.frame for each in read if each.frame is not None) == 0
    assert sum(each.frame is None for each in read) == 2
    assert sum(each.is_middle for each in read) == 1


async def test_p34_pages_of_every_size_are_read() -> None:
    """Also those that are not among the ones read by themselves: here more sizes than are kept apart."""
    pages = [a_picture(size=(300 + 4 * (n // 2), 200)) for n in range(41)]
    pages[1] = a_picture("GARCIA MARIA", size=(300, 200))
    pages[38] = a_picture("GARCIA MARIA", size=(376, 200)).convert("RGB")
    into = io.BytesIO()
    pages[0].save(into, "TIFF", save_all=True, append_images=pages[1:])
    async with opened(into.getvalue()) as picture:
        read = [each async for each in picture.readable([])]
    assert not {1, 38} & {each.frame for each in read}
    found = [Image.open(io.BytesIO(each.png)).size for each in read if each.lettering]
    assert (300, 200) in found
    assert any(wide >= 376 for wide, _ in found)


async def test_quality_is_measured() -> None:
    async def of(image: Image.Image) -> Any:
        async with opened(a_scan(image, WindowCenter=128, WindowWidth=256)) as picture:
            return (await picture.examine()).quality

    dark, light = await of(Image.new("L", (64, 64), 10)), await of(Image.new("L", (64, 64), 240))
    assert dark.exposure < 0.1 < 0.9 < light.exposure
    sharp = numpy.indices((64, 64)).sum(0) % 2 * 255
    checked = await of(Image.fromarray(sharp.astype("uint8")))
    assert checked.clipped > 0.9
    assert checked.sharpness > 1000 > dark.sharpness
    assert checked.contrast > 0.9 > dark.contrast


def test_the_package_carries_what_is_promised() -> None:
    assert len(FILES) >= 95
    assert len(list(Path(CARRIED).rglob("chr*.dcm"))) == 17
