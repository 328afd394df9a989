"""Branch coverage of the product, the functions' own processes included.

python -m tests.coverage run      all tests, measured (what `make test` does)
python -m tests.coverage report   what the last run missed (runs first if it is out of date)
python -m tests.coverage check    as report, and fails below the threshold in pyproject.toml
"""

import os
import subprocess
import sys

from local.bootstrap import ROOT

DATA = ROOT / ".healthhub" / "coverage"
_PYTHON = [sys.executable, "-m"]
_IN_PARALLEL = ["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]
"""Two platforms beside each other: one alone leaves half of two cores waiting."""
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_PASSED_ON = {
    name: os.environ.pop(name)
    for name in [*os.environ]
    if _IS_WORKER and name.startswith("COVERAGE_PROCESS_")
}
"""Has any Python that is started measure itself. Workers pass it on only to what runs the product; stand-ins that are measured slow the tests down."""


def run(arguments: list[str]) -> int:
    """Run pytest, measured; returns its exit status. Data of an earlier run is forgotten."""
    DATA.parent.mkdir(exist_ok=True)
    for old in DATA.parent.glob(f"{DATA.name}*"):
        old.unlink()
    tests = subprocess.run(
        [*_PYTHON, "coverage", "run", "-m", "pytest", *_IN_PARALLEL, *arguments],
        cwd=ROOT,
        env=_environment(),
    )
    _coverage("combine", "--quiet")
    return tests.returncode


def measured_environment() -> dict[str, str]:
    """What a process that runs product code needs for its coverage to be measured and saved, when it is measured."""
    if "COVERAGE_FILE" not in os.environ:
        return {}
    return {**_PASSED_ON, "PYTHONPATH": str(ROOT / "tests" / "measured")}


def is_current() -> bool:
    """Whether nothing that is measured or that measures is newer than the last run."""
    if not DATA.exists():
        return False
    measured = [
        path
        for folder in ("common", "functions", "ops", "tests", "local")
        for path in (ROOT / folder).rglob("*.py")
    ]
    return DATA.stat().st_mtime > max(path.stat().st_mtime for path in measured)


def report(*options: str) -> int:
    return _coverage("report", "--skip-covered", "--show-missing", *options)


def _coverage(*arguments: str) -> int:
    return subprocess.run(
        [*_PYTHON, "coverage", *arguments], cwd=ROOT, env=_environment()
    ).returncode


def _environment() -> dict[str, str]:
    return {**os.environ, "COVERAGE_FILE": str(DATA)}


def main(command: str, arguments: list[str]) -> int:
    if command == "run":
        return run(arguments)
    if not is_current() and (failed := run(arguments)):
        return failed
    return report() if command == "check" else report("--fail-under=0")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
