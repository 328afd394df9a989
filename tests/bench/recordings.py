"""An hour of consultation through the functions: memory over idle, and the cost of reading it once more."""

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import av
import psutil

from local.platform import Platform
from tests.bench.table import Row, Target
from tests.client import Api, a_patient
from tests.labelled import score_notes, score_terms
from tests.recorded import DOCTOR, PATIENT, ended, spoken, upload, wav

_MIB = 1024 * 1024
_HOUR = 3600.0
_EVENTS = ("transcribe_audio", "store_transcript")


def understanding() -> tuple[list[Row], list[str]]:
    """Precision and recall of terms and of the note checker, on sentences of our own."""
    notes = []
    for what, scores in (("terms", score_terms()), ("note checker", score_notes())):
        parts = (
            f"{name} {score.precision:.3f} / {score.recall:.3f}" for name, score in scores.items()
        )
        notes.append(f"Precision / recall of {what}, on our own sentences: {', '.join(parts)}.")
    return [], notes


def measure(platform: Platform) -> tuple[list[Row], list[str]]:
    samples = _an_hour()
    content = wav(samples)
    bare = _decoded(content)
    idle = {name: _memory(platform, name) for name in _EVENTS}
    with _watching(platform) as peaks:
        status, checked, whole = asyncio.run(_transcribed(platform, content))
    rows = [
        Row(
            f"memory of {name} over idle, one hour of audio",
            f"{idle[name]:.0f} MB",
            f"{peaks[name]:.0f} MB",
            peaks[name] / idle[name],
            Target("≤", 256, "MB"),
            judged=peaks[name] - idle[name],
        )
        for name in _EVENTS
    ]
    note = (
        f"An hour of audio ({len(content) // _MIB} MB) ended as {status}: checked, scanned, converted"
        f" and handed over {checked / bare:.1f} × the time of decoding it alone; transcribed in"
        f" {whole / _HOUR:.3f} × its length by the stand-in."
    )
    return rows, [note]


def _an_hour() -> bytes:
    turn = spoken(
        (PATIENT, "I have had a headache and a fever since yesterday."),
        (DOCTOR, "Take ibuprofen twice a day."),
    )
    return turn * int(_HOUR * 44_100 / len(turn))


def _decoded(content: bytes) -> float:
    """Seconds to decode and resample the file, and nothing else."""
    started = time.perf_counter()
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(io.BytesIO(content), "r", format="wav") as source:
        for frame in source.decode(audio=0):
            resampler.resample(frame)
    return time.perf_counter() - started


async def _transcribed(platform: Platform, content: bytes) -> tuple[str, float, float]:
    async with Api(platform.url) as api:
        patient = await a_patient(api)
        id = await upload(api, patient, patient, content)
        started = time.perf_counter()
        checked = 0.0
        while True:
            answer = await api.get(f"/v1/transcriptions/status/{id}", patient)
            state = answer.json()["state"]
            if not checked and state not in ("pending_upload", "uploaded"):
                checked = time.perf_counter() - started
            if state in ("completed", "failed", "rejected"):
                break
            await asyncio.sleep(0.2)
        await ended(api, patient, id)
    return state, checked, time.perf_counter() - started


@contextmanager
def _watching(platform: Platform) -> Iterator[dict[str, float]]:
    """The most that each function and its children occupied together."""
    peaks = dict.fromkeys(_EVENTS, 0.0)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.1):
            for name in _EVENTS:
                peaks[name] = max(peaks[name], _memory(platform, name))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        is_over.set()
        watcher.join()


def _memory(platform: Platform, function: str) -> float:
    """Megabytes; pages that its processes share count once."""
    found = next(each for each in platform.children.processes if each.name == function)
    total = 0.0
    try:
        parent = psutil.Process(found.popen.pid)
        for process in (parent, *parent.children(recursive=True)):
            info = process.memory_full_info()
            total += float(getattr(info, "pss", info.rss)) / _MIB
    except psutil.Error:
        pass  # it ended while it was looked at
    return total
