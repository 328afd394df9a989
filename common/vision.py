"""Cloud Vision: the text in a picture, and what else it sees.

https://cloud.google.com/vision/docs/features-list
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.clients import vision_client
from common.imaging import Box, Label
from common.outside import Failed, Outside, Refused
from common.pictures import Readable

MODEL = "google-cloud-vision"
VERSION = "builtin/stable"
"""Of the model, as the request names it."""

_DEADLINE = 60.0
_ATTEMPTS = 2
_AT_ONCE = 4
"""Pictures in a request: 16 may be, but only 41 MB together."""
_MOST_BYTES = 30_000_000
"""Of pictures in a request: in base64 they are a third longer. No single one is larger (`picture.READ_BYTES`)."""
_MOST_LABELS = 20
_MARGIN = 3
"""Pixels around a word that belong to it: letters are wider than their boxes."""
_MARKERS = frozenset(("L", "R", "LT", "RT", "LEFT", "RIGHT"))
"""Of the side, alone in their line: what a radiographer sets beside the body; without them an image can harm."""

_vision = Outside("vision", deadline=_DEADLINE * _ATTEMPTS, attempts=_ATTEMPTS)


@dataclass(frozen=True)
class Word:
    text: str
    confidence: float | None
    box: Box
    """In pixels of the frame."""
    frame: int | None
    is_marker: bool = False


@dataclass(frozen=True)
class Seen:
    """What is in a picture besides text."""

    labels: list[Label] = field(default_factory=list)
    safe_search: dict[str, str] = field(default_factory=dict)
    dominant_colors: list[str] = field(default_factory=list)


async def read(pictures: Sequence[Readable]) -> list[Word]:
    """Every word in these pictures, where it is. Raises `Failed`, `Refused`."""
    found: list[Word] = []
    for some in _batches(pictures):
        answers = await _annotated([each.png for each in some], ["DOCUMENT_TEXT_DETECTION"])
        for picture, answer in zip(some, answers, strict=True):
            found += _words(answer, picture)
    return found


def _batches(pictures: Sequence[Readable]) -> Iterable[list[Readable]]:
    some: list[Readable] = []
    for each in pictures:
        size = sum(len(other.png) for other in some) + len(each.png)
        if some and (len(some) == _AT_ONCE or size > _MOST_BYTES):
            yield some
            some = []
        some.append(each)
    if some:
        yield some


async def look(png: bytes) -> Seen:
    """Raises `Failed`, `Refused`."""
    features = ["LABEL_DETECTION", "SAFE_SEARCH_DETECTION", "IMAGE_PROPERTIES"]
    (answer,) = await _annotated([png], features)
    found = answer.safe_search_annotation
    kinds = ("adult", "spoof", "medical", "violence", "racy")
    colors = answer.image_properties_annotation.dominant_colors.colors
    return Seen(
        labels=[
            Label(description=each.description, score=round(each.score, 4))
            for each in answer.label_annotations
        ],
        safe_search={kind: getattr(found, kind).name.lower() for kind in kinds},
        dominant_colors=[_hex(each.color) for each in colors][:8],
    )


def _hex(color: Any) -> str:
    return f"#{int(color.red):02x}{int(color.green):02x}{int(color.blue):02x}"


async def _annotated(contents: Sequence[bytes], kinds: Sequence[str]) -> list[Any]:
    features = [{"type_": kind, "max_results": _MOST_LABELS, "model": VERSION} for kind in kinds]
    requests = [{"image": {"content": content}, "features": features} for content in contents]

    async def ask() -> list[Any]:
        answer = await _asked(requests)
        responses = list(answer.responses)
        if len(responses) != len(requests):
            raise Failed("not an answer for each picture")
        for response in responses:
            if response.error.code:
                # One that it can't read at all is the picture's fault; anything else may pass.
                raise Refused("bad image") if response.error.code == 3 else Failed("no answer")
        return responses

    return await _vision.call(ask)


async def _asked(requests: list[Any]) -> Any:
    from google.api_core import exceptions

    try:
        return await vision_client().batch_annotate_images(
            requests=requests, timeout=_DEADLINE, retry=None
        )
    except (exceptions.InvalidArgument, exceptions.PermissionDenied) as error:
        raise Refused(type(error).__name__) from error
    except exceptions.GoogleAPIError as error:
        raise Failed(type(error).__name__) from error


def _words(answer: Any, picture: Readable) -> Iterable[Word]:
    """Raises `Failed` for boxes that lie nowhere."""
    for page in answer.full_text_annotation.pages:
        for block in page.blocks:
            for paragraph in block.paragraphs:
                lines = [_text_of(word) for word in paragraph.words]
                is_alone = len(lines) == 1
                for word, text in zip(paragraph.words, lines, strict=True):
                    if not text.strip():
                        continue
                    marker = is_alone and re.sub(r"\W", "", text).upper() in _MARKERS
                    yield Word(
                        text=text,
                        confidence=round(word.confidence, 4) if word.confidence else None,
                        box=_box(word.bounding_box, picture.scale),
                        frame=picture.frame,
                        is_marker=marker,
                    )


def _text_of(word: Any) -> str:
    return "".join(symbol.text for symbol in word.symbols)


def _box(polygon: Any, scale: float) -> Box:
    corners = [(vertex.x / scale, vertex.y / scale) for vertex in polygon.vertices]
    if len(corners) < 3:
        raise Failed("a word that lies nowhere")
    across, down = zip(*corners, strict=True)
    box = Box(
        left=max(0, int(min(across)) - _MARGIN),
        top=max(0, int(min(down)) - _MARGIN),
        right=int(max(across)) + _MARGIN + 1,
        bottom=int(max(down)) + _MARGIN + 1,
    )
    if box.right <= box.left or box.bottom <= box.top:
        raise Failed("a word that lies nowhere")
    return box
