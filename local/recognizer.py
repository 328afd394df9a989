"""Words from audio: PyAV decodes, a voice activity detector splits, pocketsphinx recognises.

    transcribe(file, None)       the utterances of each channel, with the time of every word

Only English is known, by the model in pocketsphinx's wheel. What is recognised
depends on nothing but the samples: the same recording gives the same words.

pocketsphinx holds Python's lock for as long as it decodes, several seconds for
a long utterance, and is not thread-safe: the decoders are in two processes of
their own, so the server answers meanwhile, and two cores are used.
"""

import hashlib
import multiprocessing
import signal
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from pocketsphinx import Decoder

from local.audio import RATE, Decoding, Samples, Source, Speech, Splitter, channels, voice

WORKERS = 2
_LOUDNESS = 3000.0
_NOISE = 50.0
_PAD = RATE // 5
_LEAST_CONFIDENCE = 0.03


@dataclass(frozen=True)
class Word:
    """Times are seconds from the start of the recording."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Utterance:
    start: float
    end: float
    words: tuple[Word, ...]
    pitch: float  # median fundamental frequency, in Hz; 0 if it has none
    confidence: float


# ------------------------------------------------------------ in the processes


@dataclass(frozen=True)
class _Heard:
    words: tuple[Word, ...]
    pitch: float
    confidence: float


# Where the mean of the spectrum, which a microphone and a voice shift, is looked for at first:
# it is espeak's. A second of speech is too little to tell it; five seconds count as much as this.
_MEAN = (
    "58.1592,-1.43699,-4.25138,16.2568,-10.6458,-2.74832,-5.5941,-16.3257,-3.62082,-5.85898,"
    "5.27238,-4.17378,-4.4588"
)


@cache
def _decoders() -> tuple[Any, Any]:
    """One that looks for a single letter, in no time, for its mean; and the one for the words."""
    # The limit on HMMs halves the time and costs no words; without it, noise takes minutes.
    return (
        Decoder(loglevel="FATAL", lm=None, keyphrase="a", kws_threshold=0.1),
        Decoder(loglevel="FATAL", maxhmmpf=5000),
    )


def _begin(decoder: Any, mean: str) -> None:
    """Without the first, what was heard before makes a difference to what is heard next."""
    decoder.reinit_feat()
    decoder.set_cmn(mean)
    decoder.start_utt()


def _recognise(pcm: bytes) -> _Heard:
    samples: Samples = np.frombuffer(pcm, np.int16)
    pitches, modulation = voice(samples)
    if len(pitches) < 5 or modulation < 3:
        return _Heard((), 0.0, 0.0)  # noise has no pitch, and neither hum nor tone any syllables
    sound = _prepared(samples, samples, _PAD).tobytes()
    mean = _MEAN
    for decoder in _decoders():
        _begin(decoder, mean)
        decoder.process_raw(sound)
        decoder.end_utt()
        mean = decoder.get_cmn(True)
    words = tuple(_word(segment) for segment in decoder.seg() if segment.word[0] not in "<[+")
    confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
    if confidence < _LEAST_CONFIDENCE:
        return _Heard((), 0.0, 0.0)
    return _Heard(words, float(np.median(pitches)), confidence)


def _prepared(samples: Samples, like: Samples, pad: int) -> Samples:
    """As loud as if `like` were of usual loudness, with near silence around it, and a faint hiss.

    The model was trained on microphones. Where synthetic speech has no energy
    at all, it takes the void for a feature: without hiss half as many of
    espeak's words are recognised.
    """
    loudness = np.sqrt(np.mean(like.astype(np.float64) ** 2))
    padded = np.pad(samples.astype(np.float64), pad) * min(_LOUDNESS / max(loudness, 1.0), 30.0)
    hiss = np.random.default_rng(1).normal(0, _NOISE, len(padded))
    loud: Samples = (padded + hiss).clip(-32768, 32767).astype(np.int16)
    return loud


def _word(segment: Any) -> Word:
    """`prob` is the word's posterior, out of the log domain already. Rounding can exceed 1."""
    text = segment.word.split("(")[0]
    bounds = segment.start_frame, segment.end_frame + 1
    start, end = (max(0.0, frame / 100 - _PAD / RATE) for frame in bounds)
    return Word(text, start, end, min(1.0, max(0.0, segment.prob)))


