"""Chains of audit events: what is altered, deleted or moved afterwards is noticed.

Each event carries a MAC over itself and the MAC of the event that it follows.
One chain for all would be a hot document, so every instance writes chains of
its own: a commit takes a chain that no other commit is using, and gives it
back, one event longer, when it has succeeded. So chains have no gaps, and no
request waits for another. A chain's first event follows whatever its instance
wrote last, which ties the chains together.

The key is not in the database: who can write there can't mend a chain. What
chains alone can't show is that the newest events were deleted, with nothing
after them; the same events are in the log, whose retention is locked, and
`python -m ops verify-audit --logs` compares.
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from common.models import AuditEvent
from common.settings import settings

_LONGEST = 3600.0
"""Seconds for which a chain is continued; then another is begun."""


@dataclass(frozen=True)
class Tail:
    """The last event of a chain, or of all that this instance has written."""

    id: str
    mac: str
    time: datetime


@dataclass
class Chain:
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    sequence: int = 0
    tail: Tail | None = None
    begun_at: float = field(default_factory=time.monotonic)


class Chains:
    """The chains of this process that no commit is using."""

    def __init__(self) -> None:
        self._free: list[Chain] = []
        self._last: Tail | None = None

    def link(self, event: AuditEvent) -> tuple[str, Callable[[bool | None], None]]:
        """Put an event at the end of a chain; returns its id, and what must be told how it went.

        If it is never told, or told that nobody knows, that chain just ends:
        with this event or without, it is whole.
        """
        chain = self._free.pop() if self._free else Chain()
        id = f"{chain.id}-{chain.sequence + 1:06d}"
        if after := chain.tail or self._last:
            event.follows, event.follows_mac, event.follows_time = after.id, after.mac, after.time
        event.mac = mac_of(id, event)
        tail = Tail(id, event.mac, event.create_time)

        def told(happened: bool | None) -> None:
            if happened:
                chain.sequence += 1
                chain.tail = self._last = tail
            if happened is not None and time.monotonic() - chain.begun_at < _LONGEST:
                self._free.append(chain)

        return id, told


def mac_of(id: str, event: AuditEvent, key: bytes | None = None) -> str:
    """Under the key of today unless an older one is given."""
    fields = event.model_dump(mode="json", exclude={"mac"}, exclude_none=True)
    text = json.dumps([id, fields], sort_keys=True, ensure_ascii=False)
    return hmac.new(key or settings().audit_key, text.encode(), hashlib.sha256).hexdigest()


def _is_authentic(event: AuditEvent) -> bool:
    keys = (settings().audit_key, *settings().audit_keys_before)
    macs = (mac_of(event.id, event, key).encode() for key in keys)
    return any(hmac.compare_digest((event.mac or "").encode(), mac) for mac in macs)


@dataclass(frozen=True)
class Break:
    """Where the events that are stored can't be the events that were written."""

    id: str
    reason: str


async def breaks(
    events: AsyncIterator[AuditEvent],
    lookup: Callable[[str], Awaitable[AuditEvent | None]],
    kept_since: datetime,
) -> AsyncIterator[Break]:
    """Read all events, in the order of their names, and tell what is wrong with them.

    Events before `kept_since` may be missing: their retention has ended.
    """
    before: AuditEvent | None = None
    async for event in events:
        if not _is_authentic(event):
            yield Break(event.id, "altered, or moved here from another place")
        elif event.follows is not None and event.follows_time is not None:
            is_next = before is not None and before.id == event.follows
            found = before if is_next else await lookup(event.follows)
            if found is None:
                if event.follows_time >= kept_since:
                    yield Break(event.follows, "deleted")
            elif found.mac != event.follows_mac:
                yield Break(event.follows, "replaced")
        before = event
