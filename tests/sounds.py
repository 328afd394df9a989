"""Sound files of every kind that is taken, made of real samples by PyAV."""

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import av
import numpy

from local.voices import SAMPLE_RATE

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "wav": ("wav", "pcm_s16le", {}),
    "wav 8 kHz": ("wav", "pcm_s16le", {"rate": 8_000}),
    "wav 16 kHz": ("wav", "pcm_s16le", {"rate": 16_000}),
    "wav 48 kHz stereo": ("wav", "pcm_s16le", {"rate": 48_000, "layout": "stereo"}),
    "wav 24 bit": ("wav", "pcm_s24le", {"rate": 48_000}),
    "wav float": ("wav", "pcm_f32le", {"rate": 48_000}),
    "flac": ("flac", "flac", {}),
    "mp3": ("mp3", "mp3", {}),
    "ogg opus": ("ogg", "libopus", {"rate": 48_000}),
    "webm": ("webm", "libopus", {"rate": 48_000}),
    "m4a": ("mp4", "aac", {"rate": 48_000}),
}
"""Container, codec and how; the name is ours."""

TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "webm": "audio/webm",
    "mp4": "audio/mp4",
}
"""By container."""


def encoded(samples: bytes, kind: str) -> bytes:
    """16-bit samples at 22,050 Hz as a file of this kind."""
    container, codec, how = KINDS[kind]
    rate, layout = how.get("rate", SAMPLE_RATE), how.get("layout", "mono")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as target:
        stream: Any = target.add_stream(codec, rate=rate, layout=layout)
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(
            format=stream.codec_context.format.name, layout=layout, rate=rate
        )
        array = numpy.frombuffer(samples, numpy.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(array, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        parts: tuple[Any, ...] = (frame, None)
        for part in parts:
            for piece in resampler.resample(part):
                fifo.write(piece)
        size = stream.codec_context.frame_size or 1024
        while (full := fifo.read(size) or fifo.read(size, partial=True)) is not None:
            target.mux(stream.encode(full))
        target.mux(stream.encode(None))
    return file.getvalue()


def content_type(kind: str) -> str:
    return TYPES[KINDS[kind][0]]


@cache
def noise(kind: str, seconds: float) -> bytes:
    """What is no speech, as 16-bit samples at 22,050 Hz."""
    size = int(SAMPLE_RATE * seconds)
    at = numpy.arange(size) / SAMPLE_RATE
    random = numpy.random.default_rng(1)
    match kind:
        case "silence":
            wave = numpy.zeros(size)
        case "hiss":
            wave = random.normal(0, 2000, size)
        case "hum":
            wave = 6000 * numpy.sin(2 * numpy.pi * 50 * at)
        case "clicks":
            wave = numpy.zeros(size)
            wave[:: SAMPLE_RATE // 2] = 20_000
        case _:
            wave = _melody(at)
    return wave.astype(numpy.int16).tobytes()


def _melody(at: Any) -> Any:
    """A tune with overtones: each note rises, falls, and is another."""
    scale: Sequence[float] = (262, 294, 330, 349, 392, 440, 494, 523)
    note = (at * 3).astype(int)
    pitch = numpy.array(scale)[(note * 5) % len(scale)]
    envelope = numpy.exp(-3 * ((at * 3) % 1))
    tones = sum(numpy.sin(2 * numpy.pi * pitch * k * at) / k for k in (1, 2, 3))
    return 6000 * envelope * tones
