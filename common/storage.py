"""Cloud Storage: signed URLs for apps, and the objects themselves for functions.

Apps never get more than one object, one method and fifteen minutes. Objects
are named `audio/{patient_id}/{id}` and `images/{patient_id}/{id}`; whoever reads one names its generation, so
that it can't be another under the same name.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar

from common import telemetry
from common.clients import credentials_for, storage_client
from common.firestore import now
from common.problems import AlreadyExists, NotFound, Unavailable
from common.settings import settings

T = TypeVar("T")

URL_LIFETIME = timedelta(minutes=15)

CHUNK = 1 << 20

_DEADLINE = 60.0
"""Seconds for one request; an object is read and written in pieces, each a request."""

_SILENT = "File storage does not answer. Nothing was lost."
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Bucket(StrEnum):
    UPLOADS = "uploads"
    """What apps send; nobody reads it before it was checked."""
    RESULTS = "results"
    """What functions and outside services make of it, until it is stored where it belongs."""
    PREVIEWS = "previews"
    """What images are shown by."""
    DEIDENTIFIED = "deidentified"
    """Images without identifiers: what may be shared, and what models may see."""
    QUARANTINE = "quarantine"
    """What was refused by the malware scan, or could not be scanned."""

    @property
    def full_name(self) -> str:
        return f"{settings().project_id}-{self.value}"

    def uri(self, name: str) -> str:
        return f"gs://{self.full_name}/{name}"


RECORDINGS = (Bucket.UPLOADS, Bucket.RESULTS, Bucket.QUARANTINE)
"""Where a recording, and what is made of it, can lie."""
IMAGES = (Bucket.UPLOADS, Bucket.PREVIEWS, Bucket.DEIDENTIFIED, Bucket.QUARANTINE)


@dataclass(frozen=True)
class SignedUrl:
    url: str
    method: str
    headers: dict[str, str]
    """To be sent exactly so: they are part of what is signed."""
    expire_time: datetime


@dataclass(frozen=True)
class StoredObject:
    name: str
    generation: int
    size: int
    content_type: str


async def upload_url(
    name: str, content_type: str, size: int, *, resumable: bool = False
) -> SignedUrl:
    """For one upload of exactly `size` bytes of this type, where nothing is yet.

    A resumable upload begins with a POST, whose answer's `Location` takes the
    content in pieces.
    """
    headers = {
        "Content-Type": content_type,
        "x-goog-content-length-range": f"{size},{size}",
        "x-goog-if-generation-match": "0",
    }
    if resumable:
        headers["x-goog-resumable"] = "start"
    method = "POST" if resumable else "PUT"
    expire_time = now() + URL_LIFETIME

    url = await _signed(Bucket.UPLOADS, name, method, headers=headers)
    return SignedUrl(url, method, headers, expire_time)


async def download_url(bucket: Bucket, name: str, *, save_as: str | None = None) -> SignedUrl:
    """For reading one object; with `save_as`, a browser stores it under this name instead of showing it."""
    said = {} if save_as is None else {"response_disposition": f'attachment; filename="{save_as}"'}
    expire_time = now() + URL_LIFETIME
    return SignedUrl(await _signed(bucket, name, "GET", **said), "GET", {}, expire_time)


async def _signed(bucket: Bucket, name: str, method: str, **more: Any) -> str:
    def sign() -> str:
        given = {**more, "headers": dict(more["headers"])} if "headers" in more else more
        return str(  # it changes the headers that it is given
            _bucket(bucket)
            .blob(name)
            .generate_signed_url(
                version="v4",
                expiration=URL_LIFETIME,
                method=method,
                api_access_endpoint=storage_client().api_endpoint,
                credentials=_signing_credentials(),
                **given,
            )
        )

    return await _asking(sign)


def _signing_credentials() -> Any:
    """With a key if the environment has one; else IAM signs, as the function's own account."""
    credentials = credentials_for(_SCOPE)
    if hasattr(credentials, "sign_bytes") and getattr(credentials, "signer", None) is not None:
        return credentials
    return _signed_by_iam(credentials)


def _signed_by_iam(credentials: Any) -> Any:
    """What `generate_signed_url` needs of credentials, by IAM's signBlob: no key leaves Google."""
    from google.auth import iam
    from google.auth.credentials import Signing
    from google.auth.transport.requests import Request

    request = Request()
    if not credentials.valid:
        credentials.refresh(request)  # only then it knows its own name
    email = credentials.service_account_email
    by_iam: Any = iam.Signer(request, credentials, email)  # type: ignore[no-untyped-call]

    class SignedByIam(Signing):
        signer = by_iam
        signer_email = email

        def sign_bytes(self, message: bytes) -> bytes:
            return bytes(by_iam.sign(message))

    return SignedByIam()


