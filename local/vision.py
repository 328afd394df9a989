"""A stand-in for Cloud Vision: its own protocol, version 1, with tesseract's English eyes.

python -m local.vision <port> <eng.traineddata.gz> <folder to unpack it in>

It knows `BatchAnnotateImages` with the features TEXT_DETECTION,
DOCUMENT_TEXT_DETECTION, LABEL_DETECTION, SAFE_SEARCH_DETECTION and
IMAGE_PROPERTIES, of images that come with the request. Text and colours are
found in the pixels. Labels say only what pixels alone tell (dark, light,
colourful, has text), never what is shown; safe search knows nothing, and says
so. Refused as the real one refuses: more than 16 images, images of over 20 MB or
75 megapixels or that are none, other features.

A test can have it fail, by a call to `/healthhub.dev.Faults/Set` with JSON:

    {"BatchAnnotateImages": "fail"}     until {};  with "share": 0.01, one call in a hundred

    fail     UNAVAILABLE               refuse   INVALID_ARGUMENT
    busy     RESOURCE_EXHAUSTED        stall    no answer for a minute
    partial  each image's own answer is an error
    garbage  an answer for fewer images, with words that lie nowhere
    blind    finds no text             lasting  finds text that nothing removes
"""

import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
from google.cloud.vision_v1 import types
from PIL import Image

from local.faults import Faults, set_by
from local.grpc_stand_in import FAULTS, start
from local.vision_text import Eyes, Word, shares

_MOST_IMAGES = 16
_MOST_BYTES = 20 * 1024 * 1024
_MOST_PIXELS = 75_000_000
_MOST_MESSAGE = 64 << 20

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_KNOWN = {
    "TEXT_DETECTION",
    "DOCUMENT_TEXT_DETECTION",
    "LABEL_DETECTION",
    "SAFE_SEARCH_DETECTION",
    "IMAGE_PROPERTIES",
}
_LASTING = Word("RESIDUAL", 0.9, 2, 2, 40, 12, 1)


class BadImage(Exception):
    """What is wrong with one image; the others are answered."""


