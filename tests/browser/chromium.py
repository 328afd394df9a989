"""The browser for the tests: what the machine has, else a build of Chromium that npm carries."""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import tools
from local.tools import ToolMissing

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = ("Google Chrome", "Chromium", "Microsoft Edge")

# It asks nobody but the platform, and gets along without a sandbox, which containers often forbid.
ARGUMENTS = [
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_UNPACK = """
const { createReadStream, createWriteStream } = require("node:fs");
const { pipeline } = require("node:stream/promises");
const { createBrotliDecompress } = require("node:zlib");
const [packed, unpacked] = process.argv.slice(1);
pipeline(createReadStream(packed), createBrotliDecompress(), createWriteStream(unpacked));
"""


@dataclass(frozen=True)
class Chromium:
    path: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """What it needs besides the environment that there is."""


def find() -> Chromium:
    """Raises `ToolMissing`."""
    return on_machine() or from_npm(tools.find_node())


def on_machine() -> Chromium | None:
    """What is installed and runs: a Debian-like `chromium-browser` may be no more than a hint to a shop."""
    found = [shutil.which(name) for name in _NAMES]
    if sys.platform == "darwin":
        found += [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in _MAC]
    runs = (Path(path) for path in found if path and tools.version(path, "--version"))
    return next((Chromium(path) for path in runs), None)


def from_npm(node: str) -> Chromium:
    """Raises `ToolMissing`."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise ToolMissing("a browser is missing: install Chromium or Google Chrome")
    modules = tools.npm_packages(node, Path(__file__).parent)
    packed = modules / "@sparticuz" / "chromium" / "bin"
    target = modules.parent.with_name(f"{modules.parent.name}-chromium")
    with tools.made_once(target) as needed:
        if needed:
            target.mkdir()
            for file in packed.glob("*.br"):
                _unpack(node, file, target / file.stem)
            (target / "chromium").chmod(0o755)
    libraries = os.pathsep.join(map(str, (target / "lib", target)))
    env = {"LD_LIBRARY_PATH": libraries}
    if not Path("/etc/fonts/fonts.conf").exists():
        env["FONTCONFIG_PATH"] = str(target)
    return Chromium(target / "chromium", env)


def _unpack(node: str, packed: Path, unpacked: Path) -> None:
    subprocess.run([node, "-e", _UNPACK, str(packed), str(unpacked)], check=True, timeout=120)
    if unpacked.suffix == ".tar":
        with tarfile.open(unpacked) as tar:
            tar.extractall(unpacked.parent, filter="data")
        unpacked.unlink()
