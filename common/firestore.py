"""Firestore as typed collections and batches; Google's errors become ours here, once.

A read is one unary `GetDocument`: the client library's `get` opens a stream
and costs five times the CPU. Commits are never retried by the library: a
retried `create` that had succeeded would be told that it lost to itself.
"""

import asyncio
import random
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

import grpc
from google.api_core import exceptions as google
from google.cloud.firestore_v1.async_batch import AsyncWriteBatch
from google.cloud.firestore_v1.async_document import AsyncDocumentReference
from google.cloud.firestore_v1.async_query import AsyncQuery
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.transforms import Increment
from google.cloud.firestore_v1.types import document as document_types
from google.cloud.firestore_v1.types import firestore as firestore_types
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel

from common import pages
from common.clients import firestore_client
from common.documents import decoded
from common.models import Record
from common.problems import AlreadyExists, Busy, NotFound, Problem, RecordChanged, Unavailable

R = TypeVar("R", bound=Record)
T = TypeVar("T")

DEADLINE = 5.0
"""Seconds for one call; a client is better served by a 503 than by a wait."""

ANY_REVISION = "*"


def now() -> datetime:
    return datetime.now(UTC)


class Collection(Generic[R]):
    """A collection, or a family of them: `Collection(Device, "users/{}/devices")`."""

    def __init__(self, model: type[R], pattern: str) -> None:
        self.model = model
        self.pattern = pattern

    def path(self, *ids: str) -> str:
        """The path of a document; parents' ids first."""
        return f"{self.pattern.format(*ids)}/{ids[-1]}"

    async def get(self, *ids: str) -> R | None:
        """The document, or None. One read."""
        found = await _get_document(self.path(*ids))
        return None if found is None else self._record(ids[-1], found)

    async def list_(
        self,
        *parents: str,
        where: Sequence[tuple[str, str, Any]] = (),
        order: Sequence[tuple[str, Literal["ASCENDING", "DESCENDING"]]] = (),
        page: pages.PageQuery,
        besides: str = "",
    ) -> tuple[list[R], str | None]:
        """One page and the token of the next. Costs the page's rows and one more.

        `besides` names what else the caller filters by; the token is bound to it too.

        Raises `PageTokenInvalid`.
        """
        fields = [*order, ("__name__", order[-1][1] if order else "ASCENDING")]
        query = self._query(parents, where)
        for name, direction in fields:
            query = query.order_by(name, direction=direction)
        bound_to = repr((self.pattern, parents, list(where), list(order), besides))
        if page.page_token is not None:
            *values, last_id = pages.unseal(page.page_token, bound_to)
            cursor = {name: value for (name, _), value in zip(order, values, strict=True)}
            reference = self._collection(parents).document(str(last_id))
            query = query.start_after({**cursor, "__name__": reference})
        snapshots = await _calling(query.limit(page.page_size + 1).get(timeout=DEADLINE))
        records = [self._from_snapshot(snapshot) for snapshot in snapshots[: page.page_size]]
        if len(snapshots) <= page.page_size:
            return records, None
        last = snapshots[page.page_size - 1]
        position = [last.get(name) for name, _ in order]
        return records, pages.seal([*position, last.id], bound_to)

    async def find(
        self, *parents: str, where: Sequence[tuple[str, str, Any]], limit: int
    ) -> list[R]:
        """Up to `limit` documents in no particular order."""
        snapshots = await _calling(self._query(parents, where).limit(limit).get(timeout=DEADLINE))
        return [self._from_snapshot(snapshot) for snapshot in snapshots]

    async def find_anywhere(self, where: Sequence[tuple[str, str, Any]], limit: int) -> list[str]:
        """Paths of up to `limit` documents of every collection of this name."""
        query = firestore_client().collection_group(self.pattern.rsplit("/", 1)[-1])
        for name, operator, value in where:
            query = query.where(filter=FieldFilter(name, operator, value))
        snapshots = await _calling(query.select([]).limit(limit).get(timeout=DEADLINE))
        return [snapshot.reference.path for snapshot in snapshots]

    async def count(self, *parents: str, where: Sequence[tuple[str, str, Any]] = ()) -> int:
        """How many match. One read per thousand index entries."""
        result = await _calling(self._query(parents, where).count().get(timeout=DEADLINE))  # type: ignore[call-arg]
        return int(result[0][0].value)

    def _collection(self, parents: Sequence[str]) -> Any:
        return firestore_client().collection(self.pattern.format(*parents))

    def _query(self, parents: Sequence[str], where: Sequence[tuple[str, str, Any]]) -> AsyncQuery:
        query = self._collection(parents)
        for name, operator, value in where:
            query = query.where(filter=FieldFilter(name, operator, value))
        return query  # type: ignore[no-any-return]

    def _record(self, id: str, found: document_types.Document) -> R:
        return self._read(id, decoded(found.fields), _revision(found.update_time))

    def _from_snapshot(self, snapshot: Any) -> R:
        revision = _revision(snapshot.update_time.timestamp_pb())
        return self._read(snapshot.id, snapshot.to_dict(), revision)

    def _read(self, id: str, fields: dict[str, Any], revision: str) -> R:
        # Fields of a newer version are ignored at every depth, so that a rollback can read them.
        record = self.model.model_validate(fields, extra="ignore")
        record.stored_as(id, revision)
        return record


