"""Cloud Storage on this machine: gcp-storage-emulator, behind what the cloud enforces and it does not.

python -m local.storage <port> <key file> <project> <Pub/Sub host>

Apps reach objects by signed URL only (XML API): signature, expiry, method,
headers, length range, hashes and generation are checked as Cloud Storage
does. Functions reach them by the JSON API. Each new object is told to the
topics that its bucket's notifications name, with the attributes and the body
that Cloud Storage sends.

The JSON API takes anybody's word, as emulators do: in the cloud, IAM decides.

A test can have it answer 503, to all or to a share of what it is asked:

    PUT /dev/faults {"json": "fail", "signed": "fail", "share": 0.01}     until {}
"""

import asyncio
import base64
import hashlib
import json
import re
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

import google_crc32c
import httpx
import uvicorn
from gcp_storage_emulator.server import create_server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from local.bootstrap import ROOT
from local.faults import Failing
from local.ports import HOST, free_ports
from local.signed_urls import Denied, ServiceAccount, verify

_HASHED = "x-goog-hash"
_CHUNK = 1 << 20
_UNKNOWN = "application/octet-stream"
_JSON_API = ("/storage/v1", "/upload/storage/v1", "/download/storage/v1", "/batch/storage/v1")

Resource = dict[str, Any]


