"""Reads a sound file that a stranger sent: in a process of its own, with limits on memory and time.

python -m common.sound <format> <size | live> <longest, in seconds>

It has neither files, network nor credentials: it asks for pieces of the file
on standard output, gets them on standard input, and gives back the sound as
FLAC (mono, at most 16 kHz), so that speech recognition never meets what was
sent. Each message is one byte that says its kind, four that say its length,
and so many bytes.

    from us    one byte, !, once it is there
    to us      the bytes asked for
    from us    R offset, size · F some FLAC · P seconds read so far · E the end, as JSON

`live` in place of the size reads a sound that still goes on: bytes come on
standard input as they are, and samples (S: 16 bit, mono, 16 kHz) go out.
"""

import io
import json
import resource
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

RATE = 16_000

MEMORY = 1 << 30
"""Bytes of address space; the libraries alone take half."""
CPU_SECONDS = 500

_FRAME_SECONDS = 0.03
_SILENT_DBFS = -60.0
_STEADY_DB = 3.0
"""Between the loudest and the quietest frames; speech, even in noise, moves more."""
_LOUD_DB = 35.0
"""Below the loudest frames; what is quieter is background."""
_TONAL = 0.015
"""Least spread of the zero crossings, in crossings a sample."""
_MOST_CHANNELS = 32


class Asked(io.RawIOBase):
    """The file, read by asking for its pieces."""

    def __init__(self, size: int, answers: BinaryIO, questions: BinaryIO) -> None:
        self._size = size
        self._answers = answers
        self._questions = questions
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._at, 2: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, into: Any) -> int:
        wanted = max(0, min(len(into), self._size - self._at))
        if not wanted:
            return 0
        send(self._questions, b"R", struct.pack(">QI", self._at, wanted))
        got = receive(self._answers)
        into[: len(got)] = got
        self._at += len(got)
        return len(got)


class Told(io.RawIOBase):
    """Takes the FLAC, and passes it on."""

    def __init__(self, to: BinaryIO) -> None:
        self._to = to

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        send(self._to, b"F", bytes(data))
        return len(data)


def send(to: BinaryIO, kind: bytes, content: bytes) -> None:
    to.write(kind + struct.pack(">I", len(content)) + content)
    to.flush()


def receive(source: BinaryIO) -> bytes:
    (size,) = struct.unpack(">I", _exactly(source, 4))
    return _exactly(source, size)


def _exactly(source: BinaryIO, size: int) -> bytes:
    read = source.read(size)
    if len(read) != size:
        raise EOFError
    return read


class Hearing:
    """Whether anybody may be speaking, from frames of 30 ms: their loudness and their zero crossings.

    Speech is neither silent nor of one loudness, and moves between tones and
    hisses, which the rate of zero crossings shows (Saunders, Real-time
    discrimination of broadcast speech/music, ICASSP 1996). The bounds are far on
    the side of speech: half of what the most monotonous of our test voices has.
    """

    def __init__(self, rate: int) -> None:
        self._size = int(rate * _FRAME_SECONDS)
        self._rest: Any = None
        self._levels: dict[int, list[float]] = {}
        """Of the frames of each loudness in whole dB: count, crossings and their squares, summed."""

    def add(self, samples: Any) -> None:
        import numpy

        if self._rest is not None:
            samples = numpy.concatenate([self._rest, samples])
        whole = len(samples) // self._size * self._size
        self._rest = samples[whole:]
        frames = samples[:whole].reshape(-1, self._size).astype(numpy.float64) / 32768
        power = numpy.maximum((frames**2).mean(axis=1), 1e-12)
        levels = numpy.round(10 * numpy.log10(power)).astype(int).tolist()
        crossings = (numpy.diff(numpy.signbit(frames), axis=1) != 0).mean(axis=1).tolist()
        for level, rate in zip(levels, crossings, strict=True):
            sums = self._levels.setdefault(level, [0, 0.0, 0.0])
            sums[0] += 1
            sums[1] += rate
            sums[2] += rate * rate

    def may_be_speech(self) -> bool:
        loud, quiet = self._quantile(0.95), self._quantile(0.05)
        if loud <= _SILENT_DBFS or loud - quiet < _STEADY_DB:
            return False
        return self._spread(max(loud - _LOUD_DB, _SILENT_DBFS)) >= _TONAL

    def _quantile(self, share: float) -> int:
        left = sum(count for count, *_ in self._levels.values()) * share
        for level in sorted(self._levels):
            left -= self._levels[level][0]
            if left <= 0:
                return level
        return -120

    def _spread(self, floor: float) -> float:
        """Standard deviation of the crossings of all frames louder than that."""
        sums = [self._levels[level] for level in self._levels if level > floor]
        count, crossings, squares = (sum(column) for column in zip(*sums, strict=True))
        mean = crossings / count
        return float(max(squares / count - mean * mean, 0.0) ** 0.5)


