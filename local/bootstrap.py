"""Makes the virtual environment. Runs on the machine's own Python, so it uses the standard library only.

The environment lies in the user's cache, named after what it was made from;
`.venv` points to it. A second clone with the same lock files has it at once.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")


def cache_dir() -> Path:
    base = os.environ.get("HEALTHHUB_CACHE") or os.environ.get("XDG_CACHE_HOME")
    home = Path(base) if base else Path.home() / ".cache"
    return home / "healthhub"


def main() -> None:
    if sys.version_info < (3, 11):
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"HealthHub needs Python 3.11 or newer; this is {version}. Try: make PYTHON=python3.11"
        )
    key = hashlib.sha256(sys.version.encode() + sys.prefix.encode())
    for lock in LOCKS:
        key.update(lock.read_bytes())
    venv = cache_dir() / f"venv-{key.hexdigest()[:16]}"
    venv.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{venv}.lock", "w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # two at once: the second waits and finds it made
        if not (venv / "complete").exists():
            make(venv)
    link = ROOT / ".venv"
    if link.is_symlink() or not link.exists():
        if not link.is_symlink() or Path(os.readlink(link)) != venv:
            link.unlink(missing_ok=True)
            link.symlink_to(venv)
    else:
        sys.exit(".venv is a directory of its own; remove it, and it becomes a link into the cache")


def make(venv: Path) -> None:
    shutil.rmtree(venv, ignore_errors=True)  # left by a run that was killed
    print("Installing Python packages (once; a minute or so) …", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        sys.exit(
            "Python can't make virtual environments here; on Debian: apt-get install python3-venv"
        )
    locks = [argument for lock in LOCKS for argument in ("-r", str(lock))]
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--retries", "2", *locks], stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit("pip could not install the packages: it needs the Python package index, once")
    (venv / "complete").touch()


if __name__ == "__main__":
    main()