class Storage:
    """The gate. Objects themselves lie in the emulator at `inner`."""

    def __init__(self, inner: str, account: ServiceAccount, project: str, pubsub: str) -> None:
        self._http = httpx.AsyncClient(base_url=inner, timeout=120)
        self._account = account
        self._project = project
        self._pubsub = pubsub
        self._notifications: dict[str, list[Resource]] = {}
        self._sessions: dict[str, Session] = {}
        self._changing = asyncio.Lock()
        self._publishing: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ XML API: signed URLs

    async def signed(self, request: Request) -> Response:
        bucket, name = request.path_params["bucket"], request.path_params["name"]
        headers = _single(request.headers)
        if request.method == "OPTIONS":
            return _cors(Response(), request)
        session_id = request.query_params.get("upload_id", "")
        try:
            if request.method == "PUT" and session_id:
                return _cors(await self._continue(session_id, request), request)
            path = request.scope["raw_path"].split(b"?")[0].decode()
            verify(
                self._account, request.method, path, request.scope["query_string"].decode(), headers
            )
            if request.method == "POST" and headers.get("x-goog-resumable") == "start":
                return _cors(await self._begin(bucket, name, request), request)
            if request.method == "PUT":
                with tempfile.TemporaryFile() as body:
                    await _receive(request, body, _range(headers))
                    await self._create(bucket, name, body, headers)
                return _cors(Response(), request)
            if request.method in ("GET", "HEAD"):
                return _cors(await self._forward(request), request)
            raise Denied("MethodNotAllowed", "The specified method is not allowed.", 405)
        except Denied as denied:
            return _cors(_xml(denied), request)

    async def _begin(self, bucket: str, name: str, request: Request) -> Response:
        """A resumable upload: whoever knows its address may send the content."""
        headers = _single(request.headers)
        await self._check_generation(bucket, name, headers.get("x-goog-if-generation-match"))
        id = secrets.token_urlsafe(24)
        self._sessions[id] = Session(bucket, name, headers)
        location = f"{request.url.replace(query='')}?upload_id={id}"
        return Response(status_code=201, headers={"Location": location})

    async def _continue(self, id: str, request: Request) -> Response:
        session = self._sessions.get(id)
        if session is None:
            raise Denied("NoSuchUpload", "The requested upload was not found.", 404)
        async with session.taking:
            total = await session.take(request)
            if total is None or session.size < total:
                end = {"Range": f"bytes=0-{session.size - 1}"} if session.size else {}
                return Response(status_code=308, headers=end)
            _within(session.size, _range(session.headers))
            resource = await self._create(
                session.bucket, session.name, session.body, session.headers
            )
            self._sessions.pop(id, None)
            session.body.close()
        return JSONResponse(resource)

    # ------------------------------------------------------------ JSON API: the functions

    async def insert(self, request: Request) -> Response:
        """`POST /upload/storage/v1/b/{bucket}/o`: media, multipart or resumable."""
        bucket, query = request.path_params["bucket"], request.query_params
        headers = {"content-type": request.headers.get("content-type", _UNKNOWN)}
        if match := query.get("ifGenerationMatch"):
            headers["x-goog-if-generation-match"] = match
        try:
            match query.get("uploadType"):
                case "media":
                    with tempfile.TemporaryFile() as body:
                        await _receive(request, body, None)
                        return JSONResponse(
                            await self._create(bucket, query["name"], body, headers)
                        )
                case "multipart":
                    meta, kind, content = _parts(
                        request.headers["content-type"], await request.body()
                    )
                    headers["content-type"] = meta.get("contentType") or kind
                    with tempfile.TemporaryFile() as body:
                        body.write(content)
                        name = query.get("name") or meta["name"]
                        return JSONResponse(await self._create(bucket, name, body, headers))
                case "resumable":
                    meta = json.loads(await request.body() or b"{}")
                    headers["content-type"] = request.headers.get(
                        "x-upload-content-type", meta.get("contentType", headers["content-type"])
                    )
                    name = query.get("name") or meta["name"]
                    await self._check_generation(bucket, name, match)
                    id = secrets.token_urlsafe(24)
                    self._sessions[id] = Session(bucket, name, headers)
                    return Response(headers={"Location": f"{request.url}&upload_id={id}"})
        except Denied as denied:
            return _json(denied)
        return _json(Denied("invalid", "uploadType is missing", 400))

    async def insert_more(self, request: Request) -> Response:
        try:
            return await self._continue(request.query_params.get("upload_id", ""), request)
        except Denied as denied:
            return _json(denied)

    async def cancel(self, request: Request) -> Response:
        """A resumable upload that is given up: nothing of it is kept."""
        session = self._sessions.pop(request.query_params.get("upload_id", ""), None)
        if session is not None:
            session.body.close()
        return Response(status_code=204)

    async def notify(self, request: Request) -> Response:
        """`notificationConfigs` of a bucket: kept here, for the emulator has none."""
        bucket = request.path_params["bucket"]
        configs = self._notifications.setdefault(bucket, [])
        if request.method == "POST":
            config = await request.json()
            config["id"] = str(len(configs) + 1)
            configs.append(config)
            return JSONResponse(config)
        return JSONResponse({"kind": "storage#notifications", "items": configs})

    async def other(self, request: Request) -> Response:
        """Whatever else of the JSON API: to the emulator, with preconditions checked before."""
        generation = request.query_params.get("ifGenerationMatch") or request.query_params.get(
            "generation"
        )
        path = re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)", _raw_path(request))
        if generation and path and "rewriteTo" not in request.url.path:
            try:
                await self._check_generation(path[1], unquote(path[2]), generation)
            except Denied as denied:
                if denied.status == 412 and "generation" in request.query_params:
                    denied = Denied("notFound", "No such object", 404)
                return _json(denied)
        answer = await self._forward(request)
        if request.method == "POST" and "/rewriteTo/" in request.url.path:
            await self._tell(json.loads(bytes(answer.body)).get("resource"))
        return answer

    # ------------------------------------------------------------ objects

    async def _create(
        self, bucket: str, name: str, body: IO[bytes], headers: Mapping[str, str]
    ) -> Resource:
        """Store an object whole, and tell of it. Of two that require its absence, one is refused."""
        _check_hashes(body, headers)
        async with self._changing:
            before = await self._check_generation(
                bucket, name, headers.get("x-goog-if-generation-match")
            )
            body.seek(0)
            size = body.seek(0, 2)
            body.seek(0)
            kind = headers.get("content-type", _UNKNOWN)
            answer = await self._stored(bucket, name, body, size, kind)
        if answer.status_code != 200:
            raise Denied("NoSuchBucket", "The specified bucket does not exist.", 404)
        resource: Resource = answer.json()
        await self._tell(resource, before)
        return resource

    async def _stored(
        self, bucket: str, name: str, body: IO[bytes], size: int, content_type: str
    ) -> httpx.Response:
        """As the emulator takes it.

        It parses a body of type JSON or multipart, takes the object's type from
        `contentEncoding` if that is given, and knows no empty body.
        """
        path = f"/upload/storage/v1/b/{bucket}/o"
        if not size:
            meta = json.dumps({"name": name, "contentType": content_type})
            parts = (
                f"--empty\r\nContent-Type: application/json\r\n\r\n{meta}\r\n"
                f"--empty\r\nContent-Type: {content_type}\r\n\r\n\r\n--empty--"
            )
            kind = {"Content-Type": "multipart/related; boundary=empty"}
            query = {"uploadType": "multipart", "name": name}
            return await self._http.post(path, params=query, content=parts.encode(), headers=kind)
        return await self._http.post(
            path,
            params={"uploadType": "media", "name": name, "contentEncoding": content_type},
            content=_pieces(body),
            headers={"Content-Type": _UNKNOWN, "Content-Length": str(size)},
        )

    async def _check_generation(self, bucket: str, name: str, wanted: str | None) -> str | None:
        """The generation that is there, if any. Raises `Denied` when it is not the wanted one."""
        found = await self._http.get(f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}")
        current = found.json()["generation"] if found.status_code == 200 else None
        if wanted is not None and wanted != (current or "0"):
            raise Denied(
                "PreconditionFailed",
                "At least one of the pre-conditions you specified failed.",
                412,
            )
        return current

    async def _forward(self, request: Request) -> Response:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in ("host", "content-length", "transfer-encoding", "accept-encoding")
        }
        url = _raw_path(request) + "?" + request.scope["query_string"].decode()
        answer = await self._http.request(
            request.method,
            url,
            headers={**headers, "accept-encoding": "identity"},
            content=await request.body(),
        )
        dropped = ("connection", "content-length", "transfer-encoding", "server", "date")
        kept = {k: v for k, v in answer.headers.items() if k not in dropped}
        return Response(answer.content, answer.status_code, kept)

    # ------------------------------------------------------------ notifications

    async def _tell(self, resource: Resource | None, before: str | None = None) -> None:
        if resource is None:
            return
        for config in self._notifications.get(resource["bucket"], []):
            prefix = config.get("object_name_prefix", "")
            if not resource["name"].startswith(prefix):
                continue
            if "OBJECT_FINALIZE" not in config.get("event_types", ["OBJECT_FINALIZE"]):
                continue
            task = asyncio.create_task(self._publish(config, _message(config, resource, before)))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def _publish(self, config: Resource, message: Resource) -> None:
        """At least once: Pub/Sub may be away for a while."""
        topic = config["topic"].removeprefix("//pubsub.googleapis.com/")
        url = f"http://{self._pubsub}/v1/{topic}:publish"
        for pause in (0.1, 0.5, 1, 2, 5, 10, 30):
            try:
                answer = await self._http.post(url, json={"messages": [message]})
                if answer.status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(pause)
        print(f"a notification for {topic} was lost", flush=True)


