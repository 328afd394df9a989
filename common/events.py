"""What reaches a function that nobody calls: a clock's message, a stored object, a dead letter.

Pub/Sub delivers at least once, in any order, and again after every answer
that is no success: five times, later each time, and then to the dead letters.
A problem of the event's own (a `Problem` below 500) is final: trying again
would not help, so it is logged and acknowledged.
"""

import base64
import binascii
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind
from starlette.requests import Request
from starlette.responses import Response

from common import telemetry
from common.clients import access_token
from common.firestore import Batch, Collection, now, plus
from common.models import Record
from common.problems import NotFound, Problem, Unavailable
from common.settings import settings
from common.telemetry import Metric

if TYPE_CHECKING:
    import httpx

Receiver = Callable[[Request], Awaitable[Response]]

MAX_DELIVERIES = 5

DEAD_LETTERS = "dead-letters"
"""The topic."""

_ADDED_BY_PUBSUB = "CloudPubSubDeadLetter"
_REPLAYED = "healthhub-replayed"
TRACE_ATTRIBUTE = "googclient_traceparent"
"""As Google's own libraries call it."""
_SCOPE = "https://www.googleapis.com/auth/pubsub"

_log = logging.getLogger("healthhub.events")


class Unreadable(Exception):
    """A message that does not say what it should: delivered again, and then a dead letter."""


@dataclass(frozen=True)
class Push:
    """One delivery of one message."""

    subscription: str
    message_id: str
    attributes: Mapping[str, str]
    data: bytes
    delivery_attempt: int
    """From 1; 0 when the subscription has no dead-letter policy."""

    @property
    def is_replayed(self) -> bool:
        """Whether an operator had it delivered again."""
        return _REPLAYED in self.attributes

    @property
    def is_last(self) -> bool:
        return self.delivery_attempt == 0 or self.delivery_attempt >= MAX_DELIVERIES


@dataclass(frozen=True)
class ObjectStored:
    """`OBJECT_FINALIZE`: a new generation of an object is complete."""

    bucket: str
    name: str
    generation: int
    push: Push


class DeadLetter(Record):
    """`dead_letters/{id}`: a message that its function could not take, and why. Named after its content."""

    function: str
    attributes: dict[str, str]
    data: bytes
    reason: str = ""
    """The kind of the last error, never its text: that may quote a record."""
    attempts: int = 0
    is_dead: bool = False
    """Pub/Sub has given up; until then it is still being delivered."""
    replay_time: datetime | None = None


dead_letters = Collection(DeadLetter, "dead_letters")


# ---------------------------------------------------------------- receivers


def when_fired(work: Callable[[], Awaitable[None]]) -> Receiver:
    """Answers a clock's push by doing the work; its content does not matter.

    The message is acknowledged when the work has ended. Whatever it raises
    becomes an error's status, and Pub/Sub delivers again, later each time.
    """

    async def receive(request: Request) -> Response:
        await work()
        return Response(status_code=204)

    return receive


def when_stored(work: Callable[[ObjectStored], Awaitable[None]]) -> Receiver:
    """Answers what a bucket tells of a new object by doing the work."""

    async def receive(request: Request) -> Response:
        push = await _push(request)
        try:
            with telemetry.continued(push.attributes.get(TRACE_ATTRIBUTE), push.subscription):
                await work(_object(push))
        except Problem as problem:
            if problem.status >= 500:
                await _remember_failure(push, problem)
                raise
            _log.warning("event refused", extra={"fields": {"reason": problem.slug()}})
        except Exception as error:
            await _remember_failure(push, error)
            raise
        await _forget_failure(push)
        return Response(status_code=204)

    return receive


def when_dead() -> Receiver:
    """Keeps what Pub/Sub has given up, for `python -m ops replay`."""

    async def receive(request: Request) -> Response:
        push = await _push(request)
        source = push.attributes.get(f"{_ADDED_BY_PUBSUB}SourceSubscription", push.subscription)
        await _merge(push, source, {"is_dead": True})
        fields = {"dead_letter": _name_of(push, source), "of": source}
        _log.error("dead letter", extra={"fields": fields})
        telemetry.count(Metric.DEAD_LETTERS, of=source)
        return Response(status_code=204)

    return receive