def _work(calls: Connection) -> None:
    """Until the server ends, however it does: then the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        while True:
            calls.send(_recognise(calls.recv_bytes()))


# ------------------------------------------------------------ in the server


class _Process(threading.local):
    """The process of this thread. One that died is started anew, for the next utterance."""

    calls: Connection | None = None

    def recognise(self, pcm: bytes) -> _Heard:
        calls, self.calls = self.calls or self._started(), None
        calls.send_bytes(pcm)
        heard: _Heard = calls.recv()
        self.calls = calls
        return heard

    def _started(self) -> Connection:
        context = multiprocessing.get_context("spawn")  # a fork would take gRPC's threads along
        ours, its = context.Pipe()
        context.Process(target=_work, args=(its,), daemon=True).start()
        its.close()
        return ours


class Recogniser:
    """Remembers what it heard by the samples' hash: a recording that repeats is quick."""

    _REMEMBERED = 20_000

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WORKERS)
        self._process = _Process()
        self._known: OrderedDict[bytes, _Heard] = OrderedDict()
        self._lock = threading.Lock()

    def submit(self, speech: Speech) -> Callable[[], Utterance]:
        """Call what it returns to wait for the words."""
        pcm = speech.samples.tobytes()
        key = hashlib.sha256(pcm).digest()
        with self._lock:
            known = self._known.get(key)
        future: Future[_Heard] = Future()
        if known:
            future.set_result(known)
        else:
            future = self._pool.submit(self._process.recognise, pcm)

        def wait() -> Utterance:
            heard = future.result()
            self._remember(key, heard)
            return _placed(heard, speech)

        return wait

    def _remember(self, key: bytes, heard: _Heard) -> None:
        with self._lock:
            self._known[key] = heard
            self._known.move_to_end(key)
            if len(self._known) > self._REMEMBERED:
                self._known.popitem(last=False)


class Listener:
    """Guesses at an utterance while it lasts, in one quick pass, in steps too short to be in the way.

    There are two at most; more streams at a time get fewer interim results.
    """

    _free = threading.Semaphore(WORKERS)
    _idle: list[Any] = []

    def __init__(self) -> None:
        self._decoder: Any = None
        self._heard = 0

    def hear(self, samples: Samples) -> str:
        """All of the utterance so far; the words so far."""
        if self._decoder is None:
            if not self._free.acquire(blocking=False):
                return ""
            self._decoder = self._idle.pop() if self._idle else _quick_decoder()
            _begin(self._decoder, _MEAN)
        new = samples[self._heard :]
        self._heard = len(samples)
        if len(new):
            self._decoder.process_raw(_prepared(new, samples, 0).tobytes())
        guess = self._decoder.hyp()
        return guess.hypstr if guess else ""

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.end_utt()
            self._idle.append(self._decoder)
            self._decoder = None
            self._free.release()
        self._heard = 0


def _quick_decoder() -> Any:
    return Decoder(loglevel="FATAL", maxhmmpf=3000, fwdflat=False, bestpath=False)


def _placed(heard: _Heard, speech: Speech) -> Utterance:
    words = tuple(
        replace(
            word,
            start=round(speech.start + word.start, 2),
            end=round(min(speech.start + word.end, speech.end), 2),
        )
        for word in heard.words
    )
    return Utterance(speech.start, speech.end, words, heard.pitch, heard.confidence)


@dataclass
class Transcript:
    channels: list[list[Utterance]]
    seconds: float


def transcribe(
    recogniser: Recogniser,
    source: Source,
    decoding: Decoding | None,
    *,
    separate: bool = False,
    check: Callable[[float], None] = lambda seconds: None,
) -> Transcript:
    """`check` is told how much was decoded, as it goes, and raises to stop it."""
    splitters: list[Splitter] = []
    waiting: deque[tuple[int, Callable[[], Utterance]]] = deque()
    utterances: list[list[Utterance]] = []
    count = 0

    def settle(most: int) -> None:
        while len(waiting) > most:
            channel, wait = waiting.popleft()
            if (utterance := wait()).words:
                utterances[channel].append(utterance)

    for block in channels(source, decoding):
        heard = block if separate else block[:1]
        while len(splitters) < len(heard):
            splitters.append(Splitter())
            utterances.append([])
        count += block.shape[1]
        check(count / RATE)
        for channel, (splitter, samples) in enumerate(zip(splitters, heard, strict=False)):
            waiting.extend((channel, recogniser.submit(s)) for s in splitter.feed(samples))
        settle(2 * WORKERS)
    for channel, splitter in enumerate(splitters):
        waiting.extend((channel, recogniser.submit(s)) for s in splitter.end())
    settle(0)
    return Transcript(utterances, count / RATE)
