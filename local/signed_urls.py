"""What Cloud Storage checks of a V4 signed URL before it does what the URL asks for.

https://cloud.google.com/storage/docs/access-control/signed-urls
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_ALGORITHM = "GOOG4-RSA-SHA256"
_LONGEST = 7 * 24 * 3600
_SKEW = timedelta(minutes=15)

TOKEN_URI = "https://oauth2.googleapis.com/token"


class Denied(Exception):
    """`code` is Cloud Storage's own word, `status` what it answers with."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        self.code = code
        self.status = status
        super().__init__(message)


class ServiceAccount:
    """A key of this machine's own, in the form of Google's key files; made when there is none."""

    def __init__(self, path: Path, project: str) -> None:
        if not path.exists():
            _write_key(path, project)
        stored = json.loads(path.read_text())
        self.email: str = stored["client_email"]
        key = serialization.load_pem_private_key(stored["private_key"].encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{path} holds no RSA key")
        self._public = key.public_key()

    def has_signed(self, text: str, signature: str) -> bool:
        try:
            signed = bytes.fromhex(signature)
            self._public.verify(signed, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True


def _write_key(path: Path, project: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    email = f"functions@{project}.iam.gserviceaccount.com"
    stored = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": hashlib.sha256(pem.encode()).hexdigest()[:40],
        "private_key": pem,
        "client_email": email,
        "client_id": "0",
        "token_uri": TOKEN_URI,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(stored))


def verify(
    account: ServiceAccount, method: str, path: str, query: str, headers: Mapping[str, str]
) -> None:
    """Raises `Denied` unless the request is exactly the one that was signed, and in time.

    `path` and `query` as they were sent, still encoded; `headers` with lower-case names.
    """
    given = dict(parse_qsl(query, keep_blank_values=True))
    signature = given.pop("X-Goog-Signature", "")
    if not signature:
        raise Denied("AccessDenied", "Anonymous caller does not have access to the object.", 401)
    _check_time(given)
    names = given.get("X-Goog-SignedHeaders", "").split(";")
    _check_headers(names, headers)
    day = given["X-Goog-Date"]
    credential = given.get("X-Goog-Credential", "")
    email, _, scope = credential.partition("/")
    if given.get("X-Goog-Algorithm") != _ALGORITHM or email != account.email:
        raise Denied("InvalidSecurity", "The provided security credentials are not valid.")
    canonical = "\n".join(
        [
            method,
            path,
            "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in sorted(given.items())),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    if not account.has_signed("\n".join([_ALGORITHM, day, scope, digest]), signature):
        raise Denied("SignatureDoesNotMatch", "Access denied: the signature does not match.")


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _check_time(given: Mapping[str, str]) -> None:
    try:
        begin = datetime.strptime(given["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        seconds = int(given["X-Goog-Expires"])
    except (KeyError, ValueError):
        raise Denied("InvalidArgument", "X-Goog-Date or X-Goog-Expires is wrong.", 400) from None
    if not 0 < seconds <= _LONGEST:
        raise Denied("InvalidArgument", "X-Goog-Expires must be at most seven days.", 400)
    moment = datetime.now(UTC)
    if moment > begin + timedelta(seconds=seconds):
        raise Denied("ExpiredToken", "The provided token has expired.", 400)
    if begin > moment + _SKEW:
        raise Denied("RequestTimeTooSkewed", "The signature's time lies ahead.")


def _check_headers(names: list[str], headers: Mapping[str, str]) -> None:
    missing = [name for name in names if name not in headers]
    if missing or "host" not in names:
        raise Denied("MalformedSecurityHeader", "A signed header was not sent.", 400)
    free = [name for name in headers if name.startswith("x-goog-") and name not in names]
    if free:
        raise Denied("MalformedSecurityHeader", f"{free[0]} was sent, but not signed.", 400)
