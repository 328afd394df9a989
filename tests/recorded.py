"""Consultations that were spoken, sent and transcribed, for tests."""

import asyncio
import io
import time
import wave
from collections.abc import Sequence
from functools import cache
from typing import Any

import httpx

from common import crypto, terms
from common.firestore import Batch, id_by_time, now
from common.transcripts import Segment, Transcription, store_said, transcriptions
from common.uploads import UploadState
from local.voices import SAMPLE_RATE, speak
from tests.client import Api, Person

FINAL = ("completed", "failed", "rejected")

A_NOTE: dict[str, Any] = {
    "subjective": [{"text": "Cough for two weeks.", "segment_ids": ["s1"]}],
    "objective": [],
    "assessment": [],
    "plan": [],
}

DOCTOR, PATIENT = "en-us+klatt3", "en-us+f5"


@cache
def spoken(*turns: tuple[str, str]) -> bytes:
    """(voice, words) one after the other, as samples at 22,050 Hz."""
    pause = bytes(2 * int(0.7 * SAMPLE_RATE))  # voices closer to each other are taken for one
    return b"".join(speak(words, voice=voice) + pause for voice, words in turns)


def wav(samples: bytes, rate: int = SAMPLE_RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(samples)
    return file.getvalue()


def a_visit() -> bytes:
    """A short consultation, as a WAV file."""
    return wav(
        spoken(
            (PATIENT, "I have had a headache and a fever since yesterday."),
            (DOCTOR, "Take ibuprofen twice a day."),
        )
    )


async def announce(api: Api, author: Person, patient: Person, **fields: Any) -> dict[str, Any]:
    """An upload that is awaited, as its author is told of it."""
    body = {
        "patient_id": patient.uid,
        "file_name": "canary visit.wav",
        "content_type": "audio/wav",
        **fields,
    }
    return await announced(api, "transcriptions", author, body)


async def announced(api: Api, slug: str, author: Person, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(f"/v1/{slug}/upload", author, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def send(announced: dict[str, Any], content: bytes, **headers: str) -> httpx.Response:
    """The file, as an app sends it."""
    target = announced["upload"]
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.request(
            target["method"],
            target["url"],
            headers={**target["headers"], **headers},
            content=content,
        )


async def upload(api: Api, author: Person, patient: Person, content: bytes, **fields: Any) -> str:
    """Announce and send a recording; returns its id."""
    announced = await announce(api, author, patient, size_bytes=len(content), **fields)
    sent = await send(announced, content)
    assert sent.status_code == 200, sent.text
    return str(announced["transcription"]["transcription_id"])


async def ended(
    api: Api, someone: Person, transcription_id: str, within: float = 60
) -> dict[str, Any]:
    """Its status, once it is final."""
    deadline = time.monotonic() + within
    while True:
        answer = await api.get(f"/v1/transcriptions/status/{transcription_id}", someone)
        assert answer.status_code == 200, answer.text
        status = dict(answer.json())
        if status["state"] in FINAL:
            return status
        assert time.monotonic() < deadline, f"still {status}"
        await asyncio.sleep(0.1)


async def a_transcription(patient: Person, author: Person, *turns: str, **fields: Any) -> str:
    """A consultation as if it had been recognised: patient and doctor by turns. Returns its id."""
    moment = now()
    segments = [
        Segment(
            id=f"s{number}",
            speaker=str(1 + (number + 1) % 2),
            start=5.0 * number,
            end=5.0 * number + 4,
            text=text,
        )
        for number, text in enumerate(turns, 1)
    ]
    return await stored(patient, author, segments, create_time=moment, **fields)


async def stored(
    patient: Person, author: Person, segments: Sequence[Segment], **fields: Any
) -> str:
    moment = now()
    record = Transcription(
        **{
            "create_time": moment,
            "update_time": moment,
            "patient_id": patient.uid,
            "author_uid": author.uid,
            "state": UploadState.COMPLETED,
            "progress": 100,
            "content_type": "audio/wav",
            "size_bytes": 1,
            "language": "en-US",
            "segment_count": len(segments),
            **fields,
        }
    )
    vault = await crypto.vault_of(patient.uid)
    path = transcriptions.path(id_by_time(moment))
    record.stored_as(path, "")
    record.sealed = {"file_name": vault.seal(path, "file_name", "canary visit.wav")}
    batch = Batch()
    batch.create(path, record)
    found = [term for segment in segments for term in terms.find(segment)]
    await batch.commit()
    await store_said(record.id, segments, found, vault)
    return record.id