async def find(bucket: Bucket, name: str) -> StoredObject | None:
    blob = await _asking(lambda: _bucket(bucket).get_blob(name, timeout=_DEADLINE))
    if blob is None:
        return None
    return StoredObject(name, int(blob.generation), int(blob.size), blob.content_type or "")


async def find_all(bucket: Bucket, prefix: str) -> list[str]:
    """Names, in their order; what is asked for is never many."""

    def ask() -> list[str]:
        found = storage_client().list_blobs(bucket.full_name, prefix=prefix, timeout=_DEADLINE)
        return [str(blob.name) for blob in found]

    return await _asking(ask)


async def read(bucket: Bucket, stored: StoredObject, start: int, size: int) -> bytes:
    """Up to `size` bytes from `start` on. Raises `NotFound`, `Unavailable`."""
    if start >= stored.size or size <= 0:
        return b""
    end = min(start + size, stored.size) - 1

    def ask() -> bytes:
        blob = _bucket(bucket).blob(stored.name, generation=stored.generation)
        return bytes(blob.download_as_bytes(start=start, end=end, timeout=_DEADLINE, checksum=None))

    return await _asking(ask)


async def pieces(bucket: Bucket, stored: StoredObject) -> AsyncIterator[bytes]:
    for start in range(0, stored.size, CHUNK):
        yield await read(bucket, stored, start, CHUNK)


async def create(bucket: Bucket, name: str, content: bytes, content_type: str) -> None:
    """Raises `AlreadyExists`, `Unavailable`."""

    def ask() -> None:
        _bucket(bucket).blob(name).upload_from_string(
            content, content_type=content_type, if_generation_match=0, timeout=_DEADLINE
        )

    await _asking(ask)


async def write(
    bucket: Bucket, name: str, content: AsyncIterator[bytes], content_type: str
) -> None:
    """Store what comes, in place of what is there. If it breaks off, nothing is stored."""
    blob = _bucket(bucket).blob(name)
    into = await _asking(
        lambda: blob.open("wb", chunk_size=CHUNK, content_type=content_type, timeout=_DEADLINE)
    )
    try:
        async for piece in content:
            await _asking(functools.partial(into.write, piece))
    except BaseException:
        # Else it would be completed, with what there is, when it is collected.
        await _asking(into.terminate)
        raise
    await _asking(into.close)


async def quarantine(stored: StoredObject) -> None:
    """Move an upload to where only an operator looks. Again is no harm."""

    def ask() -> None:
        source = _bucket(Bucket.UPLOADS).blob(stored.name)
        target = _bucket(Bucket.QUARANTINE).blob(stored.name)
        token, _, _ = target.rewrite(source, timeout=_DEADLINE)
        while token:
            token, _, _ = target.rewrite(source, token=token, timeout=_DEADLINE)

    try:
        await _asking(ask)
    except NotFound:
        return  # it was moved before
    await delete(Bucket.UPLOADS, stored.name)


async def delete(bucket: Bucket, name: str) -> None:
    """Again is no harm."""
    with contextlib.suppress(NotFound):
        await _asking(lambda: _bucket(bucket).blob(name).delete(timeout=_DEADLINE))


async def delete_all(prefix: str, buckets: Iterable[Bucket]) -> None:
    """What lies under this name or begins with it and a slash, in these buckets."""
    for bucket in buckets:
        for name in await find_all(bucket, prefix):
            if name == prefix or name.startswith(f"{prefix}/"):
                await delete(bucket, name)


async def is_reachable() -> bool:
    try:
        async with asyncio.timeout(3):
            await find_all(Bucket.UPLOADS, "health/")
    except (Unavailable, TimeoutError):
        return False
    return True


def _bucket(bucket: Bucket) -> Any:
    return storage_client().bucket(bucket.full_name)


async def _asking(call: Callable[[], T]) -> T:
    """The library blocks, so it runs in a thread. Raises `NotFound`, `AlreadyExists`, `Unavailable`."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests import RequestException

    try:
        with telemetry.span("storage"):
            return await asyncio.to_thread(call)
    except exceptions.NotFound:
        raise NotFound from None
    except exceptions.PreconditionFailed:
        raise AlreadyExists from None
    except InvalidResponse as error:  # of an object that is written in pieces
        if error.response.status_code == HTTPStatus.NOT_FOUND:
            raise NotFound from None
        raise Unavailable(_SILENT) from error
    except (
        exceptions.GoogleAPICallError,
        exceptions.RetryError,
        GoogleAuthError,
        RequestException,
        DataCorruption,
    ) as error:
        raise Unavailable(_SILENT) from error
