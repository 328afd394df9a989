"""The stand-in of Cloud Vision, asked by Google's own client: what other tests rely on."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import (
    ImageAnnotatorGrpcAsyncIOTransport,
)
from PIL import Image

from local.platform import Platform
from local.ports import HOST
from tests.pictured import a_photo, a_picture


@pytest.fixture
async def channel(platform: Platform) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"{HOST}:{platform.ports.vision}") as opened:
        yield opened


@pytest.fixture
def client(channel: grpc.aio.Channel) -> vision_v1.ImageAnnotatorAsyncClient:
    transport = ImageAnnotatorGrpcAsyncIOTransport(channel=channel)
    return vision_v1.ImageAnnotatorAsyncClient(transport=transport)


async def asked(
    client: vision_v1.ImageAnnotatorAsyncClient, *contents: bytes, features: tuple[str, ...]
) -> list[Any]:
    kinds = [{"type_": kind} for kind in features]
    requests: Any = [{"image": {"content": each}, "features": kinds} for each in contents]
    return list(
        (await client.batch_annotate_images(requests=requests, timeout=60, retry=None)).responses
    )


TEXT = ("DOCUMENT_TEXT_DETECTION",)


async def test_text_is_found_where_it_is(client: vision_v1.ImageAnnotatorAsyncClient) -> None:
    (answer,) = await asked(client, a_photo("HELLO WORLD", "SECOND LINE"), features=TEXT)
    words = [
        ("".join(symbol.text for symbol in word.symbols), word.bounding_box.vertices)
        for page in answer.full_text_annotation.pages
        for block in page.blocks
        for paragraph in block.paragraphs
        for word in paragraph.words
    ]
    assert [text for text, _ in words] == ["HELLO", "WORLD", "SECOND", "LINE"]
    left, top = words[0][1][0].x, words[0][1][0].y
    assert abs(left - 20) <= 4
    assert 20 <= top <= 32
    assert answer.text_annotations[0].description == "HELLO WORLD\nSECOND LINE"


@pytest.mark.parametrize("is_dark", [False, True])
async def test_light_and_dark_text_is_read(
    client: vision_v1.ImageAnnotatorAsyncClient, is_dark: bool
) -> None:
    image = a_picture("GARCIA", size=(300, 80), ground=0)
    if is_dark:
        image = Image.eval(image, lambda value: 255 - value)
    into = io.BytesIO()
    image.save(into, "PNG")
    (answer,) = await asked(client, into.getvalue(), features=TEXT)
    assert answer.full_text_annotation.text == "GARCIA"


async def test_a_picture_without_text_has_none(
    client: vision_v1.ImageAnnotatorAsyncClient,
) -> None:
    (answer,) = await asked(client, a_photo(), features=TEXT)
    assert not answer.text_annotations
    assert not answer.full_text_annotation.pages


async def test_labels_and_colours_tell_of_the_pixels_and_safe_search_nothing(
    client: vision_v1.ImageAnnotatorAsyncClient,
) -> None:
    kinds = ("LABEL_DETECTION", "SAFE_SEARCH_DETECTION", "IMAGE_PROPERTIES")
    (answer,) = await asked(client, a_photo(), features=kinds)
    assert {"Darkness", "Monochrome"} == {label.description for label in answer.label_annotations}
    assert answer.safe_search_annotation.adult.name == "UNKNOWN"
    (color,) = answer.image_properties_annotation.dominant_colors.colors
    assert (color.color.red, color.pixel_fraction) == (40, 1)


async def test_what_is_no_image_is_told_for_itself(
    client: vision_v1.ImageAnnotatorAsyncClient,
) -> None:
    answers = await asked(client, b"nothing", a_photo("FINE"), b"", features=TEXT)
    assert [answer.error.code for answer in answers] == [3, 0, 3]
    assert answers[1].full_text_annotation.text == "FINE"


async def test_what_the_real_one_does_not_take_is_refused(
    client: vision_v1.ImageAnnotatorAsyncClient,
) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        await asked(client, *[a_photo()] * 17, features=TEXT)
    with pytest.raises(exceptions.InvalidArgument):
        await asked(client, a_photo(), features=("FACE_DETECTION",))


async def test_it_fails_as_it_is_told(
    client: vision_v1.ImageAnnotatorAsyncClient, channel: grpc.aio.Channel
) -> None:
    tell = channel.unary_unary("/healthhub.dev.Faults/Set")
    try:
        await tell(json.dumps({"BatchAnnotateImages": "fail"}).encode())
        with pytest.raises(exceptions.ServiceUnavailable):
            await asked(client, a_photo("X"), features=TEXT)
        await tell(json.dumps({"BatchAnnotateImages": "blind"}).encode())
        (answer,) = await asked(client, a_photo("HELLO"), features=TEXT)
        assert not answer.text_annotations
        await tell(json.dumps({"BatchAnnotateImages": "partial"}).encode())
        assert (await asked(client, a_photo(), features=TEXT))[0].error.code == 14
        with pytest.raises(grpc.aio.AioRpcError):
            await tell(b"[1]")
    finally:
        await tell(b"{}")
