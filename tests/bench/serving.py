"""Starts one function as its deployment does, apart from the platform's own, and looks at it."""

import compileall
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.platform import Platform
from local.ports import HOST, free_ports
from local.processes import Process

_PATIENCE = 60.0
_BARE = Path(__file__).with_name("bare")


class BenchBroken(Exception):
    """What is measured does not work, so no figure would mean anything."""


@dataclass(frozen=True)
class Deployed:
    """A function ready to start: its code, byte-compiled, and its environment."""

    name: str
    source: Path
    env: Mapping[str, str]


@dataclass(frozen=True)
class Served:
    port: int
    process: Process

    def first_answer(self, path: str, headers: Mapping[str, str]) -> bytes:
        """The body of the first answer, waited for since the process was launched.

        The server listens before it has loaded everything, so the one request
        waits at its door; nothing is asked twice.
        """
        lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        with self._connected() as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            received = b""
            while data := connection.recv(65536):
                received += data
        head, _, body = received.partition(b"\r\n\r\n")
        if head[9:12] not in (b"200", b"404"):
            raise BenchBroken(f"{self.process.name} answered {path} with {head[:12]!r}")
        return body

    def _connected(self) -> socket.socket:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return socket.create_connection((HOST, self.port), timeout=_PATIENCE)
            except ConnectionRefusedError:
                if self.process.popen.poll() is not None:
                    raise BenchBroken(self.process.failure()) from None
                if time.monotonic() > deadline:
                    raise BenchBroken(f"{self.process.name} does not listen") from None
                time.sleep(0.002)

    def cpu_seconds(self) -> float:
        """Of master and worker, since they started."""
        return sum(t.user + t.system for t in (p.cpu_times() for p in self.processes()))

    def processes(self) -> list[psutil.Process]:
        """The master, then its worker."""
        master = psutil.Process(self.process.popen.pid)
        return [master, *master.children()]


@contextmanager
def serving(platform: Platform, function: Deployed) -> Iterator[Served]:
    """The function under functions-framework, with one worker; it may not answer yet."""
    port = free_ports(1)[0]
    env = {**function.env, "HOST": HOST, "PORT": str(port), "WORKERS": "1"}
    env["PYTHONPATH"] = str(_hidden(platform.run_dir / "hidden"))
    command = [sys.executable, "-m", "functions_framework"]
    with launched(platform, f"bench-{function.name}", command, env, function.source) as process:
        yield Served(port, process)


def _hidden(folder: Path) -> Path:
    """Packages that only development installs, made impossible to import, as in the cloud.

    httpx loads its command line where it finds rich, which takes longer than all the rest of it;
    telemetry loads psutil.
    """
    for name in ("psutil", "pygments", "rich"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").write_text("raise ImportError\n")
    return folder


@contextmanager
def launched(
    platform: Platform, name: str, command: list[str], env: Mapping[str, str], cwd: Path
) -> Iterator[Process]:
    process = platform.children.launch(name, command, env, cwd)
    try:
        yield process
    finally:
        os.killpg(process.popen.pid, signal.SIGKILL)  # it keeps nothing that would be lost
        process.popen.wait()
        platform.children.processes.remove(process)


def ours(platform: Platform, name: str, **env: str) -> Deployed:
    """One of our functions, from the bundle that the platform built, checking signatures."""
    bundle = platform.run_dir / "bundles" / name
    client_env = platform.client_env()
    del client_env["FIREBASE_AUTH_EMULATOR_HOST"]  # with it, unsigned tokens would pass
    framework = {
        "FUNCTION_TARGET": name,
        "FUNCTION_SOURCE": str(bundle / "main.py"),
        "FUNCTION_SIGNATURE_TYPE": "http",
        "FUNCTION_USE_ASGI": "true",
        "REQUESTS_PER_MINUTE": "1000000000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{platform.ports.traces}",
        "TRACE_RATIO": "0.1",  # as in production
    }
    return Deployed(name, bundle, {**client_env, **framework, **env})


def bare(platform: Platform, name: str, **env: str) -> Deployed:
    """A baseline, copied and byte-compiled as our bundles are."""
    source = platform.run_dir / "bare" / name
    shutil.copytree(_BARE / name, source, dirs_exist_ok=True)
    compileall.compile_dir(source, quiet=2)
    client_env = platform.client_env()
    framework = {
        "FUNCTION_TARGET": name,
        "FUNCTION_SOURCE": str(source / "main.py"),
        "FUNCTION_SIGNATURE_TYPE": "http",
    }
    return Deployed(name, source, {**client_env, **framework, **env})
