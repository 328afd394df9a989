"""Nobody is given a port that somebody else was given."""

import socket
import subprocess
import sys

import pytest

from local import ports

_ANOTHER = """
from local import ports
ports._OURS = (30_000, 30_010)
print(*ports.free_ports(4), flush=True)
input()
"""


def test_two_processes_are_never_given_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on them yet: a function's port was once the same as the key service's."""
    monkeypatch.setattr(ports, "_OURS", (30_000, 30_010))
    command = [sys.executable, "-c", _ANOTHER]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as another:
        assert another.stdin
        assert another.stdout
        theirs = {int(port) for port in another.stdout.readline().split()}
        ours = {*ports.free_ports(3), *ports.free_ports(3)}
        another.communicate("\n")
    assert len(theirs) == 4
    assert len(ours) == 6
    assert not theirs & ours


def test_what_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_OURS", (30_010, 30_012))
    with socket.socket() as taken:
        taken.bind((ports.HOST, 30_010))
        assert ports.free_ports(1) == [30_011]
