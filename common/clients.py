"""SDK clients and tokens, built on first use and kept for the life of the process.

Never at import: the framework imports `main.py` in one process and serves
from a forked one, and gRPC does not survive a fork.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from google.cloud.firestore_v1.async_client import AsyncClient

from common import telemetry
from common.problems import Unavailable
from common.settings import settings

DEFAULT_DATABASE = "(default)"

KMS_DEADLINE = 5.0
"""Seconds for one call of KMS, with its retries."""

_MOST_TO_VISION = 64 << 20
"""Bytes of a request with its images."""

KEYS_DATABASE = "keys"
"""Holds patients' keys and nothing else, so that no export or backup of the records holds them."""


@lru_cache
def firestore_client(database: str = DEFAULT_DATABASE) -> AsyncClient:
    return AsyncClient(project=settings().project_id, database=database)


@lru_cache
def kms_client() -> Any:
    """A `KeyManagementServiceClient`, of Cloud KMS or of whatever speaks its protocol."""
    # Imported here: only what opens sealed fields needs it, and it costs 50 ms.
    from google.cloud import kms_v1

    host = settings().kms_emulator_host
    if not host:
        return kms_v1.KeyManagementServiceClient()
    import grpc
    from google.cloud.kms_v1.services.key_management_service.transports import (
        KeyManagementServiceGrpcTransport,
    )

    channel = grpc.insecure_channel(host)
    return kms_v1.KeyManagementServiceClient(
        transport=KeyManagementServiceGrpcTransport(channel=channel)
    )


class BoundedKms:
    """The two calls that Tink makes of KMS, with an end: of itself it would try for a minute.

    Raises `Unavailable` when KMS does not answer; what it refuses is left to Tink.
    """

    def encrypt(self, request: Mapping[str, Any]) -> Any:
        return _asking_kms(kms_client().encrypt, request)

    def decrypt(self, request: Mapping[str, Any]) -> Any:
        return _asking_kms(kms_client().decrypt, request)


def _asking_kms(call: Callable[..., Any], request: Mapping[str, Any]) -> Any:
    from google.api_core import exceptions, retry

    few = retry.Retry(
        predicate=retry.if_exception_type(exceptions.ServiceUnavailable),
        initial=0.05,
        maximum=0.5,
        timeout=KMS_DEADLINE / 2,
    )
    try:
        with telemetry.span("kms"):
            return call(request=request, retry=few, timeout=KMS_DEADLINE)
    except (exceptions.ServerError, exceptions.TooManyRequests, exceptions.RetryError) as error:
        raise Unavailable("The key service does not answer. Nothing was changed.") from error


@lru_cache
def storage_client() -> Any:
    """A `google.cloud.storage.Client`: it blocks, so `common/storage.py` asks it in threads."""
    # Imported here: it costs 300 ms, and only what stores or reads files needs it.
    from google.cloud.storage import Client

    return Client(project=settings().project_id)


@lru_cache
def speech_client() -> Any:
    """A `SpeechAsyncClient` (v2) of the configured location, or of what speaks its protocol."""
    # Imported here: it costs 500 ms, and only what starts or follows a recognition needs it.
    from google.api_core.client_options import ClientOptions
    from google.cloud import speech_v2

    host = settings().speech_emulator_host
    if not host:
        endpoint = f"{settings().speech_location}-speech.googleapis.com"
        return speech_v2.SpeechAsyncClient(client_options=ClientOptions(api_endpoint=endpoint))
    import grpc
    from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport

    transport = SpeechGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(host))
    return speech_v2.SpeechAsyncClient(transport=transport)


@lru_cache
def vision_client() -> Any:
    """An `ImageAnnotatorAsyncClient` of the configured location, or of what speaks its protocol."""
    # Imported here: it costs 500 ms, and only what looks at images needs it.
    from google.api_core.client_options import ClientOptions
    from google.cloud import vision_v1

    host = settings().vision_emulator_host
    if not host:
        endpoint = f"{settings().vision_location}-vision.googleapis.com"
        return vision_v1.ImageAnnotatorAsyncClient(
            client_options=ClientOptions(api_endpoint=endpoint)
        )
    import grpc
    from google.cloud.vision_v1.services.image_annotator.transports import (
        ImageAnnotatorGrpcAsyncIOTransport,
    )

    most = ("grpc.max_send_message_length", _MOST_TO_VISION)
    transport = ImageAnnotatorGrpcAsyncIOTransport(
        channel=grpc.aio.insecure_channel(host, options=[most])
    )
    return vision_v1.ImageAnnotatorAsyncClient(transport=transport)


@lru_cache
def openai_client() -> Any:
    """An `openai.AsyncOpenAI` that does not retry by itself: `common/outside.py` does."""
    # Imported here: it costs 800 ms.
    import openai

    return openai.AsyncOpenAI(
        api_key=settings().openai_api_key, base_url=settings().openai_base_url, max_retries=0
    )


async def access_token(scope: str) -> str:
    """A token of this function's service account, for Google's REST interfaces. Raises `Unavailable`."""
    from google.auth.exceptions import GoogleAuthError

    try:
        return await asyncio.to_thread(_fresh_token, scope)
    except GoogleAuthError as error:
        raise Unavailable("Nobody issues a token for this service just now.") from error


def _fresh_token(scope: str) -> str:
    from google.auth.transport.requests import Request

    credentials = credentials_for(scope)
    if not credentials.valid:
        credentials.refresh(Request())
    return str(credentials.token)


def authorized_session(scope: str) -> Any:
    """A `requests.Session` whose requests carry this function's token."""
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(credentials_for(scope))  # type: ignore[no-untyped-call]


@lru_cache
def credentials_for(scope: str) -> Any:
    """The application's default credentials: the service account that the function runs as."""
    import google.auth

    credentials, _ = google.auth.default(scopes=[scope])
    return credentials
