"""Signing without a key file, as in the cloud: IAM is asked, with the function's own account."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.auth import iam
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from google.oauth2 import service_account

from common import storage
from common.problems import NotFound, Problem, Unavailable
from local.platform import PROJECT, Platform
from local.signed_urls import Denied, ServiceAccount, verify


class _Iam(BaseHTTPRequestHandler):
    """`signBlob` of IAM Credentials, with a key of the test's."""

    key: service_account.Credentials

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        signed = self.key.sign_bytes(base64.b64decode(asked["payload"]))
        answer = {"keyId": "1", "signedBlob": base64.b64encode(signed).decode()}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments: Any) -> None:
        pass


class _LosesWrites(BaseHTTPRequestHandler):
    """Storage that begins to take an object, and refuses its pieces with `status`."""

    status = 410

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Location", f"http://{self.headers['Host']}/session")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(self.status)

    def do_DELETE(self) -> None:
        self.send_response(499)  # as the real one says that a session is cancelled
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


class _OfAMachine:
    """Credentials as a function has them in the cloud: a token and a name, and no key."""

    valid = True
    token = "a-token"
    service_account_email = f"functions@{PROJECT}.iam.gserviceaccount.com"
    universe_domain = "googleapis.com"

    def before_request(self, request: Any, method: str, url: str, headers: Any) -> None:
        headers["authorization"] = "Bearer a-token"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    ServiceAccount(path, PROJECT)
    return path


@pytest.fixture
def iam_at(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    load: Any = service_account.Credentials.from_service_account_file
    _Iam.key = load(str(key_file))
    server = HTTPServer(("127.0.0.1", 0), _Iam)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/{{}}:signBlob"
    monkeypatch.setattr(iam, "_IAM_SIGN_ENDPOINT", url, raising=False)
    monkeypatch.setattr(iam, "_IAM_ENDPOINT", url, raising=False)
    monkeypatch.setattr(storage, "credentials_for", lambda scope: _OfAMachine())
    yield
    server.shutdown()
    server.server_close()


async def test_a_url_is_signed_by_iam_where_there_is_no_key(
    platform: Platform, iam_at: None, key_file: Path
) -> None:
    signed = await storage.upload_url("audio/p/t", "audio/wav", 10)
    url = urlsplit(signed.url)
    headers = {name.lower(): value for name, value in signed.headers.items()}
    headers["host"] = url.netloc
    account = ServiceAccount(key_file, PROJECT)
    verify(account, "PUT", url.path, url.query, headers)
    with pytest.raises(Denied):
        verify(account, "PUT", url.path + "x", url.query, headers)


@pytest.mark.parametrize(("status", "raised"), [(410, Unavailable), (404, NotFound)])
async def test_an_object_whose_pieces_are_refused_is_told_as_any_other_failure(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, status: int, raised: type[Problem]
) -> None:
    monkeypatch.setattr(_LosesWrites, "status", status)
    server = HTTPServer(("127.0.0.1", 0), _LosesWrites)
    Thread(target=server.serve_forever, daemon=True).start()
    client = Client(
        project=PROJECT,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": f"http://127.0.0.1:{server.server_port}"},
    )
    monkeypatch.setattr(storage, "storage_client", lambda: client)

    async def content() -> AsyncIterator[bytes]:
        yield bytes(storage.CHUNK)
        yield b"the rest"

    try:
        with pytest.raises(raised):
            await storage.write(storage.Bucket.RESULTS, "audio/p/t", content(), "audio/flac")
    finally:
        server.shutdown()
        server.server_close()
