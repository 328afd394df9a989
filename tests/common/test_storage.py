"""Signing without a key file, as in the cloud: IAM is asked, with the function's own account."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.auth import iam
from google.oauth2 import service_account

from common import storage
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
