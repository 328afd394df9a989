"""Firestore as typed collections and batches.

Commits are never retried by the library: a retried `create` that had
succeeded would be told that it lost to itself.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from google.cloud.firestore_v1.async_batch import AsyncWriteBatch
from google.cloud.firestore_v1.async_document import AsyncDocumentReference
from google.cloud.firestore_v1.async_query import AsyncQuery
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.transforms import Increment, Maximum
from google.cloud.firestore_v1.types import document as document_types
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ValidationError

from common import pages
from common.clients import DEFAULT_DATABASE, firestore_client
from common.documents import decoded
from common.models import Record
from common.problems import AlreadyExists, Busy, NotFound, RecordChanged
from common.rpc import (
    DEADLINE,
    calling,
    committing,
    get_document,
    retried,
    revision_at,
    timestamp_of,
)

R = TypeVar("R", bound=Record)

ANY_REVISION = "*"

Where = Sequence[tuple[str, str, Any]]
Order = Sequence[tuple[str, Literal["ASCENDING", "DESCENDING"]]]


def now() -> datetime:
    return datetime.now(UTC)


class Collection(Generic[R]):
    """A collection, or a family of them: `Collection(Device, "users/{}/devices")`."""

    def __init__(self, model: type[R], pattern: str, database: str = DEFAULT_DATABASE) -> None:
        self.model = model
        self.pattern = pattern
        self.database = database

    def path(self, *ids: str) -> str:
        """The path of a document; parents' ids first."""
        return f"{self.pattern.format(*ids)}/{ids[-1]}"

    async def get(self, *ids: str) -> R | None:
        """The document, or None. One read."""
        path = self.path(*ids)
        found = await get_document(path, self.database)
        return None if found is None else self._record(path, found)

    async def list_(
        self,
        *parents: str,
        where: Where = (),
        order: Order = (),
        page: pages.PageQuery,
        besides: str = "",
        everywhere: bool = False,
    ) -> tuple[list[R], str | None]:
        """One page and the token of the next. Costs the page's rows and one more.

        `besides` names what else the caller filters by; the token is bound to it too.
        `everywhere` asks every collection of this name, under whatever parents.

        Raises `PageTokenInvalid`.
        """
        query = self._query(parents, where, order, everywhere)
        bound_to = repr((self.pattern, parents, list(where), list(order), besides))
        if page.page_token is not None:
            *values, last_path = pages.unseal(page.page_token, bound_to)
            cursor = {name: value for (name, _), value in zip(order, values, strict=True)}
            reference = firestore_client(self.database).document(str(last_path))
            query = query.start_after({**cursor, "__name__": reference})
        snapshots = await calling(
            query.limit(page.page_size + 1).get(retry=retried(), timeout=DEADLINE)
        )
        records = [self._from_snapshot(snapshot) for snapshot in snapshots[: page.page_size]]
        if len(snapshots) <= page.page_size:
            return records, None
        last = snapshots[page.page_size - 1]
        position = [last.get(name) for name, _ in order]
        return records, pages.seal([*position, last.reference.path], bound_to)

    async def all_(
        self,
        *parents: str,
        where: Where = (),
        order: Order = (),
        everywhere: bool = False,
        chunk: int = 300,
        unreadable: Callable[[str], None] | None = None,
    ) -> AsyncIterator[R]:
        """Every document, in order, some at a time: for what may be thousands.

        With `unreadable`, a document that is none of this model is told there
        by its path and left out; without, it raises pydantic's `ValidationError`.
        """
        query = self._query(parents, where, order, everywhere).limit(chunk)
        after = query
        while True:
            snapshots = await calling(after.get(retry=retried(), timeout=DEADLINE * 6))
            for snapshot in snapshots:
                try:
                    record = self._from_snapshot(snapshot)
                except ValidationError:
                    if unreadable is None:
                        raise
                    unreadable(snapshot.reference.path)
                    continue
                yield record
            if len(snapshots) < chunk:
                return
            after = query.start_after(snapshots[-1])

    async def find(
        self,
        *parents: str,
        where: Where = (),
        order: Order = (),
        limit: int,
        everywhere: bool = False,
    ) -> list[R]:
        """Up to `limit` documents; without an order, in that of their names."""
        query = self._query(parents, where, order, everywhere)
        snapshots = await calling(query.limit(limit).get(retry=retried(), timeout=DEADLINE))
        return [self._from_snapshot(snapshot) for snapshot in snapshots]

    async def count(self, *parents: str, where: Where = ()) -> int:
        """How many match. One read per thousand index entries."""
        query = self._filtered(self._collection(parents), where).count()
        result = await calling(query.get(retry=retried(), timeout=DEADLINE))  # type: ignore[call-arg]
        return int(result[0][0].value)

    @property
    def _name(self) -> str:
        return self.pattern.rsplit("/", 1)[-1]

    def _collection(self, parents: Sequence[str]) -> Any:
        return firestore_client(self.database).collection(self.pattern.format(*parents))

    def _query(
        self, parents: Sequence[str], where: Where, order: Order, everywhere: bool
    ) -> AsyncQuery:
        if everywhere:
            source = firestore_client(self.database).collection_group(self._name)
        else:
            source = self._collection(parents)
        query = self._filtered(source, where)
        for name, direction in (*order, ("__name__", order[-1][1] if order else "ASCENDING")):
            query = query.order_by(name, direction=direction)
        return query

    @staticmethod
    def _filtered(query: Any, where: Where) -> AsyncQuery:
        for name, operator, value in where:
            query = query.where(filter=FieldFilter(name, operator, storable(value)))
        return query  # type: ignore[no-any-return]

    def _record(self, path: str, found: document_types.Document) -> R:
        fields = decoded(found.fields)
        if "create_time" not in fields:
            fields["create_time"] = found.create_time.ToDatetime(UTC)
        return self._read(path, fields, revision_at(found.update_time))

    def _from_snapshot(self, snapshot: Any) -> R:
        fields = snapshot.to_dict()
        # Who merges does not know whether they make the document; Firestore does.
        fields.setdefault("create_time", _timestamp(snapshot.create_time).ToDatetime(UTC))
        revision = revision_at(_timestamp(snapshot.update_time))
        return self._read(snapshot.reference.path, fields, revision)

    def _read(self, path: str, fields: dict[str, Any], revision: str) -> R:
        # Fields of a newer version are ignored at every depth, so that a rollback can read them.
        record = self.model.model_validate(fields, extra="ignore")
        record.stored_as(path, revision)
        return record


