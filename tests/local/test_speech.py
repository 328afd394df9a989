"""The stand-in of Speech-to-Text, asked by Google's own client: what other tests rely on."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import numpy
import pytest
from google.api_core import exceptions
from google.cloud import speech_v2
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
from google.longrunning import operations_pb2

from local.platform import Platform
from local.ports import HOST
from local.voices import SAMPLE_RATE, speak
from tests import sounds
from tests.recorded import DOCTOR, PATIENT, spoken, wav

_RECOGNIZER = "projects/demo-healthhub/locations/us/recognizers/_"


@pytest.fixture
async def channel(platform: Platform) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"{HOST}:{platform.ports.speech}") as opened:
        yield opened


@pytest.fixture
def client(channel: grpc.aio.Channel) -> speech_v2.SpeechAsyncClient:
    return speech_v2.SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel))


def config(**more: Any) -> dict[str, Any]:
    return {
        "auto_decoding_config": {},
        "model": "medical_conversation",
        "language_codes": ["en-US"],
        "features": {"enable_word_time_offsets": True, "enable_word_confidence": True},
        **more,
    }


async def recognized(client: speech_v2.SpeechAsyncClient, content: bytes, **more: Any) -> Any:
    request = {"recognizer": _RECOGNIZER, "config": config(**more), "content": content}
    return await client.recognize(request=request, timeout=60)


async def test_words_come_with_times_and_confidence_and_the_same_each_time(
    client: speech_v2.SpeechAsyncClient,
) -> None:
    before = bytes(SAMPLE_RATE * 2)  # a second of silence
    content = wav(before + spoken((PATIENT, "I have had a headache since yesterday.")))
    answers = [await recognized(client, content) for _ in range(2)]
    assert answers[0].results == answers[1].results
    best = answers[0].results[0].alternatives[0]
    assert "yesterday" in best.transcript.lower()
    first, last = best.words[0], best.words[-1]
    assert 0.7 < first.start_offset.total_seconds() < 1.5
    assert first.end_offset <= last.start_offset
    assert all(0 <= word.confidence <= 1 for word in best.words)


async def test_two_voices_are_told_apart(client: speech_v2.SpeechAsyncClient) -> None:
    content = wav(
        spoken((DOCTOR, "Good morning. What brings you here?"), (PATIENT, "I have a headache."))
    )
    features = {"diarization_config": {"min_speaker_count": 1, "max_speaker_count": 4}}
    answer = await recognized(client, content, features=features)
    labels = [
        word.speaker_label for result in answer.results for word in result.alternatives[0].words
    ]
    assert list(dict.fromkeys(labels)) == ["1", "2"]


@pytest.mark.parametrize("kind", ["silence", "hiss", "hum"])
async def test_what_is_no_speech_has_no_words(
    client: speech_v2.SpeechAsyncClient, kind: str
) -> None:
    answer = await recognized(client, wav(sounds.noise(kind, 2.0)))
    assert not answer.results


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 100])
async def test_what_can_not_be_decoded_is_refused(
    client: speech_v2.SpeechAsyncClient, content: bytes
) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        await recognized(client, content)


async def test_an_operation_that_there_is_not_is_not_found(
    client: speech_v2.SpeechAsyncClient,
) -> None:
    name = "projects/demo-healthhub/locations/us/operations/none"
    with pytest.raises(exceptions.NotFound):
        await client.get_operation(operations_pb2.GetOperationRequest(name=name))


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("fail", exceptions.ServiceUnavailable),
        ("refuse", exceptions.InvalidArgument),
        ("busy", exceptions.ResourceExhausted),
    ],
)
async def test_it_fails_when_it_is_told_to(
    client: speech_v2.SpeechAsyncClient, channel: Any, mode: str, error: type[Exception]
) -> None:
    set_faults = channel.unary_unary("/healthhub.dev.Faults/Set")
    await set_faults(json.dumps({"Recognize": mode}).encode())
    try:
        with pytest.raises(error):
            await client.recognize(
                request={"recognizer": _RECOGNIZER, "config": config(), "content": b"x"},
                timeout=10,
                retry=None,
            )
    finally:
        await set_faults(b"{}")


async def test_a_message_that_is_too_large_ends_the_stream(
    client: speech_v2.SpeechAsyncClient,
) -> None:
    def requests() -> Iterator[speech_v2.StreamingRecognizeRequest]:
        decoding = {"encoding": 1, "sample_rate_hertz": 16_000, "audio_channel_count": 1}
        settings = config(explicit_decoding_config=decoding)
        del settings["auto_decoding_config"]
        yield speech_v2.StreamingRecognizeRequest(
            recognizer=_RECOGNIZER, streaming_config={"config": settings}
        )
        yield speech_v2.StreamingRecognizeRequest(audio=bytes(25_601))

    async def sent() -> AsyncIterator[speech_v2.StreamingRecognizeRequest]:
        for request in requests():
            yield request

    with pytest.raises(exceptions.InvalidArgument):
        async for _ in await client.streaming_recognize(requests=sent()):
            pass


def test_a_voice_says_the_same_each_time_and_another_says_it_otherwise() -> None:
    words = "Take one tablet a day."
    one, again, other = (speak(words, voice=voice) for voice in (DOCTOR, DOCTOR, PATIENT))
    assert one == again
    assert one != other
    assert numpy.abs(numpy.frombuffer(one, numpy.int16)).max() > 1000
    with pytest.raises(ValueError, match="voice"):
        speak(words, voice="nobody")
