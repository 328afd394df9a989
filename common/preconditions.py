"""`If-Match` and `If-None-Match` against a record's ETag (RFC 9110, section 13)."""

import re

from common.firestore import ANY_REVISION
from common.problems import RecordChanged

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_REVISION = re.compile(r"\d{1,11}\.\d{9}")


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


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether the client holds what would be sent: answer 304."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag.strip('"') in _TAG.findall(if_none_match)
