"""On the path of the functions while coverage is measured: saves it before a worker ends.

uvicorn ends a worker by raising SIGTERM again with the default action, which
leaves no time for coverage's own hooks. And it measures what a function starts for
itself, and gives next to nothing of its environment (`common/children.py`).
"""

import os
import signal
from pathlib import Path

_raise_signal = signal.raise_signal


def _raise_signal_after_saving(number: int) -> None:
    import coverage

    measured = coverage.Coverage.current()
    if measured is not None:
        measured.stop()
        measured.save()
    _raise_signal(number)


signal.raise_signal = _raise_signal_after_saving


if "COVERAGE_FILE" not in os.environ:
    _root = Path(__file__).parents[2]
    os.environ["COVERAGE_FILE"] = str(_root / ".healthhub" / "coverage")
    os.environ["COVERAGE_PROCESS_START"] = str(_root / "pyproject.toml")
    import coverage

    coverage.process_startup()
