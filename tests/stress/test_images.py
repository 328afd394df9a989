"""The stress of images, for a moment: that it tells a process that died, and that none does."""

import io
import math
import os
import signal

import pytest
from rich.console import Console

from common import picture
from tests.pictured import a_scan
from tests.stress import images


def test_p33_files_that_lie_end_no_process(figure: object) -> None:
    found = images.fuzzed(math.inf, 33, Console(file=io.StringIO()), most_files=150)
    assert found.files == 150
    assert 0 < found.taken < 150
    assert found.taken + sum(found.reasons.values()) == 150
    assert found.deaths == 0


def test_a_process_that_dies_is_noticed_and_its_file_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "examine", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    found = images.Found(1)
    images._try(a_scan(), found)
    assert (found.deaths, found.taken) == (1, 0)
    assert found.kept[0].read_bytes()[128:132] == b"DICM"
