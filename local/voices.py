"""Speech for tests and demonstrations: espeak-ng's voices, read to PCM.

    speak("Take one tablet a day", voice="en-us+m3")    16-bit mono, 22,050 Hz

The library and its data come from the wheel espeakng-loader, so nothing has to
be installed on the machine. espeak-ng keeps its state in globals: one thread
speaks at a time, and the library is loaded anew for each call, in a millisecond,
or what was said before would be heard in the samples. The same call gives the
same bytes.
"""

import _ctypes
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import espeakng_loader

SAMPLE_RATE = 22_050

_SYNCHRONOUS = 2  # the samples go to the callback, none to a sound card, and Synth waits
_DONT_EXIT = 0x8000  # an error is returned; by default the library ends the process
_CHARACTERS, _UTF8 = 1, 1
_RATE, _PITCH = 1, 3

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
_lock = threading.Lock()
_spoken = bytearray()


def _keep(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int | None) -> int:
    if samples and count > 0:
        _spoken.extend(ctypes.string_at(samples, 2 * count))
    return 0


_callback = _Callback(_keep)  # the library keeps no reference to it


def speak(text: str, *, voice: str = "en-us", pitch: int = 50, rate: int = 150) -> bytes:
    """`pitch` from 0 to 99, `rate` in words a minute (80 to 450).

    A voice is a language with, after a plus, a variant: m1 to m8, f1 to f5, klatt to klatt6.
    The stand-in of Speech-to-Text understands these best, nine words of ten: "en-us+klatt3",
    deep, and "en-us+f5", high, at rates from 150 to 170. Of "en-us" it does seven of ten.
    """
    with _lock, _library() as library:
        _check_variant(voice)
        _spoken.clear()
        if library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice}")
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        said = text.encode() + b"\0"
        if library.espeak_Synth(said, len(said), 0, _CHARACTERS, 0, _UTF8, None, None):
            raise RuntimeError("espeak-ng could not speak")
        return bytes(_spoken)


def _check_variant(voice: str) -> None:
    """An unknown language is an error of espeak-ng's; of an unknown variant it says nothing."""
    _, _, variant = voice.partition("+")
    if variant and not (Path(espeakng_loader.get_data_path()) / "voices/!v" / variant).is_file():
        raise ValueError(f"espeak-ng has no voice {voice}")


@contextmanager
def _library() -> Iterator[ctypes.CDLL]:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng did not start: {rate}")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # by default the time: breath would differ
    library.espeak_SetSynthCallback(_callback)
    try:
        yield library
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)
