"""Read the whole audit trail and tell where it can't be what was written."""

import itertools
import json
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from common import audit, chain
from common.firestore import now
from common.models import AuditEvent
from common.settings import settings


class NotALog(Exception):
    """The file is not what `gcloud logging read --format=json` or a function writes."""


@dataclass
class Verified:
    events: int = 0
    lines: int = 0
    """Of the log, that were compared."""
    breaks: list[chain.Break] = field(default_factory=list)


async def verify_audit(*logs: Iterable[str]) -> Verified:
    """Verify every stored event and, of any logs, that each event in them is stored as it was logged.

    A log has a JSON object per line, or is one JSON array: what Cloud
    Logging exports (the event under `jsonPayload`), or a function's own
    output. Other lines and entries are skipped. Raises `NotALog`.
    """
    report = Verified()
    kept_since = settings().retention.cutoff("audit_events", now())

    def altered(path: str) -> None:
        report.breaks.append(chain.Break(path.rsplit("/", 1)[-1], "no longer an audit event"))

    async def counted() -> AsyncIterator[AuditEvent]:
        async for event in audit.audit_events.all_(unreadable=altered):
            report.events += 1
            yield event

    async for found in chain.breaks(counted(), _stored, kept_since):
        report.breaks.append(found)
    for line in itertools.chain.from_iterable(map(_events_in, logs)):
        report.lines += 1
        stored = await _stored(line["audit_event"])
        if stored is None:
            if line["create_time"] >= kept_since.isoformat():
                report.breaks.append(chain.Break(line["audit_event"], "logged, but deleted"))
        elif stored.mac != line["mac"]:
            report.breaks.append(chain.Break(line["audit_event"], "not as it was logged"))
    return report


async def _stored(id: str) -> AuditEvent | None:
    try:
        return await audit.audit_events.get(id)
    except ValidationError:
        return None  # there is something of this name, but the event is gone


def _events_in(log: Iterable[str]) -> Iterable[dict[str, Any]]:
    lines = list(log)
    try:
        if lines and re.match(r"\s*\[\s*({|\]|$)", lines[0]):  # as `gcloud logging read` writes it
            entries = json.loads("".join(lines))
        else:
            entries = [json.loads(line) for line in lines if line.startswith("{")]
        payloads = [entry.get("jsonPayload", entry) for entry in entries]
        found = [payload for payload in payloads if "audit_event" in payload]
    except (ValueError, AttributeError, TypeError):
        raise NotALog("the file holds no log entries in JSON") from None
    if lines and not entries:
        raise NotALog("the file holds no log entries in JSON")
    return found
