"""Configuration, read once from the environment.

Product code never asks whether it runs on a laptop: it talks to whatever
address it is given. The one check here goes the other way: a function that
finds an emulator's address while it runs in the cloud refuses to start,
because the Auth emulator accepts tokens that nobody signed.
"""

import base64
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__version__ = "0.1.0"


class ConfigurationError(RuntimeError):
    """The environment is unusable; the function must not start."""


Period = Annotated[str, Field(pattern=r"^[1-9]\d{0,4}d$|^[1-9]\d?y$")]


class Retention(BaseModel):
    """For how long each kind of record is kept, at least; in days or calendar years.

    The defaults are HIPAA's six years for what documents care and access
    (45 CFR 164.316(b)(2)(i)); state law often asks for more, for minors above all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: Period = "6y"
    """Clinical records, with their versions; counted from the last change or, if later, the archiving."""
    patients: Period = "6y"
    """What a patient's profile and key hold; counted likewise, and never before the history went."""
    break_glass: Period = "6y"
    audit_events: Period = "6y"
    access_grants: Period = "30d"
    """Counted from the grant's end."""
    notifications: Period = "180d"
    appointments: Period = "6y"
    """With the profile of their archived patient; counted from their last change."""
    transcriptions: Period = "6y"
    """With what was recorded; with the profile of their archived patient, counted from their last change."""
    medical_images: Period = "6y"
    """With the files; counted likewise. Many laws ask for more: ten years (Germany), or until a child is grown."""
    conversations: Period = "1y"
    """With the assistant; each exchange counted from when it took place. Whoever had them can delete them before."""
    dead_letters: Period = "30d"
    visit_access: Period = "90d"
    """How long after a visit its doctor still sees the patient."""

    def visit_access_end(self, visit: datetime) -> datetime:
        return self.end("visit_access", visit)

    @classmethod
    def parse(cls, text: str) -> "Retention":
        """From `history=10y,notifications=90d`. Raises `ValueError`."""
        try:
            return cls.model_validate(dict(part.split("=") for part in text.split(",")))
        except ValueError:
            kinds = ", ".join(cls.model_fields)
            raise ValueError(
                f"RETENTION must read kind=6y or kind=30d, comma-separated; kinds are {kinds}"
            ) from None

    def cutoff(self, kind: str, moment: datetime) -> datetime:
        """What was last of use before this time is due at `moment`."""
        return self._moved(kind, moment, -1)

    def end(self, kind: str, moment: datetime) -> datetime:
        """Until when what was last of use at `moment` is kept."""
        return self._moved(kind, moment, 1)

    def _moved(self, kind: str, moment: datetime, sign: int) -> datetime:
        period: str = getattr(self, kind)
        number = sign * int(period[:-1])
        if period.endswith("d"):
            return moment + timedelta(days=number)
        try:
            return moment.replace(year=moment.year + number)
        except ValueError:  # 29 February; rounded so that nothing is due early
            rounded = moment.replace(year=moment.year + number, day=28)
            return rounded + timedelta(days=1) if sign > 0 else rounded


