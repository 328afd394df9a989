"""Firestore as typed collections and batches.

Commits are never retried by the library: a retried `create` that had
succeeded would be told that it lost to itself.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from secrets import token_hex
from typing import Any, Generic, Literal, TypeVar

from google.cloud.firestore_v1.async_query import AsyncQuery
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.types import common as common_types
from google.cloud.firestore_v1.types import document as document_types
from google.cloud.firestore_v1.types import write as write_types
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ValidationError

from common import documents, pages
from common.clients import DEFAULT_DATABASE, firestore_client
from common.documents import decoded
from common.models import Record
from common.problems import AlreadyExists, Busy, NotFound, RecordChanged
from common.rpc import (
    DEADLINE,
    calling,
    commit,
    get_document,
    retried,
    revision_at,
    timestamp_of,
)

R = TypeVar("R", bound=Record)

ANY_REVISION = "*"

DISTANCE = "distance"
"""The field in which a record found by its vector says how far it is: 0 is the same, 1 unrelated."""

_Document = document_types.Document.pb()
_Mask = common_types.DocumentMask.pb()
_Precondition = common_types.Precondition.pb()
_Write = write_types.Write.pb()

plus, at_least = documents.Plus, documents.AtLeast
Vector = documents.Vector

Where = Sequence[tuple[str, str, Any]]
Order = Sequence[tuple[str, Literal["ASCENDING", "DESCENDING"]]]


def now() -> datetime:
    return datetime.now(UTC)


def id_by_time(moment: datetime) -> str:
    """An id that sorts by time, and that nobody guesses."""
    return f"{int(moment.timestamp() * 1000):012x}{token_hex(8)}"


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

    async def nearest(
        self, field: str, vector: documents.Vector, limit: int, where: Where = ()
    ) -> list[R]:
        """The documents whose `field` is nearest to the vector, by the angle between them; one read each."""
        from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
        from google.cloud.firestore_v1.vector import Vector

        query = self._filtered(self._collection(()), where).find_nearest(
            field,
            Vector(vector.values),
            limit=limit,
            distance_measure=DistanceMeasure.COSINE,
            distance_result_field=DISTANCE,
        )
        snapshots = await calling(query.get(retry=retried(), timeout=DEADLINE))
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
        self._database = database
        self._root = f"{firestore_client(database)._database_string}/documents/"
        self._writes: list[Any] = []
        self._paths: list[str] = []
        self._created: list[tuple[Record, str]] = []
        self._settled: list[Callable[[bool | None], None]] = []

    def __len__(self) -> int:
        return len(self._paths)

    def create(self, path: str, document: Record) -> None:
        self._put(path, document, _Precondition(exists=False))

    def put(self, path: str, document: Record) -> None:
        """Store the document in place of what is there, if anything is."""
        self._put(path, document, None)

    def _put(self, path: str, document: Record, condition: Any) -> None:
        fields = documents.fields_of(dict(document))
        update = _Document(name=self._name(path), fields=fields)
        self._writes.append(_Write(update=update, current_document=condition))
        self._created.append((document, path))

    def update(self, path: str, fields: Mapping[str, Any], revision: str = ANY_REVISION) -> None:
        """Change these fields, `a.b` within a map; a mapping replaces the whole field."""
        self._change(path, documents.changed(fields), _required(revision))

    def verify(self, path: str, unchanged: Mapping[str, Any], revision: str) -> None:
        """Insist on a document's revision without giving it another.

        A write that changes nothing keeps Firestore's update time; `unchanged`
        is some field with the value that it has.
        """
        self.update(path, unchanged, revision)

    def merge(self, path: str, fields: Mapping[str, Any]) -> None:
        """Set these fields, making the document if it is not there."""
        self._change(path, documents.merged(fields), None)

    def _change(self, path: str, change: documents.Change, condition: Any) -> None:
        update = _Document(name=self._name(path), fields=change.fields)
        self._writes.append(
            _Write(
                update=update,
                update_mask=_Mask(field_paths=change.paths),
                update_transforms=change.transforms,
                current_document=condition,
            )
        )

    def delete(self, path: str, *, must_exist: bool = False, revision: str = ANY_REVISION) -> None:
        """With `must_exist`, who comes second gets `NotFound`."""
        condition = None
        if must_exist or revision != ANY_REVISION:
            condition = _required(revision)
        self._writes.append(_Write(delete=self._name(path), current_document=condition))

    def increment(self, path: str, by: int, fields: Mapping[str, Any]) -> None:
        """Add to the document's `count`, making the document if it is not there."""
        self.merge(path, {**fields, "count": documents.Plus(by)})

    def when_settled(self, told: Callable[[bool | None], None]) -> None:
        """Have `told` called when it is known whether the writes happened; None if it can't be."""
        self._settled.append(told)

    async def commit(self) -> Committed:
        happened: bool | None = None
        try:
            results = await commit(self._writes, self._database)
            happened = True
        except (AlreadyExists, NotFound, RecordChanged, Busy):
            happened = False
            raise
        finally:
            for told in self._settled:
                told(happened)
        committed = Committed()
        for path, result in zip(self._paths, results, strict=True):
            if result.HasField("update_time"):
                committed.revisions[path] = revision_at(result.update_time)
            for value in result.transform_results:
                committed.counts[path] = value.integer_value
        for record, path in self._created:
            record.stored_as(path, committed.revisions[path])
        return committed

    def _name(self, path: str) -> str:
        self._paths.append(path)
        return self._root + path


def _required(revision: str) -> Any:
    """That the document is there, in this revision."""
    if revision == ANY_REVISION:
        return _Precondition(exists=True)
    return _Precondition(update_time=timestamp_of(revision))


def storable(value: Any) -> Any:
    """As `documents.encoded`, for the library's own queries: plain values."""
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