def convert(format: str, size: int, longest: float, answers: BinaryIO, to: BinaryIO) -> Any:
    """Read the whole file; what was found, as `E` gives it."""
    import av

    file = io.BufferedReader(Asked(size, answers, to), 1 << 18)
    is_short = format == "wav" and _says_more(file.peek(8)[:8], size)
    # The format is given, never guessed: some formats of the library open other files.
    with av.open(file, format=format, metadata_errors="ignore") as source:
        if not source.streams.audio:
            return {"error": "unreadable_audio"}
        stream = source.streams.audio[0]
        if not 1 <= stream.channels <= _MOST_CHANNELS:
            return {"error": "unreadable_audio"}
        rate = min(RATE, stream.rate or RATE)
        declared = _declared_seconds(stream, source)
        seconds, hearing, is_broken = 0.0, Hearing(rate), is_short
        with av.open(Told(to), "w", format="flac") as target:
            written = target.add_stream("flac", rate=rate, layout="mono")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
            told = 0.0
            for frame in _sound(source, stream):
                is_broken |= frame is _BROKEN
                for piece in resampler.resample(None if frame is _BROKEN else frame):
                    hearing.add(piece.to_ndarray().reshape(-1))
                    seconds += piece.samples / rate
                    piece.pts = None
                    target.mux(written.encode(piece))
                if seconds > longest:
                    return {"error": "too_long"}
                if seconds - told > 30:
                    told = seconds
                    send(to, b"P", struct.pack(">dd", seconds, declared or 0.0))
            target.mux(written.encode(None))
    if seconds < 2 * _FRAME_SECONDS:
        return {"error": "unreadable_audio"}
    return {
        "seconds": round(seconds, 3),
        "is_truncated": is_broken or (declared is not None and seconds < 0.98 * declared - 0.5),
        "has_speech": hearing.may_be_speech(),
    }


_BROKEN = object()


class Arriving(io.RawIOBase):
    """A file whose end has not come yet."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        # What there is, without waiting for all that was asked for.
        got = self._source.read1(len(into))  # type: ignore[attr-defined]
        into[: len(got)] = got
        return len(got)


def follow(format: str, source: BinaryIO, to: BinaryIO) -> Any:
    """Pass the sound on as samples, as it comes."""
    import av

    options = {"probesize": "4096", "analyzeduration": "0", "fflags": "nobuffer"}
    with av.open(
        Arriving(source), format=format, metadata_errors="ignore", options=options, buffer_size=4096
    ) as arriving:
        if not arriving.streams.audio:
            return {"error": "unreadable_audio"}
        stream = arriving.streams.audio[0]
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        is_sound = False
        for frame in _sound(arriving, stream):
            for piece in resampler.resample(None if frame is _BROKEN else frame):
                is_sound = True
                send(to, b"S", piece.to_ndarray().tobytes())
    return {} if is_sound else {"error": "unreadable_audio"}


def _sound(source: Any, stream: Any) -> Iterator[Any]:
    """Each frame, and at the end None, or `_BROKEN`. What can't be decoded is left out."""
    import av

    try:
        for packet in source.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue
    except (av.error.FFmpegError, EOFError):
        yield _BROKEN
    else:
        yield None


def _says_more(head: bytes, size: int) -> bool:
    """Whether a RIFF header announces more than there is; all ones mean that it did not know."""
    (announced,) = struct.unpack("<I", head[4:8])
    return bool(announced != 0xFFFFFFFF and announced + 8 > size + 1)


def _declared_seconds(stream: Any, source: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return source.duration / 1e6 if source.duration else None


def main() -> None:
    format, size, longest = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # The soft limit is told by SIGXCPU, so that SIGKILL always means somebody else.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    to, answers = sys.stdout.buffer, sys.stdin.buffer
    to.write(b"!")
    to.flush()
    try:
        if size == "live":
            found = follow(format, answers, to)
        else:
            found = convert(format, int(size), float(longest), answers, to)
    except (BrokenPipeError, KeyboardInterrupt):
        return
    except Exception:  # noqa: BLE001 - whatever a hostile file does to the library
        found = {"error": "unreadable_audio"}
    send(to, b"E", json.dumps(found).encode())


if __name__ == "__main__":
    main()
