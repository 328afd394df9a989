"""`Idempotency-Key`: a request that is sent twice takes effect once.

The key's document is created in the same batch as the effect, so there is no
moment in which one exists without the other: of two that race, one commits,
and the other finds the key taken and replays the first one's answer.

An effect that reaches beyond the database (an account, a message) can't share
its batch. Such a use case reserves the key first; whoever comes meanwhile is
told that it is in flight, and a reservation left by a crash lapses.
"""

import hashlib
import hmac
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Depends, FastAPI, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from common.auth import PossibleCaller
from common.firestore import Batch, Collection, now
from common.models import Record
from common.problems import (
    AlreadyExists,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    NotFound,
    Problem,
    RecordChanged,
    Unavailable,
)
from common.settings import settings

if TYPE_CHECKING:
    from common.crypto import Vault

T = TypeVar("T")

_KEEP = timedelta(hours=24)
_RESERVED_FOR = timedelta(seconds=60)


class UsedKey(Record):
    """`idempotency_keys/{hash of person, route and key}`; `expire_time` is its TTL."""

    fingerprint: str
    status: int
    """Of the answer; 0 while the key is only reserved."""
    location: str | None = None
    answer: str = ""
    patient_id: str | None = None
    sealed: dict[str, bytes] = {}
    """In place of `answer`, when that is a patient's data: sealed with that patient's key."""
    expire_time: datetime


_used_keys = Collection(UsedKey, "idempotency_keys")


class Replay(Exception):
    """Not an error: carries the first answer to the edge of the application."""

    def __init__(self, used: UsedKey) -> None:
        self.used = used


class Once:
    """One request's Idempotency-Key; without the header, every method does nothing."""

    def __init__(self, path: str | None = None, fingerprint: str = "") -> None:
        self._path = path
        self._fingerprint = fingerprint
        self._is_reserved = False
        self._reserved_for = _RESERVED_FOR

    async def finished(self) -> UsedKey | None:
        """The first request's answer, if there was one.

        Raises `IdempotencyKeyReused` when it was another request and
        `IdempotencyInFlight` while it still runs.
        """
        used = await self._used()
        if used is not None and not used.status and used.expire_time > now():
            raise IdempotencyInFlight
        return used if used is not None and used.status else None

    async def replay(self) -> None:
        """Raise `Replay` with the first request's answer, if there was one."""
        if (used := await self.finished()) is not None:
            raise Replay(used)

    async def else_replayed(self, attempt: Awaitable[T]) -> T:
        """What the attempt gives; if it fails, and the first request did not, `Replay`."""
        try:
            return await attempt
        except Problem:
            await self.replay()
            raise

    async def reserve(self, for_: timedelta = _RESERVED_FOR) -> UsedKey | None:
        """Claim the key before an effect outside the database; the first answer if there is one.

        `for_` is longer than the effect can take. Raises as `finished` does.
        """
        if self._path is None:
            return None
        self._reserved_for = for_
        batch = Batch()
        batch.create(self._path, self._key(0, "", None, for_))
        try:
            await batch.commit()
        except AlreadyExists:
            used = await self._used()
            if used is not None and used.status:
                return used
            await self._take_over(used)
        self._is_reserved = True
        return None

    async def release(self) -> None:
        """Give a reserved key back after a failure, so that the client may try again.

        A key that holds an answer is kept: the commit had worked, and only
        word of it was lost. If the database is away, the reservation lapses.
        """
        if self._path is None or not self._is_reserved:
            return
        with suppress(Unavailable):
            used = await self._used()
            if used is not None and not used.status:
                batch = Batch()
                batch.delete(self._path)
                await batch.commit()

    def remember(
        self,
        batch: Batch,
        status: int,
        answer: BaseModel,
        location: str | None = None,
        vault: "Vault | None" = None,
    ) -> None:
        """Store the answer in the batch that holds the effect; what is a patient's, sealed."""
        if self._path is None:
            return
        text = answer.model_dump_json()
        key = self._key(status, "" if vault else text, location, _KEEP)
        if vault:
            key.patient_id = vault.patient_id
            key.sealed = {"answer": vault.seal(self._path, "answer", text)}
        if self._is_reserved:
            batch.update(self._path, dict(key))
        else:
            batch.create(self._path, key)

    async def _take_over(self, seen: UsedKey | None) -> None:
        """Claim a reservation that has lapsed; of those who saw it at one revision, one gets it."""
        if self._path is None or seen is None or seen.expire_time > now():
            raise IdempotencyInFlight
        batch = Batch()
        batch.update(self._path, {"expire_time": now() + self._reserved_for}, seen.revision)
        try:
            await batch.commit()
        except (NotFound, RecordChanged):
            raise IdempotencyInFlight from None

    async def _used(self) -> UsedKey | None:
        if self._path is None:
            return None
        used = await _used_keys.get(self._path.rsplit("/", 1)[-1])
        if used is not None and not hmac.compare_digest(used.fingerprint, self._fingerprint):
            raise IdempotencyKeyReused
        return used

    def _key(self, status: int, answer: str, location: str | None, keep: timedelta) -> UsedKey:
        moment = now()
        return UsedKey(
            create_time=moment,
            update_time=moment,
            fingerprint=self._fingerprint,
            status=status,
            location=location,
            answer=answer,
            expire_time=moment + keep,
        )


_KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own, one per request; a retry with it takes effect once.",
    ),
]


async def unreplayed(request: Request, someone: PossibleCaller, key: _KeyHeader = None) -> Once:
    if key is None:
        return Once()
    who = someone.uid if someone else "anonymous"
    name = _keyed_hash(f"{who}\n{request.method} {request.url.path}\n{key}".encode())
    return Once(_used_keys.path(name), _keyed_hash(await request.body()))


async def replayed(once: Annotated[Once, Depends(unreplayed)]) -> Once:
    await once.replay()
    return once


FirstTime = Annotated[Once, Depends(replayed)]
"""For a route whose effect is one batch: a finished request is replayed before the route runs."""

AtLast = Annotated[Once, Depends(unreplayed)]
"""The same, a read cheaper: the use case is run `else_replayed`, and its commit meets the key."""

ByHand = Annotated[Once, Depends(unreplayed)]
"""For a route whose answer can't be stored: it reserves the key itself."""


def install(app: FastAPI) -> None:
    async def on_replay(request: Request, replay: Exception) -> Response:
        assert isinstance(replay, Replay)
        used = replay.used
        answer = await _opened(used)
        headers = {"Idempotent-Replayed": "true"}
        if used.location:
            # The key was stored by the commit that made the resource, and shares its revision.
            headers |= {"Location": used.location, "ETag": used.etag}
        return Response(answer, used.status, headers, media_type="application/json")

    app.add_exception_handler(Replay, on_replay)


async def _opened(used: UsedKey) -> str:
    if used.patient_id is None:
        return used.answer
    # Imported here: only services that keep patients' data can meet such a key.
    from common.crypto import vault_of

    vault = await vault_of(used.patient_id)
    return str(vault.open(used.path, "answer", used.sealed["answer"]))


def _keyed_hash(text: bytes) -> str:
    """Keyed, because what is hashed may hold a password."""
    return hmac.new(settings().page_token_key, text, hashlib.sha256).hexdigest()