async def _push(request: Request) -> Push:
    try:
        body = json.loads(await request.body())
        message = body["message"]
        return Push(
            subscription=str(body.get("subscription", "")).rsplit("/", 1)[-1],
            message_id=str(message.get("messageId", "")),
            attributes={str(k): str(v) for k, v in message.get("attributes", {}).items()},
            data=base64.b64decode(message.get("data", ""), validate=True),
            delivery_attempt=int(body.get("deliveryAttempt") or 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise Unreadable("a push that is none") from error


def _object(push: Push) -> ObjectStored:
    given = push.attributes
    try:
        if given["eventType"] != "OBJECT_FINALIZE":
            raise Unreadable("another event")
        return ObjectStored(
            given["bucketId"], given["objectId"], int(given["objectGeneration"]), push
        )
    except (KeyError, ValueError) as error:
        raise Unreadable("a storage event that names no object") from error


# ---------------------------------------------------------------- dead letters


def _own(attributes: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in attributes.items()
        if not name.startswith(_ADDED_BY_PUBSUB) and name not in (_REPLAYED, TRACE_ATTRIBUTE)
    }


def _name_of(push: Push, source: str) -> str:
    """The same for a message and for what Pub/Sub makes of it in the dead-letter topic."""
    said = json.dumps([source, _own(push.attributes)], sort_keys=True).encode() + push.data
    return hashlib.sha256(said).hexdigest()[:32]


async def _merge(push: Push, source: str, fields: Mapping[str, Any]) -> None:
    letter = {
        "function": source,
        "attributes": _own(push.attributes),
        "data": push.data,
        "update_time": now(),
        **fields,
    }
    batch = Batch()
    batch.merge(dead_letters.path(_name_of(push, source)), letter)
    await batch.commit()


async def _remember_failure(push: Push, error: Exception) -> None:
    """So that a dead letter tells why. That this can't be stored must not hide the error itself."""
    kind = error.slug() if isinstance(error, Problem) else type(error).__name__
    with suppress(Problem):
        await _merge(push, push.subscription, {"reason": kind, "attempts": plus(1)})


async def _forget_failure(push: Push) -> None:
    if push.delivery_attempt == 1 and _REPLAYED not in push.attributes:
        return  # it never failed
    with suppress(Problem):
        batch = Batch()
        batch.delete(dead_letters.path(_name_of(push, push.subscription)))
        await batch.commit()


# ---------------------------------------------------------------- publishing


async def publish(topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
    """Raises `Unavailable`."""
    import httpx

    own = {TRACE_ATTRIBUTE: traceparent} if (traceparent := telemetry.traceparent()) else {}
    message = {"attributes": {**own, **attributes}, "data": base64.b64encode(data).decode()}
    url = f"{_base()}/v1/projects/{settings().project_id}/topics/{topic}:publish"
    try:
        with telemetry.span(f"publish {topic}", SpanKind.PRODUCER):
            answer = await _http().post(
                url,
                json={"messages": [message]},
                headers={"Authorization": f"Bearer {await _token()}"},
            )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable("The message service does not answer.") from error


async def tell_again(
    function: str, bucket: str, name: str, generation: int, *, is_replay: bool = False
) -> None:
    """Have a function look at an object once more, as if it had just been stored."""
    moment = now().isoformat()
    attributes = {
        **({_REPLAYED: moment} if is_replay else {}),
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "NONE",
        "bucketId": bucket,
        "objectId": name,
        "objectGeneration": str(generation),
        "eventTime": moment,
    }
    await publish(topic_of(function), attributes)


async def replay(letter: DeadLetter) -> None:
    """Deliver a dead letter once more; one that is taken at last is forgotten. Raises `Unavailable`.

    A clock's is only forgotten: it said that it was time, and the clock has said so since.
    """
    if not letter.attributes:
        batch = Batch()
        batch.delete(letter.path)
        await batch.commit()
        return
    moment = now()
    attributes = {**letter.attributes, _REPLAYED: moment.isoformat()}
    await publish(topic_of(letter.function), attributes, letter.data)
    batch = Batch()
    fields = {"is_dead": False, "replay_time": moment, "update_time": moment, "attempts": 0}
    batch.update(letter.path, fields)
    with suppress(NotFound):  # it was taken, and so forgotten, meanwhile
        await batch.commit()


def topic_of(function: str) -> str:
    """What the function is subscribed to; the subscription has the function's own name."""
    return f"event-{function}"


def _base() -> str:
    emulator = settings().pubsub_emulator_host
    return f"http://{emulator}" if emulator else "https://pubsub.googleapis.com"


async def _token() -> str:
    return "owner" if settings().pubsub_emulator_host else await access_token(_SCOPE)


@lru_cache
def _http() -> "httpx.AsyncClient":
    import httpx

    return httpx.AsyncClient(timeout=10)
