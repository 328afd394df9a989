"""What looks like lettering in a picture, whether or not anybody can read it; and what lies beside an ultrasound."""

import io
import time
from typing import Any

import numpy
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from common import burnt_in, dicom, lettering, rendering, vision
from common.imaging import Box
from common.pictures import Readable
from common.vision import Word
from tests.pictured import a_picture, a_scan, carried, opened


def covered(boxes: list[Box], shape: tuple[int, ...]) -> Any:
    mask = numpy.zeros(shape[:2], bool)
    for box in boxes:
        mask[box.top : box.bottom, box.left : box.right] = True
    return mask


def written(text: str, size: int, tone: int, ground: Any) -> tuple[Any, Any]:
    """A picture with this text, and where its ink is."""
    layer = Image.new("L", (ground.shape[1], ground.shape[0]))
    ImageDraw.Draw(layer).text((40, 60), text, font=ImageFont.load_default(size), fill=255)
    ink = numpy.asarray(layer) > 128
    picture = ground.copy()
    picture[ink] = tone
    return picture, ink


def _noise() -> Any:
    return numpy.random.default_rng(3).integers(0, 60, (256, 384)).astype("uint8")


def _shade() -> Any:
    return (numpy.add.outer(numpy.arange(256), numpy.arange(384)) // 4).astype("uint8")


@pytest.mark.parametrize("size", [10, 16, 32])
@pytest.mark.parametrize(
    ("ground", "tone"),
    [
        pytest.param(numpy.zeros((256, 384), "uint8"), 255, id="white on black"),
        pytest.param(numpy.full((256, 384), 220, "uint8"), 30, id="black on light grey"),
        pytest.param(_noise(), 200, id="in noise"),
        pytest.param(_shade(), 250, id="on a shade"),
    ],
)
def test_p34_rows_of_letters_are_found_on_any_ground(size: int, ground: Any, tone: int) -> None:
    picture, ink = written("GARCIA^MARIA 1984", size, tone, ground)
    found = covered(lettering.find(picture, []), picture.shape)
    assert found[ink].mean() > 0.95
    assert found.mean() < 0.35


def test_p34_coloured_letters_are_found() -> None:
    picture, ink = written("MRN 4471882", 20, 1, numpy.zeros((256, 384), "uint8"))
    colours = numpy.stack([picture * 200, picture * 180, picture * 0], axis=-1)
    assert covered(lettering.find(colours, []), colours.shape)[ink].mean() > 0.95


def test_a_word_that_runs_into_bone_looks_like_those_that_are_whole() -> None:
    ground = numpy.zeros((256, 384), "uint8")
    ground[120:, 68:] = 240  # of the second row two letters are dark around
    picture, ink = written("GARCIA MARIA\n\n\nGARCIA", 20, 240, ground)
    seen = ink & (ground != 240)
    assert covered(lettering.find(picture, []), picture.shape)[seen].mean() > 0.9


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "693_J2KI.dcm", "JPEG2000.dcm"]
)
def test_organs_are_no_letters(name: str) -> None:
    data = dicom.read(io.BytesIO(carried(name)))
    shown = rendering.rendered(data, rendering.decoded(data, 0))
    assert lettering.find(shown, []) == []


def test_what_is_black_already_is_not_found_again() -> None:
    picture, _ = written("GARCIA", 20, 255, numpy.full((256, 384), 90, "uint8"))
    boxes = lettering.find(picture, [])
    for box in boxes:
        picture[box.top : box.bottom, box.left : box.right] = 0
    assert boxes
    assert lettering.find(picture, boxes) == []


def test_large_letters_are_found_in_a_large_picture() -> None:
    layer = Image.new("L", (2048, 2048), 30)
    ImageDraw.Draw(layer).text(
        (100, 100), "GARCIA^MARIA", font=ImageFont.load_default(110), fill=230
    )
    picture = numpy.asarray(layer)
    assert covered(lettering.find(picture, []), picture.shape)[picture > 200].mean() > 0.9


@pytest.mark.parametrize(
    "shown",
    [
        numpy.zeros((1, 1), "uint8"),
        numpy.full((3, 900), 7, "uint8"),
        numpy.random.default_rng(1).integers(0, 256, (300, 300)).astype("uint8"),
        numpy.zeros((40, 40, 3), "uint8"),
    ],
    ids=["a pixel", "a strip", "static", "black in colour"],
)
def test_pictures_without_anything_are_no_trouble(shown: Any) -> None:
    assert covered(lettering.find(shown, []), shown.shape).mean() < 0.05


async def test_p34_markers_of_side_are_too_short_to_be_lettering() -> None:
    async with opened(a_scan(a_picture("L", "R"), WindowCenter=128, WindowWidth=256)) as picture:
        (frame,) = [each async for each in picture.readable([])]
    assert frame.lettering == []


async def test_lettering_is_told_in_pixels_of_a_tall_frame() -> None:
    tall = Image.new("L", (109, 9000), 30)
    ImageDraw.Draw(tall).text((4, 8000), "GARCIA", font=ImageFont.load_default(26), fill=230)
    async with opened(a_scan(tall, WindowCenter=128, WindowWidth=256)) as picture:
        (frame,) = [each async for each in picture.readable([])]
    ink = numpy.asarray(tall) > 200
    assert frame.scale == 4096 / 9000
    assert covered(frame.lettering, ink.shape)[ink].mean() > 0.95