def _timestamp(time: Any) -> Timestamp:
    """The library gives a protobuf timestamp for a collection group, its own type otherwise."""
    return time if isinstance(time, Timestamp) else time.timestamp_pb()


def plus(by: int) -> Any:
    """As a field's new value: so much more than it is."""
    return Increment(by)


def at_least(value: int) -> Any:
    """As a field's new value: this, unless it is more."""
    return Maximum(value)


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

    def __init__(self, database: str = DEFAULT_DATABASE) -> None:
        self._client = firestore_client(database)
        self._batch = AsyncWriteBatch(self._client)
        self._paths: list[str] = []
        self._created: list[tuple[Record, str]] = []
        self._settled: list[Callable[[bool | None], None]] = []

    def __len__(self) -> int:
        return len(self._paths)

    def create(self, path: str, document: Record) -> None:
        self._batch.create(self._reference(path), storable(document))
        self._created.append((document, path))

    def update(self, path: str, fields: Mapping[str, Any], revision: str = ANY_REVISION) -> None:
        """Change these fields, `a.b` within a map; a mapping replaces the whole field."""
        option = None
        if revision != ANY_REVISION:
            option = self._client.write_option(last_update_time=timestamp_of(revision))
        self._batch.update(self._reference(path), storable(fields), option=option)

    def verify(self, path: str, unchanged: Mapping[str, Any], revision: str) -> None:
        """Insist on a document's revision without giving it another.

        A write that changes nothing keeps Firestore's update time; `unchanged`
        is some field with the value that it has.
        """
        self.update(path, unchanged, revision)

    def merge(self, path: str, fields: Mapping[str, Any]) -> None:
        """Set these fields, making the document if it is not there."""
        self._batch.set(self._reference(path), storable(fields), merge=True)

    def put(self, path: str, document: Record) -> None:
        """Store the document in place of what is there, if anything is."""
        self._batch.set(self._reference(path), storable(document))
        self._created.append((document, path))

    def delete(self, path: str, *, must_exist: bool = False, revision: str = ANY_REVISION) -> None:
        """With `must_exist`, who comes second gets `NotFound`."""
        option = self._client.write_option(exists=True) if must_exist else None
        if revision != ANY_REVISION:
            option = self._client.write_option(last_update_time=timestamp_of(revision))
        self._batch.delete(self._reference(path), option=option)

    def increment(self, path: str, by: int, fields: Mapping[str, Any]) -> None:
        """Add to the document's `count`, making the document if it is not there."""
        self.merge(path, {**fields, "count": plus(by)})

    def when_settled(self, told: Callable[[bool | None], None]) -> None:
        """Have `told` called when it is known whether the writes happened; None if it can't be."""
        self._settled.append(told)

    async def commit(self) -> Committed:
        happened: bool | None = None
        try:
            results = await committing(self._batch.commit(retry=None, timeout=DEADLINE))
            happened = True
        except (AlreadyExists, NotFound, RecordChanged, Busy):
            happened = False
            raise
        finally:
            for told in self._settled:
                told(happened)
        committed = Committed()
        for path, result in zip(self._paths, results, strict=True):
            if result.update_time is not None:
                committed.revisions[path] = revision_at(result.update_time.timestamp_pb())
            for value in result.transform_results:
                committed.counts[path] = value.integer_value
        for record, path in self._created:
            record.stored_as(path, committed.revisions[path])
        return committed

    def _reference(self, path: str) -> AsyncDocumentReference:
        self._paths.append(path)
        return self._client.document(path)


def storable(value: Any) -> Any:
    """Plain values that Firestore takes: models as maps, enums by value, days as text."""
    if isinstance(value, BaseModel):
        return storable(dict(value))
    if isinstance(value, Mapping):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()  # Firestore knows moments only; as text, days sort as they should
    return value
