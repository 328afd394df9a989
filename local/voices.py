"""Speech for tests and demonstrations: espeak-ng's voices, read to PCM.

    speak("Take one tablet a day", voice="en-us+m3")    16-bit mono, 22,050 Hz

The library and its data come from the wheel espeakng-loader, so nothing has to
be installed on the machine. espeak-ng keeps its state in globals: one thread
speaks at a time. The same call gives the same bytes.
"""

import ctypes
import threading
from functools import cache

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


@_Callback
def _keep(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int | None) -> int:
    if samples and count > 0:
        _spoken.extend(ctypes.string_at(samples, 2 * count))
    return 0


def speak(text: str, *, voice: str = "en-us", pitch: int = 50, rate: int = 150) -> bytes:
    """`pitch` from 0 to 99, `rate` in words a minute (80 to 450).

    A voice is a language with, after a plus, a variant: m1 to m8, f1 to f5.
    """
    with _lock:
        _spoken.clear()
        library = _library()
        # Setting the voice, even the same one, also starts its flutter and noise anew.
        if library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice}")
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        said = text.encode() + b"\0"
        if library.espeak_Synth(said, len(said), 0, _CHARACTERS, 0, _UTF8, None, None):
            raise RuntimeError("espeak-ng could not speak")
        return bytes(_spoken)


@cache
def _library() -> ctypes.CDLL:
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
    library.espeak_SetSynthCallback(_keep)
    return library
