"""Real images, damaged at random, through all that is done with what strangers send.

Each file is worked on in a process that is forked for it, under the limits that `common/picture.py`
sets itself, with its commands one after the other. A process that ends otherwise than by saying
what it found, or why not, has died; the file is kept.
"""

import io
import math
import os
import random
import resource
import struct
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from common import picture
from common.imaging import Alias, Box
from common.verdict import HEAD_BYTES, kind_of
from tests.pictured import CARRIED, a_photo, a_scan, carried

_TAKEN, _REFUSED = 0, 10
_REASON_AT_MOST = 200
_CPU_SECONDS = 60
_ALIAS = Alias(bytes(32))
_BOX = Box(left=1, top=1, right=40, bottom=9)


@dataclass
class Found:
    seed: int
    files: int = 0
    taken: int = 0
    deaths: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    """Bytes, with what the process had when it was forked."""
    slowest: float = 0.0
    """Seconds of CPU."""
    kept: list[Path] = field(default_factory=list)

    def figures(self) -> list[tuple[str, str]]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.reasons.most_common())
        return [
            ("files", f"{self.files:,}"),
            ("taken", f"{self.taken:,}"),
            ("refused", f"{sum(self.reasons.values()):,}: {reasons}"),
            ("processes that died", str(self.deaths)),
            ("most memory", f"{self.peak / 1e6:.0f} MB"),
            ("longest", f"{self.slowest:.1f} s of CPU"),
        ]


def fuzzed(
    seconds: float, seed: int | None, console: Console, most_files: float = math.inf
) -> Found:
    """Damage and read files for so long, or so many."""
    seed = random.randrange(1 << 32) if seed is None else seed
    chance = random.Random(seed)
    found = Found(seed)
    files = _files()
    _warmed()
    end = time.monotonic() + seconds
    with Progress(console=console, transient=True) as progress:
        total = seconds if math.isfinite(seconds) else None
        task = progress.add_task("Images that lie …", total=total)
        while (left := end - time.monotonic()) > 0 and found.files < most_files:
            _try(_damaged(chance.choice(files), files, chance), found)
            progress.update(task, completed=0 if total is None else seconds - left)
    return found


def _files() -> list[bytes]:
    photos = [a_photo("text", format=kind) for kind in ("PNG", "JPEG", "TIFF", "WEBP")]
    scans = [carried(path.name) for path in sorted(CARRIED.rglob("*.dcm"))]
    return [*photos, a_scan(), *(each for each in scans if len(each) < 1 << 20)]


def _warmed() -> None:
    """Import here what each forked process would."""
    file = io.BytesIO(a_scan())
    picture.examine(picture.opened(kind_of(a_scan()[:HEAD_BYTES]), file), _silent())


def _silent() -> picture.Answers:
    return picture.Answers(io.BytesIO())


# ---------------------------------------------------------------- damage


def _damaged(content: bytes, files: list[bytes], chance: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not out:
            break
        out = chance.choice(_WAYS)(out, files, chance)
    return bytes(out)


def _bits(out: bytearray, files: list[bytes], chance: random.Random) -> bytearray:
    out[_place(out, chance)] ^= 1 << chance.randrange(8)
    return out


def _number(out: bytearray, files: list[bytes], chance: random.Random) -> bytearray:
    """A length or a count that lies."""
    value = chance.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF))
    size = chance.choice(("<H", ">H", "<L", ">L"))
    at = _place(out, chance)
    packed = struct.pack(size, value & (0xFFFF if size[1] == "H" else 0xFFFFFFFF))
    out[at : at + len(packed)] = packed
    return out


def _cut(out: bytearray, files: list[bytes], chance: random.Random) -> bytearray:
    return out[: chance.randrange(len(out))]


def _removed(out: bytearray, files: list[bytes], chance: random.Random) -> bytearray:
    at = _place(out, chance)
    del out[at : at + chance.randrange(1, 64)]
    return out


def _repeated(out: bytearray, files: list[bytes], chance: random.Random) -> bytearray:
    at = _place(out, chance)
    piece = out[at : at + chance.randrange(1, 256)]
    out[at:at] = piece * chance.choice((1, 8, 2000))
    return out


def _spliced(out: bytearray, files: list[bytes], chance: random.Random) -> bytearray:
    other = chance.choice(files)
    at = chance.randrange(len(other))
    out[_place(out, chance) :] = other[at : at + (1 << 18)]
    return out


def _place(out: bytearray, chance: random.Random) -> int:
    """In the head of the file as often as anywhere else: there is what says how to read it."""
    return chance.randrange(min(len(out), chance.choice((600, 4000, len(out)))))


_WAYS: list[Callable[[bytearray, list[bytes], random.Random], bytearray]] = [
    _bits,
    _bits,
    _number,
    _number,
    _cut,
    _removed,
    _repeated,
    _spliced,
]


# ---------------------------------------------------------------- the process


def _try(content: bytes, found: Found) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(content, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        reason = told.read(_REASON_AT_MOST).decode()
    _, status, used = os.wait4(child, 0)
    found.files += 1
    found.peak = max(found.peak, used.ru_maxrss * 1024)
    found.slowest = max(found.slowest, used.ru_utime + used.ru_stime)
    code = os.waitstatus_to_exitcode(status)
    if code == _TAKEN:
        found.taken += 1
    elif code == _REFUSED:
        found.reasons[reason] += 1
    else:
        found.deaths += 1
        kept = Path(tempfile.mkdtemp(prefix="healthhub-stress-")) / f"ended-with-{code}"
        kept.write_bytes(content)
        found.kept.append(kept)


def _work(content: bytes, writing: int) -> None:
    """In the forked process; it ends here."""
    warnings.simplefilter("ignore")  # pydicom remarks on each damaged value
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # and decoders on why they panic
    resource.setrlimit(resource.RLIMIT_AS, (picture.MEMORY, picture.MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS + 5))

    def all_of_it() -> dict[str, Any]:
        source = picture.opened(kind_of(content[:HEAD_BYTES]), io.BytesIO(content))
        picture.examine(source, _silent())
        picture.read(source, [], _silent())
        for boxes in ([], [_BOX]):
            picture.clean(source, boxes, _ALIAS, _silent())
        return {}

    code = 1
    try:
        reason = picture.attempted(all_of_it).get("error", "")
        os.write(writing, reason.encode())
        code = _REFUSED if reason else _TAKEN
    finally:
        os._exit(code)
