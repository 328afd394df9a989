"""Is this string an ID token that Firebase issued for this project?

Signatures are checked with Google's certificates, fetched once and parsed
once: a tenth of the time that the Admin SDK takes, and off the event loop.
With the Auth emulator there is no signature to check; settings.py makes sure
that no emulator is ever configured in the cloud.
"""

import asyncio
import hashlib
import json
import os
import re
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.utils import base64url_decode

from common.problems import IdentityUnavailable, TokenExpired, TokenInvalid
from common.settings import settings

_CLOCK_SKEW = 10
_VERIFIED_FOR = 300.0
_MOST_VERIFIED = 10_000
_UNKNOWN_KEY_PAUSE = 60
"""Seconds between fetches provoked by a key id that is not known; else anyone could cause them."""


@dataclass(frozen=True, slots=True)
class Claims:
    uid: str
    auth_time: datetime
    """When the person signed in; renewing a token does not move it."""
    expires_at: int
    """Unix time."""


class TokenVerifier(Protocol):
    async def verify(self, token: str) -> Claims:
        """Raises `TokenInvalid`, `TokenExpired` or `IdentityUnavailable`."""
        ...


class GoogleTokenVerifier:
    def __init__(self, project_id: str, certificates: "Certificates") -> None:
        self._project_id = project_id
        self._certificates = certificates

        self._verified: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()

    async def verify(self, token: str) -> Claims:
        """As promised; a token that was found good is so for some minutes, without another look.

        Its session may end meanwhile: that is asked of the account, not of the token.
        """
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        good_until, claims = self._verified.get(digest, (0.0, None))
        if claims is not None and time.time() < good_until:
            return claims
        key = await self._certificates.key(_key_id(token))
        claims = _checked(token, self._project_id, key)
        self._verified[digest] = (min(claims.expires_at, time.time() + _VERIFIED_FOR), claims)
        if len(self._verified) > _MOST_VERIFIED:
            self._verified.popitem(last=False)
        return claims


def _key_id(token: str) -> str:
    """The key id in the header, of which nothing is believed yet; empty if there is none."""
    try:
        header = json.loads(base64url_decode(token.split(".", 1)[0]))
        return str(header.get("kid", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""


class EmulatorTokenVerifier:
    """For the Auth emulator, whose tokens are unsigned; everything but the signature is checked."""

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id

    async def verify(self, token: str) -> Claims:
        return _checked(token, self._project_id, None)


def _checked(token: str, project_id: str, key: RSAPublicKey | None) -> Claims:
    options: Any = {"require": ["exp", "iat", "aud", "iss", "sub", "auth_time"]}
    if key is None:
        options |= {"verify_signature": False, "verify_exp": True, "verify_iat": True}
        options |= {"verify_aud": True, "verify_iss": True}
    try:
        claims = jwt.decode(
            token,
            key or "",
            algorithms=["RS256"] if key else ["none"],
            audience=project_id,
            issuer=f"https://securetoken.google.com/{project_id}",
            leeway=_CLOCK_SKEW,
            options=options,
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except jwt.InvalidTokenError:
        raise TokenInvalid from None
    uid, auth_time = claims["sub"], claims["auth_time"]
    if not isinstance(uid, str) or not 0 < len(uid) <= 128 or "/" in uid:
        raise TokenInvalid
    if not isinstance(auth_time, int) or auth_time > time.time() + _CLOCK_SKEW:
        raise TokenInvalid
    return Claims(uid, datetime.fromtimestamp(auth_time, UTC), int(claims["exp"]))


class Certificates:
    """Google's public keys by id, renewed when their Cache-Control says so.

    When they can't be renewed the old ones go on serving: they are retired
    days after they leave the list, not minutes.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._fresh_until = 0.0
        self._fetched_at = -1e9
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> RSAPublicKey:
        """Raises `TokenInvalid` for a key id that Google does not have."""
        if time.monotonic() > self._fresh_until:
            await self._renew(older_than=self._fresh_until)
        elif key_id not in self._keys and time.monotonic() - self._fetched_at > _UNKNOWN_KEY_PAUSE:
            await self._renew(older_than=time.monotonic())
        if not self._keys:
            raise IdentityUnavailable
        try:
            return self._keys[key_id]
        except KeyError:
            raise TokenInvalid from None

    async def _renew(self, older_than: float) -> None:
        async with self._lock:
            if self._fetched_at > older_than:
                return  # another request renewed them while this one waited
            try:
                self._keys, max_age = await asyncio.to_thread(_fetch, self._url)
            except (OSError, ValueError):
                # Remembered for some seconds, or those who wait here would each try in turn.
                max_age = 60.0 if self._keys else 2.0
            self._fetched_at = time.monotonic()
            self._fresh_until = self._fetched_at + max_age


def _fetch(url: str) -> tuple[dict[str, RSAPublicKey], float]:
    # Imported here, in the thread that fetches: nobody else parses a certificate.
    from cryptography.x509 import load_pem_x509_certificate

    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - from our settings
        certificates = json.load(response)
        cache_control = response.headers.get("Cache-Control", "")
    keys: dict[str, RSAPublicKey] = {}
    for key_id, pem in certificates.items():
        key = load_pem_x509_certificate(pem.encode()).public_key()
        if isinstance(key, RSAPublicKey):
            keys[key_id] = key
    max_age = re.search(r"max-age=(\d+)", cache_control)
    return keys, float(max_age[1]) if max_age else 3600.0


@lru_cache
def verifier() -> TokenVerifier:
    project_id = settings().project_id
    if "FIREBASE_AUTH_EMULATOR_HOST" in os.environ:
        return EmulatorTokenVerifier(project_id)
    return GoogleTokenVerifier(project_id, Certificates(settings().certificates_url))
