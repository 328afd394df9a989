"""Speech-to-Text's requests checked, and its results written, for the stand-in in speech.py."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import numpy as np
from google.cloud.speech_v2.types import cloud_speech
from google.protobuf import duration_pb2

from local.audio import MOST_CHANNELS, Decoding, Source
from local.recognizer import Recogniser, Transcript, Utterance, transcribe

_RECOGNIZER = re.compile(r"projects/[^/]+/locations/[^/]+/recognizers/([^/]+)")
_LANGUAGE = re.compile(r"auto|[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MODELS = {
    "long",
    "short",
    "telephony",
    "telephony_short",
    "latest_long",
    "latest_short",
    "medical_conversation",
    "medical_dictation",
    "chirp",
    "chirp_2",
    "chirp_3",
    "chirp_telephony",
}
_MOST_SPEAKERS = 6

Features = cloud_speech.RecognitionFeatures.pb()


class Refused(Exception):
    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def decoding_of(recognizer: str, config: Any) -> Decoding | None:
    """Refuses a request that the real one refuses before it looks at the audio."""
    _check_recognizer(recognizer)
    if not config.model:
        raise _invalid("The model must be specified")
    if config.model not in _MODELS:
        raise _invalid(f'The model "{config.model}" does not exist')
    if not config.language_codes:
        raise _invalid("At least one language code must be specified")
    for language in config.language_codes:
        if not _LANGUAGE.fullmatch(language):
            raise _invalid(f'The language "{language}" is not supported')
    match config.WhichOneof("decoding_config"):
        case "auto_decoding_config":
            return None
        case "explicit_decoding_config":
            return _explicit(config.explicit_decoding_config)
    raise _invalid("A decoding config must be specified")


def _check_recognizer(name: str) -> None:
    found = _RECOGNIZER.fullmatch(name)
    if not found:
        raise _invalid(f"Invalid recognizer: {name}")
    if found[1] != "_":
        raise Refused(grpc.StatusCode.NOT_FOUND, f"Recognizer {name} does not exist")


def _explicit(config: Any) -> Decoding:
    names = cloud_speech.ExplicitDecodingConfig.pb().AudioEncoding
    if config.encoding not in names.values()[1:]:
        raise _invalid("The encoding must be specified")
    name = names.Name(config.encoding)
    if name in ("LINEAR16", "MULAW", "ALAW") and not 8000 <= config.sample_rate_hertz <= 48000:
        raise _invalid("The sample rate must be between 8000 and 48000 hertz")
    if not 0 <= config.audio_channel_count <= MOST_CHANNELS:
        raise _invalid(f"Audio may have at most {MOST_CHANNELS} channels")
    return Decoding(name, config.sample_rate_hertz, config.audio_channel_count)


def _invalid(message: str) -> Refused:
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def separates(features: Any) -> bool:
    return bool(features.multi_channel_mode == Features.SEPARATE_RECOGNITION_PER_CHANNEL)


def transcribed(
    recogniser: Recogniser, audio: Source, config: Any, check: Callable[[float], None]
) -> Transcript:
    decoding = _explicit(config.explicit_decoding_config) if _is_explicit(config) else None
    separate = separates(config.features)
    return transcribe(recogniser, audio, decoding, separate=separate, check=check)


def _is_explicit(config: Any) -> bool:
    return bool(config.HasField("explicit_decoding_config"))


# ------------------------------------------------------------ results


def duration(seconds: float) -> Any:
    made = duration_pb2.Duration()
    made.FromMilliseconds(round(seconds * 1000))
    return made


def billed(seconds: float) -> Any:
    """Every second that was begun."""
    return duration(math.ceil(round(seconds, 3)))


def language_of(config: Any) -> str:
    """The real one writes them in small letters; "auto" is what it heard, English here."""
    first: str = config.language_codes[0].lower()
    return "en-us" if first == "auto" else first


def results_of(transcript: Transcript, config: Any) -> Iterable[Any]:
    """Channel by channel. Silence has no results."""
    separate = separates(config.features)
    for channel, utterances in enumerate(transcript.channels, 1):
        named: dict[Utterance, str] = {}
        if config.features.HasField("diarization_config"):
            most = config.features.diarization_config.max_speaker_count or _MOST_SPEAKERS
            named = _speakers(utterances, most)
        for utterance in utterances:
            yield cloud_speech.SpeechRecognitionResult.pb()(
                alternatives=[alternative(utterance, config.features, named.get(utterance, ""))],
                channel_tag=channel if separate else 0,
                result_end_offset=duration(utterance.end),
                language_code=language_of(config),
            )


def _speakers(utterances: list[Utterance], most: int) -> dict[Utterance, str]:
    """Who said it, told apart by pitch alone: "1", "2", … by who spoke first.

    Voices are different where, between the utterances' pitches in order, a step
    of three semitones or more is also twice as wide as the groups it parts.
    """
    pitched = sorted((u for u in utterances if u.pitch), key=lambda u: u.pitch)
    octaves = np.log2([u.pitch for u in pitched]) if pitched else np.empty(0)
    steps = np.diff(octaves)
    cuts: list[int] = []
    for index in np.argsort(-steps, kind="stable")[: max(0, most - 1)]:
        groups = np.split(octaves, sorted(c + 1 for c in [*cuts, int(index)]))
        spread = max(float(group.std()) for group in groups)
        if steps[index] >= 0.25 and steps[index] > 2 * spread:
            cuts.append(int(index))
    group = {u: sum(i > cut for cut in cuts) for i, u in enumerate(pitched)}
    labels: dict[int, str] = {}
    named: dict[Utterance, str] = {}
    for utterance in sorted(utterances, key=lambda u: u.start):
        number = group.get(utterance, 0)
        named[utterance] = labels.setdefault(number, str(len(labels) + 1))
    return named


def alternative(utterance: Utterance, features: Any, speaker: str = "") -> Any:
    texts = written([word.text for word in utterance.words], features)
    made = cloud_speech.SpeechRecognitionAlternative.pb()(
        transcript=" ".join(texts), confidence=utterance.confidence
    )
    timed, rated = features.enable_word_time_offsets, features.enable_word_confidence
    if not (timed or rated or speaker):
        return made
    for text, word in zip(texts, utterance.words, strict=True):
        info = made.words.add(word=text, speaker_label=speaker)
        if timed and word.start:  # none at the very start, as in the real one's
            info.start_offset.CopyFrom(duration(word.start))
        if timed:
            info.end_offset.CopyFrom(duration(word.end))
        if rated:
            info.confidence = word.confidence
    return made


def written(words: list[str], features: Any) -> list[str]:
    if not (features.enable_automatic_punctuation and words):
        return words
    words = [words[0].capitalize(), *words[1:]]
    return [*words[:-1], words[-1] + "."]
