"""SDK clients, built on first use and kept for the life of the process.

Never at import: the framework imports `main.py` in one process and serves
from a forked one, and gRPC does not survive a fork.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from google.cloud.firestore_v1.async_client import AsyncClient

from common.settings import settings

DEFAULT_DATABASE = "(default)"

KMS_DEADLINE = 5.0
"""Seconds for one call of KMS, with its retries."""

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
    """The two calls that Tink makes of KMS, with an end: of itself it would try for a minute."""

    def encrypt(self, request: Mapping[str, Any]) -> Any:
        return kms_client().encrypt(request=request, retry=_few_retries(), timeout=KMS_DEADLINE)

    def decrypt(self, request: Mapping[str, Any]) -> Any:
        return kms_client().decrypt(request=request, retry=_few_retries(), timeout=KMS_DEADLINE)


@lru_cache
def _few_retries() -> Any:
    from google.api_core import exceptions, retry

    return retry.Retry(
        predicate=retry.if_exception_type(exceptions.ServiceUnavailable),
        initial=0.05,
        maximum=0.5,
        timeout=KMS_DEADLINE / 2,
    )