class Vision:
    def __init__(self, eyes: Eyes) -> None:
        self.faults = Faults()
        self._eyes = eyes

    def annotate(self, request: Any, context: grpc.ServicerContext) -> Any:
        fault = self.faults.meet("BatchAnnotateImages")
        if fault in FAULTS:
            context.abort(*FAULTS[fault])
        if fault == "stall":
            gone = threading.Event()
            if context.add_callback(gone.set):
                gone.wait(60)
        if not 1 <= len(request.requests) <= _MOST_IMAGES:
            context.abort(_INVALID, f"Between 1 and {_MOST_IMAGES} images are taken.")
        for each in request.requests:
            kinds = {types.Feature.Type(feature.type_).name for feature in each.features}
            if not kinds or kinds - _KNOWN:
                context.abort(_INVALID, f"Features {sorted(kinds - _KNOWN)} are not known here.")
        answers = [self._answer(each, fault or "") for each in request.requests]
        if fault == "garbage":
            answers = answers[1:]
        found = types.BatchAnnotateImagesResponse(responses=answers)
        return types.BatchAnnotateImagesResponse.pb(found)

    def _answer(self, request: Any, fault: str) -> types.AnnotateImageResponse:
        if fault == "partial":
            return _error(14, "The service is currently unavailable.")
        try:
            image = _opened(request.image)
        except BadImage as error:
            return _error(3, str(error))
        answer = types.AnnotateImageResponse()
        kinds = {types.Feature.Type(feature.type_).name: feature for feature in request.features}
        told: dict[str, list[Word]] = {"blind": [], "lasting": [_LASTING]}
        if {"TEXT_DETECTION", "DOCUMENT_TEXT_DETECTION"} & set(kinds):
            found = told[fault] if fault in told else self._eyes.read(image)
            _put_text(answer, found, image, is_garbage=fault == "garbage")
        if "LABEL_DETECTION" in kinds:
            most = kinds["LABEL_DETECTION"].max_results or 10
            answer.label_annotations = _labels(image)[:most]
        if "SAFE_SEARCH_DETECTION" in kinds:
            answer.safe_search_annotation = types.SafeSearchAnnotation()
        if "IMAGE_PROPERTIES" in kinds:
            answer.image_properties_annotation = _properties(image)
        return answer

    def set_faults(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return set_by(self.faults, request)
        except (ValueError, TypeError) as error:
            context.abort(_INVALID, f"Not a JSON object: {error}")
            raise AssertionError("unreachable") from error


def _error(code: int, message: str) -> types.AnnotateImageResponse:
    return types.AnnotateImageResponse(error={"code": code, "message": message})


def _opened(given: Any) -> Image.Image:
    if not given.content:
        raise BadImage("Image content is empty; images by address are not known here.")
    if len(given.content) > _MOST_BYTES:
        raise BadImage("Request size limit is exceeded.")
    try:
        image = Image.open(BytesIO(given.content))
        if image.width * image.height > _MOST_PIXELS:
            raise BadImage("Image has too many pixels.")
        return image.convert("RGB")
    except BadImage:
        raise
    except Exception:  # noqa: BLE001 - whatever the bytes do to the library
        raise BadImage("Bad image data.") from None


def _polygon(word: Word) -> dict[str, Any]:
    corners = [
        (word.left, word.top),
        (word.right, word.top),
        (word.right, word.bottom),
        (word.left, word.bottom),
    ]
    return {"vertices": [{"x": x, "y": y} for x, y in corners]}


def _put_text(
    answer: types.AnnotateImageResponse, words: list[Word], image: Image.Image, *, is_garbage: bool
) -> None:
    if not words:
        return
    lines: dict[int, list[Word]] = {}
    for word in words:
        lines.setdefault(word.line, []).append(word)
    text = "\n".join(" ".join(word.text for word in line) for line in lines.values())
    whole = Word(
        text,
        1,
        min(word.left for word in words),
        min(word.top for word in words),
        max(word.right for word in words),
        max(word.bottom for word in words),
        0,
    )
    answer.text_annotations = [
        types.EntityAnnotation(
            description=each.text, bounding_poly={} if is_garbage else _polygon(each)
        )
        for each in (whole, *words)
    ]
    blocks = [
        {
            "block_type": "TEXT",
            "paragraphs": [{"words": [_word(word, is_garbage) for word in line]}],
        }
        for line in lines.values()
    ]
    page = {"width": image.width, "height": image.height, "blocks": blocks}
    answer.full_text_annotation = types.TextAnnotation(pages=[page], text=text)


def _word(word: Word, is_garbage: bool) -> dict[str, Any]:
    return {
        "bounding_box": {} if is_garbage else _polygon(word),
        "confidence": word.confidence,
        "symbols": [{"text": letter, "confidence": word.confidence} for letter in word.text],
    }


def _labels(image: Image.Image) -> list[Any]:
    names = {"dark": "Darkness", "light": "White", "colour": "Colorfulness"}
    found = [(share, names[kind]) for kind, share in shares(image).items() if share > 0.5]
    if shares(image)["colour"] < 0.02:
        found.append((0.98, "Monochrome"))
    return [
        types.EntityAnnotation(description=name, score=score, topicality=score)
        for score, name in sorted(found, reverse=True)
    ]


def _properties(image: Image.Image) -> types.ImageProperties:
    small = image.resize((64, 64)).quantize(8).convert("RGB")
    counted = sorted(small.getcolors(4096) or [], reverse=True)
    colors = [
        {
            "color": dict(zip(("red", "green", "blue"), color, strict=True)),
            "score": count / 4096,
            "pixel_fraction": count / 4096,
        }
        for count, color in counted
        if isinstance(color, tuple)
    ]
    return types.ImageProperties(dominant_colors={"colors": colors})


def serve(port: int, traineddata: Path, folder: Path) -> grpc.Server:
    vision = Vision(Eyes(traineddata, folder))
    request = types.BatchAnnotateImagesRequest.pb()
    services = {
        "google.cloud.vision.v1.ImageAnnotator": {
            "BatchAnnotateImages": grpc.unary_unary_rpc_method_handler(
                vision.annotate,
                request_deserializer=request.FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
        },
        "healthhub.dev.Faults": {"Set": grpc.unary_unary_rpc_method_handler(vision.set_faults)},
    }
    return start(services, port, threads=4, most_bytes=_MOST_MESSAGE)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])).wait_for_termination()
