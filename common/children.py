"""Processes of their own, in which is read what strangers send."""

import os


def nothing_secret() -> dict[str, str]:
    """What Python needs to start, and one thread for arithmetic."""
    kept = {k: os.environ[k] for k in ("PATH", "PYTHONPATH", "LANG") if k in os.environ}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
