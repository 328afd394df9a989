"""The production verifier, with keys of our own served over HTTP as Google serves its."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from common.problems import IdentityUnavailable, TokenExpired, TokenInvalid
from common.settings import ConfigurationError, from_environment
from common.tokens import Certificates, EmulatorTokenVerifier, GoogleTokenVerifier

PROJECT = "demo-healthhub"


def certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime.now(UTC) - timedelta(days=1),
        not_valid_after=datetime.now(UTC) + timedelta(days=1),
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class Issuer:
    """Signs tokens, and serves the certificates; counts how often they are fetched."""

    def __init__(self) -> None:
        self.keys = {"kid-1": rsa.generate_private_key(65537, 2048)}
        self.fetches = 0
        self.is_down = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                self.send_response(500 if issuer.is_down else 200)
                self.send_header("Cache-Control", "public, max-age=3600")
                self.end_headers()
                pems = {kid: certificate(key) for kid, key in issuer.keys.items()}
                self.wfile.write(json.dumps(pems).encode())

            def log_message(self, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def claims(self, **changed: Any) -> dict[str, Any]:
        moment = int(time.time())
        return {
            "iss": f"https://securetoken.google.com/{PROJECT}",
            "aud": PROJECT,
            "sub": "uid-1",
            "iat": moment - 5,
            "auth_time": moment - 5,
            "exp": moment + 3600,
            "email": "ana@example.test",
            **changed,
        }

    def token(self, kid: str = "kid-1", **changed: Any) -> str:
        return jwt.encode(self.claims(**changed), self.keys[kid], "RS256", {"kid": kid})

    def verifier(self) -> GoogleTokenVerifier:
        return GoogleTokenVerifier(PROJECT, Certificates(self.url))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


async def test_a_good_token_tells_who_and_since_when(issuer: Issuer) -> None:
    claims = await issuer.verifier().verify(issuer.token(auth_time=1_700_000_000))
    assert claims.uid == "uid-1"
    assert claims.auth_time == datetime.fromtimestamp(1_700_000_000, UTC)


def _unsigned(issuer: Issuer, alg: str = "none") -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': alg, 'kid': 'kid-1'})}.{part(issuer.claims())}."


def _forgeries(issuer: Issuer) -> dict[str, str]:
    good = issuer.token()
    head, body, signature = good.split(".")
    other = rsa.generate_private_key(65537, 2048)
    pem = certificate(issuer.keys["kid-1"])
    hs256 = jwt.encode({}, "x" * 32, "HS256", {"kid": "kid-1"})
    assert hs256
    return {
        "alg none": _unsigned(issuer),
        "alg None": _unsigned(issuer, "None"),
        "HS256 with the certificate as secret": _hs256(issuer.claims(), pem),
        "another key": jwt.encode(issuer.claims(), other, "RS256", {"kid": "kid-1"}),
        "RS512": jwt.encode(issuer.claims(), issuer.keys["kid-1"], "RS512", {"kid": "kid-1"}),
        "unknown kid": jwt.encode(issuer.claims(), other, "RS256", {"kid": "kid-9"}),
        "no kid": jwt.encode(issuer.claims(), issuer.keys["kid-1"], "RS256"),
        "wrong aud": issuer.token(aud="another-project"),
        "aud a list": issuer.token(aud=["other"]),
        "wrong iss": issuer.token(iss="https://securetoken.google.com/another-project"),
        "expired": issuer.token(exp=int(time.time()) - 3600),
        "no exp": issuer.token(exp=None),
        "issued in the future": issuer.token(iat=int(time.time()) + 3600),
        "signed in in the future": issuer.token(auth_time=int(time.time()) + 3600),
        "auth_time a text": issuer.token(auth_time="yesterday"),
        "no sub": issuer.token(sub=""),
        "sub with a slash": issuer.token(sub="a/b"),
        "changed body": f"{head}.{body[:-2]}AA.{signature}",
        "no signature": f"{head}.{body}.",
        "garbage": "garbage",
        "empty": "",
    }


def _hs256(claims: dict[str, Any], secret: str) -> str:
    """PyJWT refuses to make such a token, so it is made by hand."""
    import hashlib
    import hmac

    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    signed = ".".join(
        part(json.dumps(value).encode())
        for value in ({"alg": "HS256", "typ": "JWT", "kid": "kid-1"}, claims)
    )
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(digest)}"


async def test_p08_no_forged_token_is_accepted(issuer: Issuer, figure: Any) -> None:
    verifier = issuer.verifier()
    accepted = []
    forgeries = _forgeries(issuer)
    for name, token in forgeries.items():
        try:
            await verifier.verify(token)
            accepted.append(name)
        except (TokenInvalid, TokenExpired):
            pass
    figure("accepted", f"{len(accepted)} of {len(forgeries)}")
    assert not accepted


@pytest.mark.parametrize(
    "variable", ["FIREBASE_AUTH_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"]
)
def test_p08_an_emulator_in_the_cloud_stops_the_start(variable: str) -> None:
    cloud = {
        "K_SERVICE": "users",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "PAGE_TOKEN_KEY": base64.b64encode(b"k" * 32).decode(),
        "AUDIT_KEY": base64.b64encode(b"a" * 32).decode(),
    }
    assert from_environment(cloud).project_id == PROJECT
    with pytest.raises(ConfigurationError, match=variable):
        from_environment({**cloud, variable: "127.0.0.1:1"})


async def test_certificates_are_fetched_once_for_many_tokens(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    for _ in range(20):
        await verifier.verify(issuer.token())
    assert issuer.fetches == 1


async def test_unknown_key_ids_do_not_make_us_fetch_again_and_again(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    await verifier.verify(issuer.token())
    issuer.keys["kid-2"] = rsa.generate_private_key(65537, 2048)
    for _ in range(10):
        with pytest.raises(TokenInvalid):
            await verifier.verify(issuer.token("kid-2"))
    assert issuer.fetches == 1


async def test_a_new_key_is_found_when_the_last_fetch_is_a_minute_old(issuer: Issuer) -> None:
    certificates = Certificates(issuer.url)
    verifier = GoogleTokenVerifier(PROJECT, certificates)
    await verifier.verify(issuer.token())
    issuer.keys["kid-2"] = rsa.generate_private_key(65537, 2048)
    certificates._fetched_at -= 61
    await verifier.verify(issuer.token("kid-2"))


async def test_old_certificates_go_on_serving_while_new_ones_cannot_be_had(issuer: Issuer) -> None:
    certificates = Certificates(issuer.url)
    verifier = GoogleTokenVerifier(PROJECT, certificates)
    await verifier.verify(issuer.token())
    issuer.is_down = True
    certificates._fresh_until = 0
    await verifier.verify(issuer.token())


async def test_without_any_certificate_nobody_is_let_in(issuer: Issuer) -> None:
    issuer.is_down = True
    with pytest.raises(IdentityUnavailable):
        await issuer.verifier().verify(issuer.token())


async def test_for_the_emulator_everything_but_the_signature_counts(issuer: Issuer) -> None:
    verifier = EmulatorTokenVerifier(PROJECT)
    assert (await verifier.verify(_unsigned(issuer))).uid == "uid-1"
    for bad in (
        issuer.token(aud="another-project"),
        issuer.token(iss="https://example.test"),
        issuer.token(sub=""),
    ):
        with pytest.raises(TokenInvalid):
            await verifier.verify(bad)
    with pytest.raises(TokenExpired):
        await verifier.verify(issuer.token(exp=int(time.time()) - 3600))