class ModelPrices(BaseModel):
    """US dollars for a million tokens that a model reads and writes; those of a model that is not named are the dearest."""

    model_config = ConfigDict(frozen=True)

    prices: dict[str, tuple[float, float]] = {
        "gpt-4.1": (2.0, 8.0),
        "gpt-4.1-mini": (0.4, 1.6),
        "text-embedding-3-small": (0.02, 0.0),
    }

    def of(self, model: str) -> tuple[float, float]:
        return self.prices.get(model, max(self.prices.values()))

    @classmethod
    def parse(cls, text: str) -> "ModelPrices":
        """From `gpt-4.1=2/8,text-embedding-3-small=0.02/0`. Raises `ValueError`."""
        try:
            prices = {}
            for part in text.split(","):
                model, _, pair = part.partition("=")
                read, written = pair.split("/")
                prices[model.strip()] = (float(read), float(written))
            if not all(0 <= price < 10_000 for pair in prices.values() for price in pair):
                raise ValueError
            return cls(prices=prices)
        except ValueError:
            raise ValueError("MODEL_PRICES must read model=2/8, comma-separated") from None


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True)

    project_id: str = Field(min_length=1)
    function: str = "local"
    version: str = __version__
    identity_api_key: str = ""
    page_token_key: bytes = Field(min_length=32, max_length=32)
    """AES-256 key for page tokens; the same for every instance of every function."""
    audit_key: bytes = Field(min_length=32, max_length=32)
    """Authenticates audit events; who can write to the database must not have it."""
    audit_keys_before: tuple[bytes, ...] = ()
    """Those that authenticated older events, for `python -m ops verify-audit`."""
    kms_key: str = ""
    """`gcp-kms://projects/…/cryptoKeys/…`: wraps patients' keys."""
    smtp_host: str = ""
    """The mail relay; without one, no mail is sent."""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    """465 begins with TLS, any other changes to it."""
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_emulator_host: str = ""
    """`host:port` of what speaks SMTP, without TLS, in the relay's place."""
    mail_from: str = "HealthHub <no-reply@healthhub.invalid>"
    kms_emulator_host: str = ""
    """`host:port` of what speaks Cloud KMS's protocol in its place."""
    pubsub_emulator_host: str = ""
    speech_location: str = Field(default="us", pattern=r"^[a-z0-9-]{2,40}$")
    """Where Speech-to-Text keeps and works on audio; models differ by it."""
    speech_model: str = "medical_conversation"
    """For consultations; `chirp_3` for languages that the medical models do not know."""
    speech_emulator_host: str = ""
    """`host:port` of what speaks Speech-to-Text's protocol in its place."""
    vision_location: str = Field(default="us", pattern=r"^(us|eu)$")
    """Where Cloud Vision looks at images; it keeps none."""
    image_analyser: str = Field(default="", pattern=r"^(openai)?$")
    """Who gives a specialised opinion of images: `openai`, or, by default, nobody."""
    image_model: str = "gpt-4.1"
    """Looks at de-identified images, when `image_analyser` is `openai`."""
    vision_emulator_host: str = ""
    """`host:port` of what speaks Cloud Vision's protocol in its place."""
    clamd_host: str = ""
    """`host:port` of clamd; without one, uploads are not scanned."""
    openai_api_key: str = ""
    openai_base_url: str = "https://api.openai.com/v1"
    note_model: str = "gpt-4.1"
    """Drafts notes from transcripts."""
    chat_model: str = "gpt-4.1-mini"
    """Answers questions, from the knowledge base."""
    care_model: str = "gpt-4.1"
    """Assesses symptoms and suggests care, after the rules have spoken."""
    embedding_model: str = "text-embedding-3-small"
    embedding_dimensions: int = Field(default=768, ge=64, le=2048)
    """Firestore's vector index takes 2,048 at most."""
    model_prices: ModelPrices = ModelPrices()
    daily_tokens: int = Field(default=200_000, ge=0)
    """What one person may have a model read and write in a day (UTC)."""
    daily_cents: int = Field(default=50, ge=0)
    """The same in US cents, by `model_prices`."""
    healthcare_nlp: str = ""
    """`projects/…/locations/…` of the Healthcare Natural Language API: it then finds the terms."""
    healthcare_url: str = "https://healthcare.googleapis.com"
    otlp_endpoint: str = ""
    """Where traces go, by OTLP over HTTP: `https://telemetry.googleapis.com` for Cloud Trace. Empty: nowhere."""
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    """Which share of the requests is traced that come without a trace of their own."""
    retention: Retention = Retention()
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
    for required in ("project_id", *_KEYS):
        if required not in values:
            raise ConfigurationError(f"{_VARIABLES[required]} is not set")
    try:
        for key in _KEYS:
            values[key] = _decoded(key, str(values[key]))
        if "audit_keys_before" in values:
            older = str(values["audit_keys_before"]).split(",")
            values["audit_keys_before"] = tuple(_decoded("audit_keys_before", key) for key in older)
        if "retention" in values:
            values["retention"] = Retention.parse(str(values["retention"]))
        if "model_prices" in values:
            values["model_prices"] = ModelPrices.parse(str(values["model_prices"]))
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
    "audit_key": "AUDIT_KEY",
    "audit_keys_before": "AUDIT_KEYS_BEFORE",
    "kms_key": "KMS_KEY",
    "kms_emulator_host": "KMS_EMULATOR_HOST",
    "pubsub_emulator_host": "PUBSUB_EMULATOR_HOST",
    "speech_location": "SPEECH_LOCATION",
    "speech_model": "SPEECH_MODEL",
    "speech_emulator_host": "SPEECH_EMULATOR_HOST",
    "vision_location": "VISION_LOCATION",
    "image_analyser": "IMAGE_ANALYSER",
    "image_model": "IMAGE_MODEL",
    "vision_emulator_host": "VISION_EMULATOR_HOST",
    "clamd_host": "CLAMD_HOST",
    "openai_api_key": "OPENAI_API_KEY",
    "openai_base_url": "OPENAI_BASE_URL",
    "note_model": "NOTE_MODEL",
    "chat_model": "CHAT_MODEL",
    "care_model": "CARE_MODEL",
    "embedding_model": "EMBEDDING_MODEL",
    "embedding_dimensions": "EMBEDDING_DIMENSIONS",
    "model_prices": "MODEL_PRICES",
    "daily_tokens": "DAILY_TOKENS",
    "daily_cents": "DAILY_CENTS",
    "healthcare_nlp": "HEALTHCARE_NLP",
    "healthcare_url": "HEALTHCARE_URL",
    "smtp_host": "SMTP_HOST",
    "smtp_port": "SMTP_PORT",
    "smtp_user": "SMTP_USER",
    "smtp_password": "SMTP_PASSWORD",
    "smtp_emulator_host": "SMTP_EMULATOR_HOST",
    "mail_from": "MAIL_FROM",
    "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "trace_ratio": "TRACE_RATIO",
    "retention": "RETENTION",
    "certificates_url": "TOKEN_CERTIFICATES_URL",
    "cors_origins": "CORS_ORIGINS",
    "proxy_hops": "PROXY_HOPS",
    "requests_per_minute": "REQUESTS_PER_MINUTE",
}


_KEYS = ("page_token_key", "audit_key")


def _decoded(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ConfigurationError(f"{_VARIABLES[field]} is not base64") from None


def _without_values(error: ValueError) -> str:
    """Name what is wrong without printing it: one of the values is a key."""
    details = getattr(error, "errors", None)
    if details is None:
        return str(error)  # ours
    return "; ".join(f"{_VARIABLES[str(item['loc'][0])]}: {item['msg']}" for item in details())


@lru_cache
def settings() -> Settings:
    return from_environment(os.environ)
