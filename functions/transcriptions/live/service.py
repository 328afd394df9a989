"""The use case of a consultation that is heard while it takes place.

What is final is stored every few seconds. So whatever breaks off, the
connection, Speech-to-Text or this function, what was heard until then is kept;
`sweep_stuck_work` ends a record that nobody ends.
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

from starlette.requests import ClientDisconnect

from common import audit, crypto, findings, live, telemetry
from common.auth import Principal
from common.clinical import Ground
from common.crypto import Vault
from common.firestore import id_by_time, now
from common.live import LIVE_TYPES, Heard, NotSound
from common.outside import Failed, Refused
from common.patients import changeable
from common.preconditions import applied
from common.problems import NotFound, Unavailable, UnsupportedMediaType
from common.reasons import REASONS, Reason
from common.sse import sse
from common.telemetry import Metric
from common.transcripts import Segment, Transcription, transcriptions
from common.uploads import UploadState, over

from ..service import intake
from . import repository
from .schemas import LiveQuery

_STORE_EVERY = 5.0
"""Seconds; what was heard since is what a crash can lose."""

_SILENT_FOR = timedelta(minutes=65)
"""Longer than this function may run: after that, nobody listens any more. An examination may be silent."""

_log = logging.getLogger("healthhub.live")


async def listen(
    caller: Principal, wish: LiveQuery, content_type: str, sound: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """Server-sent events. Raises, before the first, `UnsupportedMediaType`, `NotFound`, `Forbidden`, `Invalid`."""
    kind = content_type.split(";")[0].strip().lower()
    if kind not in LIVE_TYPES:
        raise UnsupportedMediaType("Sound can be heard live as wav, flac, mp3, ogg, webm or l16.")
    patient_id, ground = await intake.whose(caller, wish, "listen")
    vault = await crypto.vault_of(patient_id)
    record = _record(caller, patient_id, wish, kind)
    await applied(lambda: _begin(caller, record, ground))
    return _Listening(record, vault).events(sound, LIVE_TYPES[kind])


def _record(caller: Principal, patient_id: str, wish: LiveQuery, kind: str) -> Transcription:
    moment = now()
    record = Transcription(
        create_time=moment,
        update_time=moment,
        patient_id=patient_id,
        author_uid=caller.uid,
        appointment_id=wish.appointment_id,
        language=wish.language,
        content_type=kind,
        size_bytes=0,
        is_streamed=True,
        state=UploadState.PROCESSING,
        attempts=1,
        due_time=moment + _SILENT_FOR,
    )
    record.stored_as(transcriptions.path(id_by_time(moment)), "")
    return record


async def _begin(caller: Principal, record: Transcription, ground: Ground) -> None:
    patient = await changeable(record.patient_id)
    event = audit.event(
        caller, "transcriptions.listen", record.path, record.patient_id, reason=ground
    )
    await repository.begin(patient, record, event)


class _Listening:
    """One connection: what was heard, and what of it is stored."""

    def __init__(self, record: Transcription, vault: Vault) -> None:
        self._record = record
        self._vault = vault
        self._unstored: list[Segment] = []
        self._count = 0
        self._seconds = 0.0
        self._next_part = 1
        self._stored_at = time.monotonic()

    async def events(self, sound: AsyncIterator[bytes], format: str) -> AsyncIterator[bytes]:
        yield sse("started", {"transcription_id": self._record.id})
        reason: Reason | None = Reason.CONNECTION_LOST
        try:
            async with live.samples(sound, format) as plain:
                async for found in live.heard(plain, self._record.language):
                    yield await self._take(found)
            reason = None if self._count else Reason.NO_SPEECH
        except NotSound:
            reason = Reason.UNREADABLE_AUDIO
        except Refused:
            reason = Reason.SPEECH_REFUSED
        except Failed as error:
            _log.warning("hearing broke off", exc_info=error)
            reason = Reason.SPEECH_FAILED
        except ClientDisconnect:
            reason = Reason.CONNECTION_LOST
        finally:
            state = await self._end(reason)
        data = {"transcription_id": self._record.id, "state": state}
        if reason in (None, Reason.NO_SPEECH):
            yield sse("ended", {**data, "reason": reason})
        else:
            yield sse("problem", {**data, "reason": reason, "detail": REASONS[reason]})

    async def _take(self, found: Heard) -> bytes:
        self._seconds = max(self._seconds, found.end)
        if found.segment is None:
            return sse("interim", {"text": found.text, "end": round(found.end, 3)})
        self._unstored.append(found.segment)
        self._count += 1
        if time.monotonic() - self._stored_at > _STORE_EVERY:
            with suppress(Unavailable):  # it is stored with what comes next
                await self._store({"due_time": now() + _SILENT_FOR, "update_time": now()})
        return sse("segment", found.segment.model_dump(mode="json"))

    async def _store(self, fields: dict[str, object]) -> None:
        terms = await findings.terms_of(self._unstored, self._record.language)
        told = {
            **fields,
            "segment_count": self._count,
            "duration_seconds": round(self._seconds, 3),
        }
        self._next_part = await repository.go_on(
            self._record, told, self._next_part, self._unstored, terms, self._vault
        )
        self._unstored = []
        self._stored_at = time.monotonic()

    async def _end(self, reason: Reason | None) -> UploadState:
        """Store the rest. What was heard is complete as far as it goes, however it ended."""
        is_kept = self._count or reason in (None, Reason.NO_SPEECH)
        state = UploadState.COMPLETED if is_kept else UploadState.FAILED
        try:
            await self._store(over(state, reason))
        except NotFound:
            _log.info("deleted while it was heard", extra={"fields": {"path": self._record.path}})
        else:
            telemetry.count(Metric.TRANSCRIPTS, state=state, how="live")
        return state
