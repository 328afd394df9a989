"""What checks a Terraform configuration: terraform itself, its offline stand-in, checkov.

None of them belongs to the product, so a machine may lack each; what could not
be checked for that is said in one line, and never taken for a pass.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.bootstrap import ROOT, cache_dir

ENVIRONMENTS = ("dev", "staging", "prod")

CHECKOV_LOCK = Path(__file__).parent / "checkov.txt"


class NotHere(Exception):
    """A tool that this machine has not; says in one line what is not checked for it."""


@dataclass(frozen=True)
class Outcome:
    is_well: bool
    said: str

    def last_lines(self, count: int = 40) -> str:
        return "\n".join(self.said.strip().splitlines()[-count:])


def run(command: list[str], cwd: Path, *, seconds: int = 600, **env: str) -> Outcome:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return Outcome(False, f"{command[0]} did not end within {seconds} seconds")
    return Outcome(done.returncode == 0, done.stdout)


def terraform() -> str:
    """Raises `NotHere`."""
    if found := shutil.which("terraform"):
        return found
    raise NotHere("terraform is not installed, so terraform/ was not checked at all")


def stand_in() -> Path | None:
    """What serves the Google provider's schemas without the internet, if it lies beside the project."""
    given = os.environ.get("TF_OFFLINE", str(ROOT.parent / "shared" / "terraform" / "tf-offline"))
    found = Path(given)
    return found if found.is_file() else None


def checkov() -> Path:
    """Installed once, apart from our packages, with which it does not agree. Raises `NotHere`."""
    key = hashlib.sha256(sys.version.encode() + CHECKOV_LOCK.read_bytes()).hexdigest()[:16]
    venv = cache_dir() / f"checkov-{key}"
    if not (venv / "complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        print("Installing checkov (once; half a minute) …", flush=True)
        made = run([sys.executable, "-m", "venv", str(venv)], ROOT)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--retries", "1", "--timeout", "10"]
        if not made.is_well or not run([*pip, "-r", str(CHECKOV_LOCK)], ROOT).is_well:
            raise NotHere("checkov could not be installed, so its policies were not checked")
        (venv / "complete").touch()
    return venv / "bin" / "checkov"
