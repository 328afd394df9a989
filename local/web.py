"""What is built with npm: the TypeScript client, and the example app that uses it.

Nothing is installed into the tree: each is copied into a folder of its own,
where its packages are links into the cache.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import tools
from local.bootstrap import ROOT, cache_dir

CLIENT = ROOT / "clients" / "typescript"
EXAMPLE = ROOT / "examples" / "mobile"

_MADE = ("node_modules", "dist", "build")
"""What npm makes of the sources."""


class BuildFailed(Exception):
    """Says in one line what a script of npm complained of."""


@contextmanager
def staged(node: str, *packages: Path) -> Iterator[list[Path]]:
    """Copies of these packages, as they are after `npm install`. Raises `ToolMissing`."""
    with tempfile.TemporaryDirectory(prefix="healthhub-web-") as folder:
        yield [_stage(node, package, Path(folder).resolve()) for package in packages]


def _stage(node: str, package: Path, folder: Path) -> Path:
    place = folder / package.relative_to(ROOT)
    shutil.copytree(package, place, ignore=shutil.ignore_patterns(*_MADE))
    modules = place / "node_modules"
    modules.mkdir()
    for installed in tools.npm_packages(node, package).iterdir():
        (modules / installed.name).symlink_to(installed)
    if package == EXAMPLE:
        (modules / "@healthhub").mkdir()
        (modules / "@healthhub" / "client").symlink_to(folder / CLIENT.relative_to(ROOT))
    return place


def run(node: str, place: Path, script: str, **env: str) -> str:
    """What a package's script prints. Raises `BuildFailed`."""
    done = subprocess.run(
        [*tools.npm(node), "run", "--silent", script],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**tools.with_node(node), **env},
    )
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        raise BuildFailed(f"npm run {script} failed in {place.name}: {said[-2000:]}")
    return done.stdout


def example(node: str) -> Path:
    """The app as a folder of files to serve; built when a source has changed. Raises `ToolMissing`, `BuildFailed`."""
    target = cache_dir() / f"example-{_hash_of(CLIENT, EXAMPLE)}"
    with tools.made_once(target) as needed:
        if needed:
            with staged(node, CLIENT, EXAMPLE) as (client, app):
                run(node, client, "build")
                run(node, app, "build")
                shutil.copytree(app / "dist", target)
    return target


def _hash_of(*packages: Path) -> str:
    whole = hashlib.sha256()
    for package in packages:
        for file in sorted(package.rglob("*")):
            path = file.relative_to(package)
            if file.is_file() and path.parts[0] not in _MADE:
                whole.update(f"{path}\0".encode() + file.read_bytes())
    return whole.hexdigest()[:16]
