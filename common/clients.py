"""SDK clients, built on first use and kept for the life of the process.

Never at import: the framework imports `main.py` in one process and serves
from a forked one, and gRPC does not survive a fork.
"""

from functools import lru_cache
from typing import Any

from google.cloud.firestore_v1.async_client import AsyncClient

from common.settings import settings

DEFAULT_DATABASE = "(default)"

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
