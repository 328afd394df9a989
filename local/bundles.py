"""A function's bundle, as it is deployed: its own files at the root, `common/`, the requirements."""

import compileall
import shutil
from pathlib import Path

from local.bootstrap import ROOT


def files(name: str) -> dict[str, Path]:
    """What lies where in the bundle of one function."""
    function = ROOT / "functions" / name
    own = [path for path in _sources(function) if path.stat().st_size]
    bundle = {str(path.relative_to(function)): path for path in own}
    for path in _sources(ROOT / "common"):
        bundle[str(path.relative_to(ROOT))] = path
    bundle["requirements.txt"] = ROOT / "requirements.txt"
    return bundle


def _sources(folder: Path) -> list[Path]:
    """Code, and the tables that it reads."""
    return sorted(path for kind in ("py", "json", "yaml") for path in folder.rglob(f"*.{kind}"))


def build(name: str, into: Path) -> Path:
    """Write the bundle to a folder, byte code included: the buildpack compiles only dependencies."""
    shutil.rmtree(into, ignore_errors=True)
    for target, source in files(name).items():
        (into / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, into / target)
    compileall.compile_dir(into, quiet=2)
    return into
