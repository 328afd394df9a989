"""On the path of the functions while coverage is measured: saves it before a worker ends.

uvicorn ends a worker by raising SIGTERM again with the default action, which
leaves no time for coverage's own hooks.
"""

import signal

_raise_signal = signal.raise_signal


def _raise_signal_after_saving(number: int) -> None:
    import coverage

    measured = coverage.Coverage.current()
    if measured is not None:
        measured.stop()
        measured.save()
    _raise_signal(number)


signal.raise_signal = _raise_signal_after_saving
