"""Samples from a recording: decoded by PyAV, cut into utterances, and their voice.

    for block in channels(file, None):      block[channel, sample]: 16 bits, 16 kHz
        for speech in splitter.feed(block[0]): …

What Speech-to-Text cannot decode, this does not either.

It reads and decodes as it goes: a source may be a connection that is still
sending, and no more than a block is held.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Vad

RATE = 16_000
MOST_CHANNELS = 8

Samples = NDArray[np.int16]


class Source(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Undecodable(Exception):
    pass


@dataclass(frozen=True)
class Decoding:
    """As the caller says the audio is, by the names in `ExplicitDecodingConfig`."""

    encoding: str
    rate: int
    channels: int


# Of each encoding: FFmpeg's name of the container, and of the codec in it.
_ENCODINGS = {
    "LINEAR16": ("s16le", "pcm_s16le"),
    "MULAW": ("mulaw", "pcm_mulaw"),
    "ALAW": ("alaw", "pcm_alaw"),
    "AMR": ("amr", "amr_nb"),
    "AMR_WB": ("amr", "amr_wb"),
    "FLAC": ("flac", "flac"),
    "MP3": ("mp3", "mp3"),
    "OGG_OPUS": ("ogg", "opus"),
    "WEBM_OPUS": ("matroska", "opus"),
    "MP4_AAC": ("mov", "aac"),
    "M4A_AAC": ("mov", "aac"),
    "MOV_AAC": ("mov", "aac"),
}
_HEADERLESS = ("LINEAR16", "MULAW", "ALAW")
_DETECTED = {pair for name, pair in _ENCODINGS.items() if name not in _HEADERLESS} | {
    ("wav", "pcm_s16le"),
    ("wav", "pcm_mulaw"),
    ("wav", "pcm_alaw"),
}


def channels(source: Source, decoding: Decoding | None) -> Iterator[Samples]:
    """Without a decoding, the container says what it is."""
    with _open(source, decoding) as container:
        stream = _stream(container, decoding)
        # Not "s16p": of eight planes, PyAV reads nine.
        resampler = av.AudioResampler("s16", stream.codec_context.layout, RATE)
        heard = False
        for frame in _frames(container, stream):
            for block in resampler.resample(frame):
                heard = True
                packed = block.to_ndarray().astype(np.int16, copy=False)
                yield packed.reshape(-1, stream.codec_context.channels).T
        if not heard:
            raise Undecodable("Audio is empty")


def _open(source: Source, decoding: Decoding | None) -> "av.container.InputContainer":
    kind = _ENCODINGS[decoding.encoding][0] if decoding else None
    # Looked into no further than it takes: a live stream should be heard at once.
    options = {"probesize": "65536"}
    if decoding and decoding.encoding in _HEADERLESS:
        options["sample_rate"] = str(decoding.rate)
        options["ch_layout"] = f"{decoding.channels or 1}c"
    try:
        return av.open(source, "r", format=kind, container_options=options, buffer_size=8192)
    except (av.FFmpegError, ValueError) as error:
        raise Undecodable(_UNKNOWN) from error


_UNKNOWN = "Audio data does not appear to be in a supported encoding"


def _stream(
    container: "av.container.InputContainer", decoding: Decoding | None
) -> "av.audio.stream.AudioStream":
    if not container.streams.audio:
        raise Undecodable(_UNKNOWN)
    stream = container.streams.audio[0]
    codec = stream.codec_context.codec.canonical_name
    allowed = {_ENCODINGS[decoding.encoding]} if decoding else _DETECTED
    if not any((name, codec) in allowed for name in container.format.name.split(",")):
        raise Undecodable(_UNKNOWN)
    if not 0 < stream.codec_context.channels <= MOST_CHANNELS:
        raise Undecodable(f"Audio may have at most {MOST_CHANNELS} channels")
    return stream


def _frames(
    container: "av.container.InputContainer", stream: "av.audio.stream.AudioStream"
) -> Iterator["av.AudioFrame | None"]:
    """Then None, to flush. What follows a damaged part is not heard; what came before it is."""
    with suppress(av.FFmpegError):
        yield from container.decode(stream)
    yield None


# ------------------------------------------------------------ utterances


@dataclass(frozen=True)
class Speech:
    """What the splitter takes for an utterance, not recognised yet."""

    start: float
    samples: Samples

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / RATE


class Splitter:
    """Cuts one channel into utterances, at pauses of 0.45 s and, in talk without any, at 20 s."""

    _FRAME = 480  # 30 ms
    _PAUSE = 15
    _LEAD = 10  # frames kept from before the first that was heard: soft consonants
    _LONGEST = 20 * RATE

    def __init__(self) -> None:
        self._vad = Vad(mode=2, sample_rate=RATE, frame_length=0.03)
        self._rest: Samples = np.empty(0, np.int16)
        self._frames: deque[tuple[Samples, bool]] = deque()
        self._position = 0
        self.speaking: float | None = None  # since when

    def feed(self, samples: Samples) -> Iterator[Speech]:
        self._rest = np.concatenate((self._rest, samples))
        while len(self._rest) >= self._FRAME:
            frame, self._rest = self._rest[: self._FRAME], self._rest[self._FRAME :]
            self._frames.append((frame, self._vad.is_speech(frame.tobytes())))
            self._position += self._FRAME
            yield from self._step()

    def end(self) -> Iterator[Speech]:
        if self.speaking is not None:
            said = self._take(len(self._frames))
            self.speaking = None
            yield said

    def heard(self) -> Samples:
        """The utterance so far."""
        return np.concatenate([frame for frame, _ in self._frames])

    def _step(self) -> Iterator[Speech]:
        if self.speaking is None:
            self._begin()
            return
        latest = [said for _, said in list(self._frames)[-self._PAUSE :]]
        if len(latest) == self._PAUSE and sum(latest) <= 1:
            said = self._take(len(self._frames) - self._PAUSE // 2)
            self.speaking = None
            yield said
        elif len(self._frames) * self._FRAME > self._LONGEST:
            yield self._take(self._quietest())

    def _begin(self) -> None:
        if sum(said for _, said in list(self._frames)[-6:]) >= 4:
            self.speaking = (self._position - len(self._frames) * self._FRAME) / RATE
        elif len(self._frames) > self._LEAD + 6:
            self._frames.popleft()

    def _take(self, count: int) -> Speech:
        start = self._position / RATE - len(self._frames) * self._FRAME / RATE
        taken = [self._frames.popleft()[0] for _ in range(count)]
        self.speaking = start + count * self._FRAME / RATE
        return Speech(start, np.concatenate(taken))

    def _quietest(self) -> int:
        """The frame, of the last 3 s, where a cut does the least harm."""
        last = [np.abs(frame.astype(np.int32)).sum() for frame, _ in list(self._frames)[-100:]]
        return len(self._frames) - 100 + int(np.argmin(last))


def voice(samples: Samples) -> tuple[NDArray[np.float64], float]:
    """The pitch of every voiced frame, and by how many dB the loudness goes up and down."""
    size, hop = 640, 320
    if len(samples) < size:
        return np.empty(0), 0.0
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop].astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1)
    frames, level = frames[level > level.max() - 30], level[level > level.max() - 30]
    spectrum = np.abs(np.fft.rfft(frames, 2 * size)) ** 2
    shape = np.fft.irfft(spectrum)[:, :size] / (size - np.arange(size))
    shape /= np.maximum(shape[:, :1], 1e-9)
    low, high = RATE // 400, RATE // 65
    within = shape[:, low:high]
    peak = within.max(axis=1)
    # Twice the period fits as well as the period does: the shortest that fits is taken.
    lag = low + np.argmax(within > 0.9 * peak[:, None], axis=1)
    voiced = (peak > 0.6) & (level > level.max() - 20)
    return RATE / lag[voiced], float(level.std())