class Session:
    """A resumable upload: what has come of it so far."""

    def __init__(self, bucket: str, name: str, headers: Mapping[str, str]) -> None:
        self.bucket = bucket
        self.name = name
        self.headers = headers
        self.body: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is whole
        self.taking = asyncio.Lock()

    @property
    def size(self) -> int:
        return self.body.seek(0, 2)

    async def take(self, request: Request) -> int | None:
        """Take the next bytes; the whole size, once the client says it."""
        content_range = request.headers.get("content-range", "")
        if asked := re.fullmatch(r"bytes \*/(\d+|\*)", content_range):
            return int(asked[1]) if asked[1] != "*" else None
        sent = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", content_range)
        start = int(sent[1]) if sent else 0
        if start > self.size:
            raise Denied("InvalidRange", "Bytes before these have not come yet.", 503)
        self.body.seek(start)
        self.body.truncate()
        await _receive(request, self.body, None)
        limit = _range(self.headers)
        if limit and self.size > limit[1]:
            self.body.truncate(0)
            raise Denied("EntityTooLarge", "Your proposed upload is too large.", 400)
        if sent is None:
            return self.size
        return int(sent[3]) if sent[3] != "*" else None


async def _receive(request: Request, into: IO[bytes], limit: tuple[int, int] | None) -> None:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if limit and received > limit[1]:
            raise Denied("EntityTooLarge", "Your proposed upload is too large.", 400)
        into.write(chunk)
    if limit is not None:
        _within(received, limit)


