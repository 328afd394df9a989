"""Page tokens: opaque, authentic, and good for one list only.

A token is the position after the last row, encrypted under a key that every
instance shares, with the query as associated data. An altered token, or one
from another list or filter, does not decrypt.
"""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from typing import Annotated, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from common.problems import PageTokenInvalid
from common.settings import settings

Cursor = list[str | int | float | bool | datetime | None]

T = TypeVar("T")

_NONCE = 12


class PageQuery(BaseModel):
    """The query parameters of every list; a service's filters extend it."""

    model_config = ConfigDict(extra="forbid")

    page_size: Annotated[int, Field(ge=1, le=100, description="Rows on a page.")] = 20
    page_token: Annotated[
        str | None, Field(max_length=2000, description="`next_page_token` of the page before.")
    ] = None


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_page_token: str | None = None
    """Absent from the last page. A page may be short, even empty, and still have one."""


def seal(cursor: Cursor, query: str) -> str:
    # Imported here: only the second page and later need it, and it costs 20 ms.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    plain = json.dumps([_tagged(value) for value in cursor], ensure_ascii=False).encode()
    # Made from what is sealed: the same page has the same token, and so the same ETag.
    said = query.encode() + b"\0" + plain
    nonce = hmac.new(settings().page_token_key, said, hashlib.sha256).digest()[:_NONCE]
    sealed = AESGCM(settings().page_token_key).encrypt(nonce, plain, query.encode())
    return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()


def unseal(token: str, query: str) -> Cursor:
    """Raises `PageTokenInvalid`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        plain = AESGCM(settings().page_token_key).decrypt(
            raw[:_NONCE], raw[_NONCE:], query.encode()
        )
    except (InvalidTag, binascii.Error, ValueError):
        raise PageTokenInvalid from None
    return [_untagged(value) for value in json.loads(plain)]


def _tagged(value: object) -> object:
    return {"t": value.isoformat()} if isinstance(value, datetime) else value


def _untagged(value: object) -> str | int | float | bool | datetime | None:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["t"])
    return cast(str | int | float | bool | None, value)
