"""Calls to Firestore: one unary read, one commit, and Google's errors translated into ours, once.

A read is one unary `GetDocument`: the client library's `get` opens a stream
and costs five times the CPU. A commit takes the raw messages of
`common/documents.py`, and is never tried again here.
"""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import grpc
from google.api_core import exceptions as google
from google.api_core.retry import if_exception_type
from google.api_core.retry_async import AsyncRetry
from google.cloud.firestore_v1.types import document as document_types
from google.cloud.firestore_v1.types import firestore as firestore_types
from google.protobuf.timestamp_pb2 import Timestamp

from common import telemetry
from common.clients import DEFAULT_DATABASE, firestore_client
from common.problems import AlreadyExists, Busy, NotFound, RecordChanged, Unavailable

T = TypeVar("T")

DEADLINE = 5.0
"""Seconds for one call; a client is better served by a 503 than by a wait."""


def retried() -> AsyncRetry:
    """For queries: again while the database is away, but not for the minutes that are the library's way."""
    return AsyncRetry(
        predicate=if_exception_type(google.ServiceUnavailable),
        initial=0.05,
        maximum=0.5,
        timeout=DEADLINE / 2,
    )


# ---------------------------------------------------------------- revisions

# A revision is Firestore's update time as `<seconds>.<nanoseconds>`; it travels as the ETag.


def revision_at(time: Timestamp) -> str:
    return f"{time.seconds}.{time.nanos:09d}"


def timestamp_of(revision: str) -> Timestamp:
    seconds, nanos = revision.split(".")
    return Timestamp(seconds=int(seconds), nanos=int(nanos))


# ---------------------------------------------------------------- calls


@lru_cache
def _getter(database: str) -> Any:
    """The unary call, on the client's own channel."""
    channel = firestore_client(database)._firestore_api.transport.grpc_channel
    return channel.unary_unary(
        "/google.firestore.v1.Firestore/GetDocument",
        request_serializer=firestore_types.GetDocumentRequest.pb().SerializeToString,
        response_deserializer=document_types.Document.pb().FromString,
    )


@lru_cache
def _committer(database: str) -> Any:
    channel = firestore_client(database)._firestore_api.transport.grpc_channel
    return channel.unary_unary(
        "/google.firestore.v1.Firestore/Commit",
        request_serializer=firestore_types.CommitRequest.pb().SerializeToString,
        response_deserializer=firestore_types.CommitResponse.pb().FromString,
    )


async def get_document(
    path: str, database: str = DEFAULT_DATABASE
) -> document_types.Document | None:
    client = firestore_client(database)
    request = firestore_types.GetDocumentRequest.pb()(
        name=f"{client._database_string}/documents/{path}"
    )
    with telemetry.span("firestore.get"):
        return await _got(request, client._rpc_metadata, database)


async def _got(request: Any, metadata: Any, database: str) -> document_types.Document | None:
    for attempt in (1, 2, 3):
        try:
            return await _getter(database)(  # type: ignore[no-any-return]
                request, metadata=metadata, timeout=DEADLINE
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == 3:
                raise _translated(google.from_grpc_error(error)) from error  # type: ignore[no-untyped-call]
            await asyncio.sleep(random.uniform(0.05, 0.1) * attempt)
    raise AssertionError("unreachable")


async def calling(call: Awaitable[T]) -> T:
    """A query's answer. That its index is missing or being built is no client's fault."""
    try:
        with telemetry.span("firestore.query"):
            return await call
    except google.FailedPrecondition:
        raise
    except (google.GoogleAPICallError, google.RetryError) as error:
        raise _translated(error) from error


async def commit(writes: Sequence[Any], database: str = DEFAULT_DATABASE) -> Sequence[Any]:
    """The results of these writes, which happened together."""
    client = firestore_client(database)
    request = firestore_types.CommitRequest.pb()(database=client._database_string, writes=writes)
    try:
        with telemetry.span("firestore.commit", attributes={"writes": len(writes)}):
            answer = await _committer(database)(
                request, metadata=client._rpc_metadata, timeout=DEADLINE
            )
    except grpc.aio.AioRpcError as error:
        translated = _translated(google.from_grpc_error(error))  # type: ignore[no-untyped-call]
        if type(translated) is Unavailable:
            # It may have happened, and only word of it been lost.
            raise Unavailable(
                "The database did not say whether the change was made. Look before you try again,"
                " or send an Idempotency-Key: with the same one, it takes effect once."
            ) from error
        raise translated from error
    return answer.write_results  # type: ignore[no-any-return]


def _translated(error: Exception) -> Exception:
    match error:
        case google.AlreadyExists():
            return AlreadyExists()
        case google.Aborted() | google.ResourceExhausted():
            return Busy()
        case google.NotFound():
            return NotFound()
        case google.FailedPrecondition():
            return RecordChanged()
        case google.InvalidArgument() | google.PermissionDenied() | google.Unauthenticated():
            return error  # our mistake, not the database's: it ends as a logged 500
        case _:
            return Unavailable("The database does not answer; try again.")


async def is_reachable() -> bool:
    """Whether the database answers, asked by a real read."""
    try:
        async with asyncio.timeout(3):
            await get_document("health/probe")
    except Exception:  # noqa: BLE001 - whatever it is, the database can't be used
        return False
    return True