def _range(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """`x-goog-content-length-range: min,max`, in bytes."""
    value = headers.get("x-goog-content-length-range")
    if value is None:
        return None
    found = re.fullmatch(r"(\d+),(\d+)", value)
    if not found:
        raise Denied("InvalidArgument", "x-goog-content-length-range must read min,max.", 400)
    return int(found[1]), int(found[2])


def _within(size: int, limit: tuple[int, int] | None) -> None:
    if limit and size < limit[0]:
        raise Denied("EntityTooSmall", "Your proposed upload is smaller than allowed.", 400)
    if limit and size > limit[1]:
        raise Denied("EntityTooLarge", "Your proposed upload is too large.", 400)


def _check_hashes(body: IO[bytes], headers: Mapping[str, str]) -> None:
    wanted = dict(
        part.strip().split("=", 1) for part in headers.get(_HASHED, "").split(",") if "=" in part
    )
    if "content-md5" in headers:
        wanted["md5"] = headers["content-md5"]
    if not wanted:
        return
    md5 = hashlib.md5(usedforsecurity=False)
    crc: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    body.seek(0)
    while chunk := body.read(_CHUNK):
        md5.update(chunk)
        crc.update(chunk)
    real = {"md5": md5.digest(), "crc32c": crc.digest()}
    for kind, value in wanted.items():
        if kind in real and base64.b64encode(real[kind]).decode() != value:
            raise Denied("BadDigest", f"The {kind} you specified did not match.", 400)


async def _pieces(body: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := body.read(_CHUNK):
        yield chunk


def _parts(content_type: str, body: bytes) -> tuple[Resource, str, bytes]:
    """Metadata, type and content of `multipart/related`."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not found:
        raise Denied("invalid", "no boundary", 400)
    mark = b"--" + found[1].encode()
    first, second = body.split(mark, 2)[1:]
    meta = first.split(b"\r\n\r\n", 1)[1]
    head, content = second.split(b"\r\n\r\n", 1)
    kind = re.search(rb"content-type: *([^\r\n]+)", head, re.I)
    return (
        json.loads(meta),
        kind[1].decode() if kind else _UNKNOWN,
        content.rsplit(b"\r\n" + mark, 1)[0],
    )


def _message(config: Resource, resource: Resource, before: str | None) -> Resource:
    """As Cloud Storage publishes it: https://cloud.google.com/storage/docs/pubsub-notifications"""
    bucket = resource["bucket"]
    attributes = {
        "notificationConfig": f"projects/_/buckets/{bucket}/notificationConfigs/{config['id']}",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": bucket,
        "objectId": resource["name"],
        "objectGeneration": resource["generation"],
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    if before:
        attributes["overwroteGeneration"] = before
    return {
        "attributes": {**attributes, **config.get("custom_attributes", {})},
        "data": base64.b64encode(json.dumps(resource).encode()).decode(),
    }


def _single(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _raw_path(request: Request) -> str:
    return str(request.scope["raw_path"].split(b"?")[0].decode())


def _xml(denied: Denied) -> Response:
    body = (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{denied.code}</Code>"
        f"<Message>{denied}</Message></Error>"
    )
    return Response(body, denied.status, media_type="application/xml")


def _json(denied: Denied) -> Response:
    error = {"code": denied.status, "message": str(denied), "errors": [{"reason": denied.code}]}
    return JSONResponse({"error": error}, denied.status)


def _cors(response: Response, request: Request) -> Response:
    """As `storage.cors.json` allows: what Terraform gives to the bucket."""
    origin = request.headers.get("origin")
    rules = json.loads((ROOT / "storage.cors.json").read_text())
    for rule in rules if origin else []:
        if origin in rule["origin"] or "*" in rule["origin"]:
            response.headers["Access-Control-Allow-Origin"] = origin or ""
            response.headers["Access-Control-Allow-Methods"] = ", ".join(rule["method"])
            response.headers["Access-Control-Allow-Headers"] = ", ".join(rule["responseHeader"])
            response.headers["Access-Control-Expose-Headers"] = ", ".join(rule["responseHeader"])
    return response


def application(inner: str, account: ServiceAccount, project: str, pubsub: str) -> ASGIApp:
    storage = Storage(inner, account, project, pubsub)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await storage._http.aclose()

    object_methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]
    upload = "/upload/storage/v1/b/{bucket}/o"
    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", lambda request: Response("ok")),
            Route(upload, storage.insert, methods=["POST"]),
            Route(upload, storage.insert_more, methods=["PUT"]),
            Route(upload, storage.cancel, methods=["DELETE"]),
            Route(
                "/storage/v1/b/{bucket}/notificationConfigs",
                storage.notify,
                methods=["GET", "POST"],
            ),
            Route("/storage/v1/{rest:path}", storage.other, methods=[*object_methods, "PATCH"]),
            Route("/download/storage/v1/{rest:path}", storage.other, methods=["GET", "HEAD"]),
            Route("/batch/storage/v1", storage.other, methods=["POST"]),
            Route("/{bucket}/{name:path}", storage.signed, methods=object_methods),
        ],
    )
    return Failing(app, _api_of)


def _api_of(path: str) -> str:
    """Which of the two interfaces a path belongs to; neither, if it is only asked whether it is up."""
    if path == "/":
        return ""
    return "json" if path.startswith(_JSON_API) else "signed"


if __name__ == "__main__":
    port, key_file, project, pubsub = sys.argv[1:]
    inner_port = free_ports(1)[0]
    create_server(HOST, inner_port, True).start()
    uvicorn.run(
        application(
            f"http://{HOST}:{inner_port}",
            ServiceAccount(Path(key_file), project),
            project,
            pubsub,
        ),
        host=HOST,
        port=int(port),
        log_level="warning",
        access_log=False,
    )
