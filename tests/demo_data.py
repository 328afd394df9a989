"""The demo data on the tests' platform, as `make dev` fills it in."""

import json
import os
import subprocess
import sys

from local.bootstrap import ROOT
from local.platform import Platform


def fill(platform: Platform) -> dict[str, int]:
    """In a process of its own, as `make seed` does; returns how much there is of each kind."""
    program = "import json; from local import seed; print(json.dumps(seed.fill()))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **platform.client_env()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)
    return counts