@dataclass
class Committed:
    """What a batch's commit gave back: a revision per path, new values per increment."""

    revisions: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Batch:
    """Writes that happen together or not at all.

    `commit` raises `AlreadyExists` (a created name is taken), `NotFound` (an
    updated one is gone), `RecordChanged` (a revision is not the current one),
    `Busy` or `Unavailable`.
    """

    def __init__(self) -> None:
        self._batch = AsyncWriteBatch(firestore_client())
        self._paths: list[str] = []
        self._created: list[tuple[Record, str]] = []

    def create(self, path: str, document: Record) -> None:
        self._batch.create(self._reference(path), storable(document))
        self._created.append((document, path))

    def update(self, path: str, fields: Mapping[str, Any], revision: str = ANY_REVISION) -> None:
        """Change these fields; a mapping replaces the whole field."""
        option = None
        if revision != ANY_REVISION:
            option = firestore_client().write_option(last_update_time=_timestamp(revision))
        self._batch.update(self._reference(path), storable(fields), option=option)

    def delete(self, path: str) -> None:
        self._batch.delete(self._reference(path))

    def increment(self, path: str, by: int, fields: Mapping[str, Any]) -> None:
        """Add to the document's `count`, making the document if it is not there."""
        self._batch.set(
            self._reference(path), {**storable(fields), "count": Increment(by)}, merge=True
        )

    async def commit(self) -> Committed:
        results = await _calling(self._batch.commit(retry=None, timeout=DEADLINE))
        committed = Committed()
        for path, result in zip(self._paths, results, strict=True):
            if result.update_time is not None:
                committed.revisions[path] = _revision(result.update_time.timestamp_pb())
            for value in result.transform_results:
                committed.counts[path] = value.integer_value
        for record, path in self._created:
            record.stored_as(path.rsplit("/", 1)[-1], committed.revisions[path])
        return committed

    def _reference(self, path: str) -> AsyncDocumentReference:
        self._paths.append(path)
        return firestore_client().document(path)


def storable(value: Any) -> Any:
    """Plain values that Firestore takes: models as maps, enums by value."""
    if isinstance(value, BaseModel):
        return storable(dict(value))
    if isinstance(value, Mapping):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value


async def is_reachable() -> bool:
    """Whether the database answers, asked by a real read."""
    try:
        async with asyncio.timeout(3):
            await _get_document("health/probe")
    except (Problem, TimeoutError):
        return False
    return True


# ---------------------------------------------------------------- revisions

# A revision is Firestore's update time as `<seconds>.<nanoseconds>`; it travels as the ETag.


def _revision(time: Timestamp) -> str:
    return f"{time.seconds}.{time.nanos:09d}"


def _timestamp(revision: str) -> Timestamp:
    seconds, nanos = revision.split(".")
    return Timestamp(seconds=int(seconds), nanos=int(nanos))


# ---------------------------------------------------------------- calls


@lru_cache
def _getter() -> Any:
    """The unary call, on the client's own channel."""
    channel = firestore_client()._firestore_api.transport.grpc_channel
    return channel.unary_unary(
        "/google.firestore.v1.Firestore/GetDocument",
        request_serializer=firestore_types.GetDocumentRequest.pb().SerializeToString,
        response_deserializer=document_types.Document.pb().FromString,
    )


async def _get_document(path: str) -> document_types.Document | None:
    client = firestore_client()
    request = firestore_types.GetDocumentRequest.pb()(
        name=f"{client._database_string}/documents/{path}"
    )
    for attempt in (1, 2, 3):
        try:
            return await _getter()(  # type: ignore[no-any-return]
                request, metadata=client._rpc_metadata, timeout=DEADLINE
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == 3:
                raise _translated(google.from_grpc_error(error)) from error  # type: ignore[no-untyped-call]
            await asyncio.sleep(random.uniform(0.05, 0.1) * attempt)
    raise AssertionError("unreachable")


async def _calling(call: Awaitable[T]) -> T:
    try:
        return await call
    except (google.GoogleAPICallError, google.RetryError) as error:
        raise _translated(error) from error


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
            return Unavailable("The database does not answer. Nothing was changed; try again.")
