"""`functions/catalog.yaml`, typed."""

from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from local.bootstrap import ROOT

Use = Literal[
    "keys",
    "accounts",
    "speech",
    "vision",
    "model",
    "healthcare_nlp",
    "push",
    "mail",
    "scanner",
    "signing",
]
Verb = Literal["read", "create", "delete"]
BucketName = Literal["uploads", "results", "previews", "deidentified", "quarantine"]


class Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: Literal["uploads", "results"]
    prefix: str = Field(pattern=r"^[a-z]+/$")


class Function(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["http", "event", "clock"]
    paths: tuple[str, ...] = ()
    schedule: str | None = None
    is_cached: bool = False
    stored: Stored | None = None
    topic: str | None = None
    memory: str = Field(pattern=r"^\d+(Mi|Gi)$")
    cpu: float
    timeout: int
    concurrency: int
    min_instances: int = 0
    uses: tuple[Use, ...] = ()
    buckets: dict[BucketName, tuple[Verb, ...]] = {}
    publishes_to: tuple[str, ...] = ()

    def answers(self, path: str) -> bool:
        """Whether the load balancer sends this path (without `/v1`) here."""
        return any(_matches(pattern, path) for pattern in self.paths)


def _matches(pattern: str, path: str) -> bool:
    if pattern.endswith("/*"):
        return path.startswith(pattern[:-1])
    return path == pattern


def read() -> list[Function]:
    entries = yaml.safe_load((ROOT / "functions" / "catalog.yaml").read_text())["functions"]
    return [Function(name=name, **entry) for name, entry in entries.items()]