async def test_lettering_is_told_in_pixels_of_the_frame() -> None:
    wide = Image.new("L", (6000, 1200), 30)
    ImageDraw.Draw(wide).text((900, 600), "GARCIA", font=ImageFont.load_default(60), fill=230)
    async with opened(a_scan(wide, WindowCenter=128, WindowWidth=256)) as picture:
        (frame,) = [each async for each in picture.readable([])]
    assert frame.scale < 1
    ink = numpy.asarray(wide) > 200
    assert covered(frame.lettering, ink.shape)[ink].mean() > 0.95


# ---------------------------------------------------------------- beside an ultrasound


def _regions(*corners: tuple[int, int, int, int]) -> bytes:
    items = []
    for left, top, right, bottom in corners:
        item = Dataset()
        item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
        items.append(item)
    return a_scan(SequenceOfUltrasoundRegions=Sequence(items))


async def test_p34_what_lies_outside_of_ultrasound_regions_is_black() -> None:
    content = _regions((100, 80, 299, 279), (350, 80, 449, 179))
    async with opened(content) as picture:
        outside = (await picture.examine()).surroundings
    mask = covered(outside, (384, 512))
    inside = numpy.zeros((384, 512), bool)
    inside[80:280, 100:300] = inside[80:180, 350:450] = True
    assert (mask == ~inside).all()


@pytest.mark.parametrize("corners", [(), ((300, 80, 100, 279),), ((0, 0, 600, 100),)])
async def test_regions_that_are_none_are_left_alone(corners: Any) -> None:
    async with opened(_regions(*corners)) as picture:
        assert (await picture.examine()).surroundings == []


async def test_p34_regions_as_machines_write_them_are_known() -> None:
    """Too large by a pixel, and some empty: the others still say where the image is."""
    async with opened(_regions((100, 80, 512, 384), (0, 0, 0, 0))) as picture:
        outside = (await picture.examine()).surroundings
    inside = numpy.zeros((384, 512), bool)
    inside[80:, 100:] = True
    assert (covered(outside, (384, 512)) == ~inside).all()


def test_regions_of_a_real_ultrasound_are_known() -> None:
    data = pydicom.dcmread(io.BytesIO(carried("examples_ybr_color.dcm")))
    assert dicom.surroundings_of(data) == []  # scaled to half after they were written
    data.Rows, data.Columns = 480, 640
    boxes = dicom.surroundings_of(data)
    assert boxes
    (region,) = data.SequenceOfUltrasoundRegions
    x, y = region.RegionLocationMinX0, region.RegionLocationMinY0
    assert not any(b.left <= x < b.right and b.top <= y < b.bottom for b in boxes)


# ---------------------------------------------------------------- what becomes of rows


def _seen(*rows: Box, frame: int | None = 0) -> Readable:
    return Readable(b"", frame, 1.0, is_middle=False, lettering=list(rows))


def _word(text: str, box: Box, *, is_marker: bool = False) -> Word:
    return Word(text, None, box, 0, is_marker)


def test_p34_a_marker_of_side_saves_no_name_beside_it() -> None:
    marker = _word("R", Box(left=37, top=57, right=58, bottom=83), is_marker=True)
    row = Box(left=20, top=52, right=280, bottom=88)
    alone = Box(left=20, top=52, right=75, bottom=88)
    (rest,) = burnt_in._lettering([_seen(row)], [marker])
    assert (rest.left, rest.right) == (58, 280)
    assert burnt_in._lettering([_seen(alone)], [marker]) == []


def test_boxes_of_a_line_become_one_whatever_lies_between_them_in_order() -> None:
    line = [Box(left=40 * n, top=10 + n % 3, right=40 * n + 30, bottom=32) for n in range(9)]
    below = Box(left=0, top=60, right=30, bottom=80)
    low = Box(left=10, top=28, right=200, bottom=44)  # touches the line, and is another
    assert burnt_in._merged([below, *reversed(line), low, below]) == [
        Box(left=0, top=10, right=350, bottom=32),
        low,
        below,
    ]


def test_thousands_of_boxes_are_merged_in_no_time() -> None:
    boxes = [
        Box(
            left=60 * (n % 48),
            top=30 * (n // 48),
            right=60 * (n % 48) + 45,
            bottom=30 * (n // 48) + 20,
        )
        for n in range(3168)
    ]
    begin = time.process_time()
    assert len(burnt_in._merged(boxes)) == 66
    assert time.process_time() - begin < 1.5


def test_a_word_is_counted_once_in_however_many_frames_it_stands() -> None:
    boxes = [Box(left=10 + n, top=10, right=60 + n, bottom=30) for n in range(3)]
    far = Box(left=10, top=90, right=60, bottom=110)
    found = [_word("MARIA", box) for box in (*boxes, far)]
    marker = _word("R", far, is_marker=True)
    assert burnt_in.Reading(words=[*found, marker]).word_count() == 2


def test_pictures_that_are_large_together_are_sent_apart() -> None:
    large = Readable(bytes(18_000_000), 0, 1.0, is_middle=False)
    batches = list(vision._batches([large, large, *[_seen() for _ in range(5)]]))
    assert [len(each) for each in batches] == [1, 4, 2]
