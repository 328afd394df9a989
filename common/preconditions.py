"""`If-Match` and `If-None-Match` against a record's ETag (RFC 9110, section 13)."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Set
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from common.firestore import ANY_REVISION
from common.problems import AlreadyExists, Busy, FieldError, RecordChanged

T = TypeVar("T")

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_REVISION = re.compile(r"\d{1,11}\.\d{6}000")  # Firestore's clock counts microseconds


def revision_of(if_match: str | None) -> str:
    """The revision that a write insists on. Raises `RecordChanged` for a tag that we never gave.

    A weak tag counts as the strong one: a proxy that compresses weakens tags,
    and ours name a revision, not bytes.
    """
    if if_match is None or if_match.strip() == "*":
        return ANY_REVISION
    tags = _TAG.findall(if_match)
    if len(tags) != 1 or not _REVISION.fullmatch(tags[0]):
        raise RecordChanged
    return str(tags[0])


def time_of(revision: str) -> datetime:
    """When Firestore stored it."""
    seconds, nanos = revision.split(".")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(nanos) // 1000)


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether the client holds what would be sent: answer 304."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag.strip('"') in _TAG.findall(if_none_match)


def changed_since(changed: Iterable[str], wanted: Set[str], etag: str) -> RecordChanged:
    """A refusal that says which fields somebody else changed, and which of these the caller changes too.

    It names fields, never what they say. `etag` is the record's current one.
    """
    also = "; your change touches it too"
    return RecordChanged(
        errors=[
            FieldError(
                pointer=f"/{name}",
                detail="Changed since you read it" + (also if name in wanted else ""),
            )
            for name in changed
        ],
        headers={"ETag": etag},
    )


async def applied(change: Callable[[], Awaitable[T]], revision: str = ANY_REVISION) -> T:
    """Make a change that reads a record and writes it as it was read.

    Without `If-Match` a change that meets another is made again on top of
    it. With it, it is tried once more, to read what the other changed, and
    then the caller is told. Raises `RecordChanged` and, when it goes on
    meeting others, `Busy`.
    """
    for attempt in range(8):
        try:
            return await change()
        except (RecordChanged, AlreadyExists) as met:
            is_told = isinstance(met, RecordChanged) and met.errors
            if revision != ANY_REVISION and (is_told or attempt):
                raise
            await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))
    raise Busy
