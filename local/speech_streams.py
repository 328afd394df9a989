"""StreamingRecognize, for the stand-in of Speech-to-Text in speech.py.

Interim results come every half second of speech; a final one at the pause that
ends an utterance. Times count from the start of the stream.
"""

from collections.abc import Iterator
from typing import Any

import grpc
from google.cloud.speech_v2.types import cloud_speech

from local.audio import RATE, Samples, Speech, Splitter, Undecodable, channels
from local.recognizer import Listener, Recogniser
from local.speech_answers import (
    Refused,
    alternative,
    billed,
    decoding_of,
    duration,
    language_of,
    separates,
)

_MOST_CHUNK = 25_600
_MOST_SECONDS = 300
_INVALID = grpc.StatusCode.INVALID_ARGUMENT


def recognize_stream(recogniser: Recogniser, requests: Iterator[Any]) -> Iterator[Any]:
    sent = _Sent(requests)
    settings = sent.settings()
    decoding = decoding_of(settings.recognizer, settings.streaming_config.config)
    ears: list[_Ear] = []
    count = 0
    try:
        for block in channels(sent, decoding):
            count += block.shape[1]
            if count > _MOST_SECONDS * RATE:
                message = "Exceeded maximum allowed stream duration of 5 minutes"
                raise Refused(grpc.StatusCode.ABORTED, message)
            if not ears:
                separate = separates(settings.streaming_config.config.features)
                tags = range(1, len(block) + 1) if separate else [0]
                ears = [_Ear(recogniser, settings.streaming_config, tag) for tag in tags]
            for ear, samples in zip(ears, block, strict=False):
                yield from ear.hear(samples)
            sent.check()
        sent.check()
        for ear in ears:
            yield from ear.end()
    except Undecodable:
        sent.check()
        raise
    finally:
        for ear in ears:
            ear.close()
    metadata = {"total_billed_duration": billed(count / RATE)}
    yield cloud_speech.StreamingRecognizeResponse.pb()(metadata=metadata)


class _Sent:
    """A stream's audio as a file: reading it waits for the next message."""

    def __init__(self, requests: Iterator[Any]) -> None:
        self._requests = requests
        self._rest = b""
        self._refused: Refused | None = None

    def settings(self) -> Any:
        first = next(self._requests, None)
        if first is None or not first.HasField("streaming_config"):
            raise Refused(_INVALID, "The first message must have a streaming_config")
        return first

    def read(self, size: int = _MOST_CHUNK, /) -> bytes:
        """FFmpeg takes no exceptions through its C: the end of the file, and then `check`."""
        while not self._rest and not self._refused:
            request = next(self._requests, None)
            if request is None:
                return b""
            self._take(request)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def _take(self, request: Any) -> None:
        if request.WhichOneof("streaming_request") != "audio":
            self._refused = Refused(_INVALID, "Every message after the first must have audio")
        elif len(request.audio) > _MOST_CHUNK:
            message = f"Audio chunk can be of a maximum of {_MOST_CHUNK} bytes"
            self._refused = Refused(_INVALID, f"{message}, but it is {len(request.audio)} bytes")
        else:
            self._rest = request.audio

    def check(self) -> None:
        if self._refused:
            raise self._refused


class _Ear:
    """Hears one channel of a stream, and says what it hears as it goes."""

    _EVERY = RATE // 2  # samples between interim results

    def __init__(self, recogniser: Recogniser, settings: Any, tag: int) -> None:
        self._recogniser = recogniser
        self._config = settings.config
        self._features = settings.streaming_features
        self._tag = tag
        self._splitter = Splitter()
        self._listener = Listener()
        self._since = 0  # samples since the last interim result
        self._shown = ""
        self._speaking = False

    def hear(self, samples: Samples) -> Iterator[Any]:
        for speech in self._splitter.feed(samples):
            yield from self._final(speech)
        if self._splitter.speaking is None:
            return
        yield from self._begin(self._splitter.speaking)
        self._since += len(samples)
        if self._features.interim_results and self._since >= self._EVERY:
            yield from self._interim()

    def end(self) -> Iterator[Any]:
        for speech in self._splitter.end():
            yield from self._final(speech)

    def close(self) -> None:
        self._listener.close()

    def _begin(self, start: float) -> Iterator[Any]:
        if not self._speaking:
            self._speaking = True
            yield from self._event("SPEECH_ACTIVITY_BEGIN", start)

    def _event(self, name: str, offset: float) -> Iterator[Any]:
        if self._features.enable_voice_activity_events:
            yield cloud_speech.StreamingRecognizeResponse.pb()(
                speech_event_type=name, speech_event_offset=duration(offset)
            )

    def _interim(self) -> Iterator[Any]:
        self._since = 0
        text = self._listener.hear(heard := self._splitter.heard())
        if text and text != self._shown:
            self._shown = text
            end = (self._splitter.speaking or 0) + len(heard) / RATE
            yield self._result(end, alternatives=[{"transcript": text}], stability=0.5)

    def _final(self, speech: Speech) -> Iterator[Any]:
        self._listener.close()
        self._since, self._shown = 0, ""
        yield from self._begin(speech.start)  # it may have begun and ended in one block
        utterance = self._recogniser.submit(speech)()
        if utterance.words:
            said = [alternative(utterance, self._config.features)]
            yield self._result(utterance.end, alternatives=said, is_final=True)
        if self._splitter.speaking is None:
            self._speaking = False
            yield from self._event("SPEECH_ACTIVITY_END", speech.end)

    def _result(self, end: float, **fields: Any) -> Any:
        result = {
            "result_end_offset": duration(end),
            "language_code": language_of(self._config),
            "channel_tag": self._tag,
            **fields,
        }
        return cloud_speech.StreamingRecognizeResponse.pb()(results=[result])
