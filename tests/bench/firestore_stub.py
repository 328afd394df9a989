"""A Firestore that answers every read after 20 ms: what a function does while it waits.

It knows the two calls that read one document, `GetDocument` (ours) and
`BatchGetDocuments` (the synchronous client's `get`), and the documents of a
JSON file: `python -m tests.bench.firestore_stub PORT FILE`.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.cloud.firestore_v1.types import document as document_types
from google.cloud.firestore_v1.types import firestore as firestore_types

from local.ports import HOST

LATENCY = 0.020

_SERVICE = "/google.firestore.v1.Firestore/"


class Stub(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, documents: Mapping[str, bytes]) -> None:
        """`documents`: serialised, by full name. Answers are put together once, here."""
        self._documents = documents
        self._found = {name: _found(document) for name, document in documents.items()}

    def service(self, details: Any) -> Any:
        match details.method.removeprefix(_SERVICE):
            case "GetDocument":
                return grpc.unary_unary_rpc_method_handler(self._get)
            case "BatchGetDocuments":
                return grpc.unary_stream_rpc_method_handler(self._batch_get)
        return None

    async def _get(self, request: bytes, context: Any) -> bytes:
        await asyncio.sleep(LATENCY)
        name = firestore_types.GetDocumentRequest.pb().FromString(request).name
        if name not in self._documents:
            await context.abort(grpc.StatusCode.NOT_FOUND, name)
        return self._documents[name]

    async def _batch_get(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        await asyncio.sleep(LATENCY)
        for name in firestore_types.BatchGetDocumentsRequest.pb().FromString(request).documents:
            yield self._found[name]


def _found(document: bytes) -> bytes:
    found = document_types.Document.pb().FromString(document)
    response = firestore_types.BatchGetDocumentsResponse.pb()(
        found=found, read_time=found.update_time
    )
    serialised: bytes = response.SerializeToString()
    return serialised


async def _serve(port: int, documents: Mapping[str, bytes]) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Stub(documents),))
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    given: dict[str, str] = json.loads(Path(sys.argv[2]).read_text())
    documents = {name: base64.b64decode(document) for name, document in given.items()}
    asyncio.run(_serve(int(sys.argv[1]), documents))
