"""Stands between the functions and the Firestore emulator, on the wire.

It notes every query's shape and counts reads and writes as they are billed,
and it can break: refuse a call, or let it happen and lose the answer. The
functions know nothing of it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.firestore_v1.types import firestore as types
from google.cloud.firestore_v1.types.query import StructuredQuery

_SERVICE = "/google.firestore.v1.Firestore/"


@dataclass(frozen=True)
class Shape:
    """What of a query decides which index it needs."""

    collection: str
    is_group: bool
    filters: tuple[tuple[str, str], ...]
    order: tuple[tuple[str, str], ...]
    nearest: str = ""
    """The field whose vector is compared."""


@dataclass
class Counted:
    reads: int = 0
    writes: int = 0
    write_paths: list[str] = field(default_factory=list)


@dataclass
class Held:
    """Calls that wait until the block ends."""

    method: str
    when: Callable[[Any], bool]
    is_after: bool = False
    _met: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    async def met(self) -> None:
        """Until one such call waits."""
        assert await asyncio.to_thread(self._met.wait, 20), "no such call came"

    async def wait(self) -> None:
        self._met.set()
        await asyncio.to_thread(self._released.wait, 20)


@dataclass
class Fault:
    """Breaks calls of one method for which `when` holds, until it is lifted."""

    method: str
    code: grpc.StatusCode
    when: Callable[[Any], bool]
    is_after: bool
    hits: int = 0


class Recorder:
    def __init__(self, target: str) -> None:
        self._target = target
        self.address = ""
        self.shapes: set[Shape] = set()
        self.counted = Counted()
        self._faults: list[Fault] = []
        self._held: list[Held] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> None:
        self._channel = grpc.aio.insecure_channel(self._target)
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((_Handler(self),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self.address = f"127.0.0.1:{port}"

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        await self._server.stop(0.5)
        await self._channel.close()

    @contextmanager
    def counting(self) -> Iterator[Counted]:
        """Counts what happens in the block; nothing else may run meanwhile."""
        before, self.counted = self.counted, Counted()
        try:
            yield self.counted
        finally:
            self.counted = before

    @contextmanager
    def broken(
        self,
        method: str,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        when: Callable[[Any], bool] = lambda request: True,
        is_after: bool = False,
    ) -> Iterator[Fault]:
        """Calls of `method` fail; with `is_after`, they take effect and only the answer is lost."""
        fault = Fault(method, code, when, is_after)
        self._faults.append(fault)
        try:
            yield fault
        finally:
            self._faults.remove(fault)

    @contextmanager
    def held(
        self, method: str, when: Callable[[Any], bool], is_after: bool = False
    ) -> Iterator[Held]:
        """Calls of `method` reach the database only when the block ends; with `is_after`, their answers
        reach the caller only then."""
        held = Held(method, when, is_after)
        self._held.append(held)
        try:
            yield held
        finally:
            self._held.remove(held)
            held._released.set()

    async def forward(
        self, method: str, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        name = method.removeprefix(_SERVICE)
        fault: Fault | None = None
        stops: list[Held] = []

        async def noted() -> AsyncIterator[bytes]:
            nonlocal fault
            async for raw in requests:
                request = _REQUESTS[name].pb().FromString(raw) if name in _REQUESTS else None
                fault = fault or self._fault_for(name, request)
                if fault and not fault.is_after:
                    await context.abort(fault.code, "broken by a test")
                stops.extend(h for h in self._held if h.method == name and h.when(request))
                for held in stops:
                    if not held.is_after:
                        await held.wait()
                self._note_request(name, request)
                yield raw

        call = self._channel.stream_stream(method)(
            noted(), metadata=[m for m in context.invocation_metadata() if m[0] != "user-agent"]
        )
        try:
            async for raw in call:
                self._note_response(name, raw)
                for held in stops:
                    if held.is_after:
                        await held.wait()
                if fault is None:
                    yield raw
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "")
        if fault:
            await context.abort(fault.code, "broken by a test")

    def _fault_for(self, name: str, request: Any) -> Fault | None:
        for fault in self._faults:
            if fault.method == name and fault.when(request):
                fault.hits += 1
                return fault
        return None

    def _note_request(self, name: str, request: Any) -> None:
        if name == "RunQuery":
            self.shapes.add(shape_of(request.structured_query))
        elif name == "RunAggregationQuery":
            self.shapes.add(shape_of(request.structured_aggregation_query.structured_query))
        elif name == "Commit":
            self.counted.writes += len(request.writes)
            self.counted.write_paths += [_path(write) for write in request.writes]
        elif name == "GetDocument":
            self.counted.reads += 1

    def _note_response(self, name: str, raw: bytes) -> None:
        if name == "RunQuery":
            response = types.RunQueryResponse.pb().FromString(raw)
            self.counted.reads += response.HasField("document")
        elif name in ("RunAggregationQuery", "BatchGetDocuments"):
            self.counted.reads += 1


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def service(self, details: Any) -> Any:
        method = details.method

        async def forward(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            async for raw in self._recorder.forward(method, requests, context):
                yield raw

        return grpc.stream_stream_rpc_method_handler(forward)


_REQUESTS: dict[str, Any] = {
    "RunQuery": types.RunQueryRequest,
    "RunAggregationQuery": types.RunAggregationQueryRequest,
    "Commit": types.CommitRequest,
    "GetDocument": types.GetDocumentRequest,
}


def _path(write: Any) -> str:
    name: str = write.update.name or write.delete
    return name.split("/documents/", 1)[-1]


def shape_of(query: Any) -> Shape:
    selector = getattr(query, "from")[0] if hasattr(query, "from") else query.from_[0]
    order = tuple(
        (each.field.field_path, StructuredQuery.Direction(each.direction).name)
        for each in query.order_by
    )
    return Shape(
        selector.collection_id,
        selector.all_descendants,
        _filters(query.where),
        order,
        query.find_nearest.vector_field.field_path,
    )


def _filters(where: Any) -> tuple[tuple[str, str], ...]:
    if where.HasField("composite_filter"):
        parts = (_filters(each) for each in where.composite_filter.filters)
        return tuple(sorted(pair for part in parts for pair in part))
    if where.HasField("field_filter"):
        operator = StructuredQuery.FieldFilter.Operator(where.field_filter.op).name
        return ((where.field_filter.field.field_path, operator),)
    if where.HasField("unary_filter"):
        # An index serves a comparison with null as it serves any other.
        return ((where.unary_filter.field.field_path, "EQUAL"),)
    return ()
