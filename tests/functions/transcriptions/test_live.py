"""A consultation that is heard while it takes place."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import h11
import pytest

from common.firestore import Batch, now
from common.transcripts import transcriptions
from local.platform import Platform
from local.ports import HOST
from tests import sounds
from tests.client import Api, Person, a_listed_doctor, a_patient, admit
from tests.recorded import DOCTOR, ended, spoken, wav


@pytest.fixture(scope="module")
async def doctor(api: Api, admin: Person) -> Person:
    return await a_listed_doctor(api, admin)


@pytest.fixture(scope="module")
async def patient(api: Api, doctor: Person) -> Person:
    person = await a_patient(api)
    await admit(api, person, doctor)
    return person


TURNS = (
    (DOCTOR, "Take ibuprofen twice a day."),
    (DOCTOR, "Come back on Monday."),
)


class Live:
    """One connection on which sound goes out while events come in."""

    def __init__(self, platform: Platform, person: Person, patient: Person, kind: str) -> None:
        self.events: list[tuple[str, dict[str, Any], float]] = []
        self._port = platform.ports.gateway
        self._headers = [
            ("Host", HOST),
            ("Authorization", f"Bearer {person.id_token}"),
            ("Content-Type", kind),
            ("Transfer-Encoding", "chunked"),
        ]
        self._target = f"/v1/transcriptions/stream?patient_id={patient.uid}"
        self.status = 0
        self.sent_at = 0.0

    async def run(self, chunks: AsyncIterator[bytes], hang_up: bool = False) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        http = h11.Connection(h11.CLIENT)
        request = h11.Request(method="POST", target=self._target, headers=self._headers)
        writer.write(http.send(request) or b"")
        reading = asyncio.create_task(self._read(reader, http))
        async for chunk in chunks:
            if reading.done():
                break
            writer.write(http.send(h11.Data(data=chunk)) or b"")
            await writer.drain()
        self.sent_at = time.monotonic()
        if hang_up:
            writer.transport.abort()
            reading.cancel()
            return
        if not reading.done():
            writer.write(http.send(h11.EndOfMessage()) or b"")
        await asyncio.wait_for(reading, 40)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, http: h11.Connection) -> None:
        text = b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Response):
                self.status = event.status_code
            elif isinstance(event, h11.Data):
                text += bytes(event.data)
                *whole, text = text.split(b"\n\n")
                for block in whole:
                    self._take(block.decode())
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return

    def _take(self, block: str) -> None:
        name, data = block.split("\n", 1)
        content = json.loads(data.removeprefix("data: "))
        self.events.append((name.removeprefix("event: "), content, time.monotonic()))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [content for kind, content, _ in self.events if kind == name]

    @property
    def id(self) -> str:
        return str(self.named("started")[0]["transcription_id"])


async def pieces(
    content: bytes, size: int = 8000, pause: float = 0.02, most: int | None = None
) -> AsyncIterator[bytes]:
    for start in range(0, min(len(content), most or len(content)), size):
        yield content[start : start + size]
        await asyncio.sleep(pause)


@pytest.mark.parametrize("kind", ["wav", "ogg opus", "webm"])
async def test_words_come_while_the_sound_still_goes_on(
    api: Api, platform: Platform, doctor: Person, patient: Person, kind: str
) -> None:
    content = sounds.encoded(spoken(*TURNS), kind)
    live = Live(platform, doctor, patient, sounds.content_type(kind))
    size = max(200, len(content) // 60)
    await live.run(pieces(content, size, pause=0.08))
    assert live.status == 200
    first = next(moment for name, _, moment in live.events if name == "interim")
    assert first < live.sent_at
    segments = live.named("segment")
    assert [each["id"] for each in segments] == [f"s{n}" for n in range(1, len(segments) + 1)]
    assert live.events[-1][0] == "ended"
    found = (await api.get(f"/v1/transcriptions/{live.id}", patient)).json()
    assert (found["state"], found["is_streamed"]) == ("completed", True)
    assert found["segments"] == segments
    assert len(found["text"].split()) > 5


async def test_plain_samples_are_heard_as_they_are(
    platform: Platform, doctor: Person, patient: Person
) -> None:
    import numpy

    samples = numpy.frombuffer(spoken(*TURNS), numpy.int16)
    at = numpy.arange(0, len(samples), 22_050 / 16_000)
    plain = numpy.interp(at, numpy.arange(len(samples)), samples).astype(numpy.int16).tobytes()
    live = Live(platform, doctor, patient, "audio/l16;rate=16000")
    await live.run(pieces(plain))
    assert live.named("segment")


async def test_a_connection_that_breaks_keeps_what_was_heard(
    api: Api, platform: Platform, doctor: Person, patient: Person
) -> None:
    content = wav(spoken(*TURNS, *TURNS))
    live = Live(platform, doctor, patient, "audio/wav")

    async def until_something_was_heard() -> AsyncIterator[bytes]:
        async for piece in pieces(content, pause=0.05):
            yield piece
            if live.named("segment"):
                return

    await live.run(until_something_was_heard(), hang_up=True)
    status = await ended(api, doctor, live.id)
    assert (status["state"], status["reason"]) == ("completed", "connection_lost")
    found = (await api.get(f"/v1/transcriptions/{live.id}", doctor)).json()
    assert found["segments"][: len(live.named("segment"))] == live.named("segment")


async def test_silence_is_told_as_such(
    api: Api, platform: Platform, doctor: Person, patient: Person
) -> None:
    live = Live(platform, doctor, patient, "audio/wav")
    await live.run(pieces(wav(sounds.noise("silence", 2.0)), pause=0))
    name, content, _ = live.events[-1]
    assert (name, content["state"], content["reason"]) == ("ended", "completed", "no_speech")


@pytest.mark.parametrize("content", [b"", b"this is no sound at all" * 200])
async def test_what_is_no_sound_is_told_as_such(
    platform: Platform, doctor: Person, patient: Person, content: bytes
) -> None:
    live = Live(platform, doctor, patient, "audio/flac")
    await live.run(pieces(content))
    name, told, _ = live.events[-1]
    assert (name, told["state"], told["reason"]) == ("problem", "failed", "unreadable_audio")


async def test_only_sound_is_heard(api: Api, patient: Person) -> None:
    path = "/v1/transcriptions/stream"
    for kind in ("audio/mp4", "audio/x-unheard-of", "text/plain"):
        answer = await api.post(path, patient, content=b"x", headers={"Content-Type": kind})
        assert answer.status_code == 415, kind


@pytest.mark.parametrize("mode", ["fail", "refuse", "hangup"])
async def test_p35_when_recognition_breaks_off_what_was_heard_is_kept(
    api: Api, platform: Platform, doctor: Person, patient: Person, mode: str
) -> None:
    async with grpc.aio.insecure_channel(f"{HOST}:{platform.ports.speech}") as channel:
        set_faults = channel.unary_unary("/healthhub.dev.Faults/Set")
        await set_faults(json.dumps({"StreamingRecognize": mode}).encode())
        try:
            live = Live(platform, doctor, patient, "audio/wav")
            await live.run(pieces(wav(spoken(*TURNS)), pause=0.02))
        finally:
            await set_faults(b"{}")
    name, told, _ = live.events[-1]
    assert name == "problem"
    assert told["reason"] in ("speech_failed", "speech_refused")
    status = (await api.get(f"/v1/transcriptions/status/{live.id}", doctor)).json()
    assert status["state"] in ("failed", "completed")


async def test_a_listener_that_died_is_ended_by_the_sweep(
    api: Api, platform: Platform, doctor: Person, patient: Person
) -> None:
    live = Live(platform, doctor, patient, "audio/wav")
    await live.run(pieces(wav(sounds.noise("silence", 1.0)), pause=0))
    batch = Batch()  # as if its function had been killed
    fields = {"state": "processing", "reason": None, "due_time": now(), "segment_count": 1}
    batch.update(transcriptions.path(live.id), fields)
    await batch.commit()
    platform.fire("sweep_stuck_work")
    status = await ended(api, doctor, live.id)
    assert (status["state"], status["reason"]) == ("completed", "connection_lost")
