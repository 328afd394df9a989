"""SDK clients, built on first use and kept for the life of the process.

Never at import: the framework imports `main.py` in one process and serves
from a forked one, and gRPC does not survive a fork.
"""

from functools import lru_cache

from google.cloud.firestore_v1.async_client import AsyncClient

from common.settings import settings


@lru_cache
def firestore_client() -> AsyncClient:
    return AsyncClient(project=settings().project_id)
