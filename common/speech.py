"""Speech-to-Text v2: recognition is started on an object, and its result is another object.

https://cloud.google.com/speech-to-text/v2/docs/batch-recognize
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from common.clients import speech_client
from common.outside import Failed, Outside, Refused
from common.settings import settings
from common.storage import Bucket
from common.terms import phrase_hints
from common.transcripts import Segment, Word

_DEADLINE = 20.0
_MOST_SPEAKERS = 6
_PAUSE = 1.5
"""Seconds of silence after which a new segment begins, with the same speaker too."""
_SEGMENT_WORDS = 60
_SURE_ENOUGH = 0.15
"""Words of a result that the recogniser itself believes less are noise, not speech."""

LOOK_EVERY = timedelta(minutes=1)
"""How often the sweep asks how a recognition is doing."""

_speech = Outside("speech", deadline=_DEADLINE)


class Unreadable(Exception):
    """A result that is none, or only a part of one."""


@dataclass(frozen=True)
class Look:
    """How a recognition is doing."""

    is_done: bool
    percent: int = 0
    error: str | None = None
    """Its code, once it has failed."""


async def begin(audio: str, prefix: str, language: str) -> str:
    """Start recognising an object of the results bucket; returns the operation's name.

    What is recognised will lie below `prefix`, in the same bucket. Raises `Failed`, `Refused`.
    """
    request = {
        "recognizer": recognizer(),
        "config": config(language, is_diarized=True),
        "files": [{"uri": Bucket.RESULTS.uri(audio)}],
        "recognition_output_config": {"gcs_output_config": {"uri": Bucket.RESULTS.uri(prefix)}},
    }

    async def ask() -> str:
        answer = await asking(speech_client().batch_recognize(request=request, timeout=_DEADLINE))
        name = str(getattr(getattr(answer, "operation", None), "name", ""))
        if "/operations/" not in name:
            raise Failed("an answer that names no operation")
        return name

    return await _speech.call(ask)


def progress_of(percent: int) -> int:
    """Of the whole, when recognition has come so far: the checks before it were a fifth."""
    return 20 + int(percent * 0.7)


def recognizer() -> str:
    return f"projects/{settings().project_id}/locations/{settings().speech_location}/recognizers/_"


def config(language: str, *, is_diarized: bool) -> dict[str, Any]:
    features: dict[str, Any] = {
        "enable_word_time_offsets": True,
        "enable_word_confidence": True,
        "enable_automatic_punctuation": True,
    }
    if is_diarized:
        features["diarization_config"] = {
            "min_speaker_count": 1,
            "max_speaker_count": _MOST_SPEAKERS,
        }
    phrases = [{"value": phrase, "boost": 5.0} for phrase in phrase_hints()]
    return {
        "auto_decoding_config": {},
        "model": settings().speech_model,
        "language_codes": [language],
        "features": features,
        "adaptation": {"phrase_sets": [{"inline_phrase_set": {"phrases": phrases}}]},
    }


async def look(operation: str) -> Look:
    """Raises `Failed`; `Refused` when there is no such operation any more."""
    from google.longrunning import operations_pb2

    async def ask() -> Look:
        request = operations_pb2.GetOperationRequest(name=operation)
        found = await asking(speech_client().get_operation(request, timeout=_DEADLINE))
        if found.done and found.WhichOneof("result") == "error":
            return Look(True, error=str(found.error.code))
        return Look(bool(found.done), _percent(found))

    return await _speech.call(ask)


def _percent(operation: Any) -> int:
    from google.cloud.speech_v2.types import OperationMetadata

    metadata = OperationMetadata.pb()()
    operation.metadata.Unpack(metadata)
    return int(metadata.progress_percent)


async def asking(call: Any) -> Any:
    """The library's answer; its errors as ours."""
    from google.api_core import exceptions

    try:
        return await call
    except (
        exceptions.InvalidArgument,
        exceptions.NotFound,
        exceptions.FailedPrecondition,
        exceptions.OutOfRange,
    ) as error:
        raise Refused(type(error).__name__) from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
        raise Failed(type(error).__name__) from error


async def is_reachable() -> bool:
    """Whether it answers at all: for an operation that there is not."""
    try:
        await look(f"{recognizer().rsplit('/', 2)[0]}/operations/health")
    except Refused:
        return True
    except Failed:
        return False
    return True


# ---------------------------------------------------------------- results


def segments_of(raw: bytes) -> list[Segment]:
    """What a result file (`BatchRecognizeResults`, as JSON) says, in turns. Raises `Unreadable`.

    Empty when nothing was recognised.
    """
    try:
        results = json.loads(raw).get("results", [])
        spoken = [said for result in results for said in _spoken(result)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable from error
    return _turns(sorted(spoken, key=lambda said: said[1].start))


Spoken = tuple[str | None, Word]
"""Who, and what."""


def _spoken(result: Any) -> Iterable[Spoken]:
    alternatives = result.get("alternatives") or []
    if not alternatives:
        return []
    best = alternatives[0]
    words = [
        (
            str(word.get("speakerLabel") or "") or None,
            Word(
                text=str(word["word"]),
                start=seconds(word.get("startOffset", "0s")),
                end=seconds(word.get("endOffset", word.get("startOffset", "0s"))),
                confidence=word.get("confidence"),
            ),
        )
        for word in best.get("words") or []
    ]
    if words:
        return words if _is_believed(words) else []
    text = str(best.get("transcript", "")).strip()
    end = seconds(result.get("resultEndOffset", "0s"))
    return [(None, Word(text=text, start=end, end=end))] if text else []


def _is_believed(words: Sequence[Spoken]) -> bool:
    known = [word.confidence for _, word in words if word.confidence]
    return not known or sum(known) / len(known) >= _SURE_ENOUGH


def seconds(offset: str) -> float:
    """Protobuf's JSON form of a duration: `1.200s`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", offset)
    if not found:
        raise ValueError("no duration")
    return round(float(found[1]), 3)


def _turns(spoken: Sequence[Spoken]) -> list[Segment]:
    segments: list[Segment] = []
    words: list[Word] = []
    for position, (speaker, word) in enumerate(spoken):
        words.append(word)
        following = spoken[position + 1] if position + 1 < len(spoken) else None
        if following is None or _is_end(speaker, words, following):
            segments.append(segment(f"s{len(segments) + 1}", speaker, words))
            words = []
    return segments


def _is_end(speaker: str | None, words: Sequence[Word], following: Spoken) -> bool:
    next_speaker, next_word = following
    if next_speaker != speaker or next_word.start - words[-1].end > _PAUSE:
        return True
    ends_sentence = words[-1].text[-1:] in ".?!"
    return (ends_sentence and len(words) >= _SEGMENT_WORDS // 3) or len(words) >= _SEGMENT_WORDS


def segment(id: str, speaker: str | None, words: Sequence[Word]) -> Segment:
    known = [word.confidence for word in words if word.confidence is not None]
    return Segment(
        id=id,
        speaker=speaker,
        start=words[0].start,
        end=words[-1].end,
        text=" ".join(word.text for word in words),
        confidence=round(sum(known) / len(known), 3) if known else None,
        words=list(words),
    )
