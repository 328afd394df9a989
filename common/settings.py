"""Configuration, read once from the environment.

Product code never asks whether it runs on a laptop: it talks to whatever
address it is given. The one check here goes the other way: a function that
finds an emulator's address while it runs in the cloud refuses to start,
because the Auth emulator accepts tokens that nobody signed.
"""

import base64
import os
from collections.abc import Mapping
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

__version__ = "0.1.0"


class ConfigurationError(RuntimeError):
    """The environment is unusable; the function must not start."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True)

    project_id: str = Field(min_length=1)
    function: str = "local"
    version: str = __version__
    identity_api_key: str = ""
    page_token_key: bytes = Field(min_length=32, max_length=32)
    """AES-256 key for page tokens; the same for every instance of every function."""
    certificates_url: str = (
        "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
    )
    """Where the certificates are that sign Firebase ID tokens."""
    cors_origins: tuple[str, ...] = ()
    proxy_hops: int = Field(default=2, ge=0, le=5)
    """How many addresses the load balancer appends to X-Forwarded-For: its client's and its own."""
    requests_per_minute: int = Field(default=600, ge=1)
    """For one person or, for anonymous requests, one address; counted per instance."""


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises `ConfigurationError`, naming the variable, when one is missing or
    when an emulator is configured in the cloud (`K_SERVICE` is set there).
    """
    if "K_SERVICE" in environ:
        emulators = sorted(name for name in environ if name.endswith("_EMULATOR_HOST"))
        if emulators:
            raise ConfigurationError(f"{', '.join(emulators)} must not be set in the cloud")
    values: dict[str, object] = {}
    for field, variable in _VARIABLES.items():
        if environ.get(variable):
            values[field] = environ[variable]
    for required in ("project_id", "page_token_key"):
        if required not in values:
            raise ConfigurationError(f"{_VARIABLES[required]} is not set")
    try:
        values["page_token_key"] = base64.b64decode(str(values["page_token_key"]), validate=True)
        if "cors_origins" in values:
            values["cors_origins"] = tuple(str(values["cors_origins"]).split(","))
        return Settings.model_validate(values)
    except ValueError as error:
        raise ConfigurationError(f"the environment is unusable: {_without_values(error)}") from None


_VARIABLES = {
    "project_id": "GOOGLE_CLOUD_PROJECT",
    "function": "FUNCTION_TARGET",
    "version": "HEALTHHUB_VERSION",
    "identity_api_key": "IDENTITY_API_KEY",
    "page_token_key": "PAGE_TOKEN_KEY",
    "certificates_url": "TOKEN_CERTIFICATES_URL",
    "cors_origins": "CORS_ORIGINS",
    "proxy_hops": "PROXY_HOPS",
    "requests_per_minute": "REQUESTS_PER_MINUTE",
}


def _without_values(error: ValueError) -> str:
    """Name what is wrong without printing it: one of the values is a key."""
    details = getattr(error, "errors", None)
    if details is None:
        return "PAGE_TOKEN_KEY is not base64"
    return "; ".join(f"{_VARIABLES[str(item['loc'][0])]}: {item['msg']}" for item in details())


@lru_cache
def settings() -> Settings:
    return from_environment(os.environ)
