"""Who touched which record: one event per access or refusal of a person's data.

A write's event is in the write's own batch. A read's event is stored while
the record is read, and the answer waits for both: if the event can't be
stored, the access does not happen. Once it is stored, the same line goes to
the log. Neither holds a name, a text or a value from the record.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from common import telemetry
from common.auth import Principal
from common.chain import Chains
from common.firestore import Batch, Collection, now
from common.logs import request_context
from common.models import AuditEvent, Outcome
from common.problems import Problem
from common.telemetry import Metric

T = TypeVar("T")

audit_events = Collection(AuditEvent, "audit_events")

_chains = Chains()

_log = logging.getLogger("healthhub.audit")


def event(
    actor: Principal | None,
    action: str,
    resource: str,
    subject_uid: str | None,
    outcome: Outcome = Outcome.ALLOWED,
    reason: str | None = None,
    detail: str | None = None,
) -> AuditEvent:
    context = request_context.get()
    moment = now()
    return AuditEvent(
        create_time=moment,
        update_time=moment,
        actor_uid=actor.uid if actor else None,
        actor_role=actor.role if actor else None,
        action=action,
        resource=resource,
        subject_uid=subject_uid,
        outcome=outcome,
        reason=reason,
        detail=detail,
        request_id=context.request_id if context else "",
        address=context.address if context else "",
    )


def add(batch: Batch, happened: AuditEvent) -> None:
    """Make the event part of the batch that does what it tells of."""
    id, settled = _chains.link(happened)
    batch.create(audit_events.path(id), happened)

    def told(is_stored: bool | None) -> None:
        settled(is_stored)
        if is_stored is None:
            telemetry.count(Metric.AUDIT_FAILURES)
        if is_stored:
            line = {"audit_event": id, **happened.model_dump(mode="json", exclude_none=True)}
            _log.info("audit", extra={"fields": line})

    batch.when_settled(told)


async def record(happened: AuditEvent) -> None:
    batch = Batch()
    add(batch, happened)
    await batch.commit()


async def reading(happened: AuditEvent, read: Awaitable[T]) -> T:
    """The result of `read`, once the event of it is stored. Both run at the same time."""
    result, _ = await asyncio.gather(read, record(happened))
    return result


async def refuse(
    actor: Principal, action: str, resource: str, subject_uid: str | None, problem: Problem
) -> Problem:
    """Record a refusal and give back the problem to raise: `raise await audit.refuse(…)`."""
    await record(event(actor, action, resource, subject_uid, Outcome.REFUSED, problem.slug()))
    return problem
