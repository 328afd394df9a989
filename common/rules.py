"""Rules and tables that are written as YAML beside the code, so that they can be reviewed by reading."""

from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache
def load(name: str) -> Any:
    """The content of `common/<name>`. Parsed by libyaml where there is one: ten times as fast."""
    import yaml  # here: only what asks the assistant needs it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with (Path(__file__).parent / name).open(encoding="utf-8") as file:
        return yaml.load(file, Loader=loader)  # noqa: S506 - it is the safe one, whichever it is
