"""Child processes that don't outlive us: started apart, ended together, found again after a crash."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


class StartFailed(Exception):
    """Says in one line what did not start, and why."""


@dataclass
class Process:
    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    command: list[str]
    env: Mapping[str, str]
    cwd: Path

    def failure(self) -> str:
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
        return f"{self.name} ended unexpectedly ({last[0] if last else 'it said nothing'}); see {self.log}"


class Children:
    """The processes of one run; `run_dir` holds their logs and their list."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.processes: list[Process] = []

    @property
    def _list(self) -> Path:
        return self.run_dir / "processes.json"

    def launch(self, name: str, command: list[str], env: Mapping[str, str], cwd: Path) -> Process:
        log = self.run_dir / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        return self._launched(name, command, env, cwd, log)

    def launch_again(self, name: str) -> Process:
        """Kill a process with its group, and start it as it was; its log goes on."""
        process = next(each for each in self.processes if each.name == name)
        _signal_group(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
        self.processes.remove(process)
        return self._launched(name, process.command, process.env, process.cwd, process.log)

    def _launched(
        self, name: str, command: list[str], env: Mapping[str, str], cwd: Path, log: Path
    ) -> Process:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [*_dying_with_us(), *command],
                cwd=cwd,
                env={**_clean_environment(), **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end the group
            )
        process = Process(name, popen, log, command, env, cwd)
        self.processes.append(process)
        children = {process.name: process.popen.pid for process in self.processes}
        listed = {"owner": os.getpid(), "children": children}
        self._list.write_text(json.dumps(listed))
        return process

    def end(self) -> None:
        """End every process: asked first, and after five seconds made to."""
        for process in reversed(self.processes):
            _signal_group(process.popen.pid, signal.SIGTERM)
        deadline = time.monotonic() + 5
        for process in self.processes:
            try:
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process.popen.pid, signal.SIGKILL)
                process.popen.wait()
        self.processes.clear()
        self._list.unlink(missing_ok=True)

    def failed(self) -> Process | None:
        """A process that ended by itself."""
        return next((p for p in self.processes if p.popen.poll() is not None), None)

    def end_leftovers(self, say: Callable[[str], None]) -> None:
        """End what a killed run left behind; a process that got a reused id is left alone.

        Raises `StartFailed` when that run was not killed, but goes on.
        """
        try:
            listed = json.loads(self._list.read_text())
            owner, children = listed["owner"], listed["children"].values()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return
        if owner != os.getpid() and _running(owner, ("local dev",)):
            raise StartFailed(
                f"HealthHub runs here already (process {owner}); stop it with Ctrl-C there"
            )
        left = [process for pid in children if (process := _running(pid, _COMMANDS))]
        for process in left:
            _signal_group(process.pid, signal.SIGKILL)
        psutil.wait_procs(left, timeout=5)
        if left:
            say(f"ended {len(left)} processes that an earlier run left behind")
        self._list.unlink(missing_ok=True)


def _running(pid: int, marks: tuple[str, ...]) -> psutil.Process | None:
    """The process of this id, if its command line holds one of the marks."""
    try:
        process = psutil.Process(pid)
        for _ in range(5):
            if command := " ".join(process.cmdline()):
                break
            time.sleep(0.05)  # it is just becoming another program
    except psutil.Error:
        return None
    return process if any(mark in command for mark in marks) else None


_COMMANDS = ("emulator", "functions_framework", "-m local.")


def _clean_environment() -> dict[str, str]:
    """Ours, without what would point a child at another platform."""
    return {k: v for k, v in os.environ.items() if not k.endswith("_EMULATOR_HOST")}


def _signal_group(pid: int, sent: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended by itself
        os.killpg(pid, sent)


def _dying_with_us() -> list[str]:
    """A prefix that has Linux end the child if we are killed without a chance to clean up.

    Not a `preexec_fn`: code of ours between fork and exec can hang or crash
    when gRPC has threads here. Elsewhere, the next start ends what was left.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
