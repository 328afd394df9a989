"""After a disturbance: what stands still is found by the sweep and goes on, as it would within the hour.

Nothing waits for its real time here: what is overdue only in a while is made overdue now.
"""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx

from common.firestore import Batch, now
from common.images import medical_images
from common.problems import Problem
from common.reminders import Message, messages, plans
from common.transcripts import transcriptions
from local.platform import Platform
from local.ports import HOST
from tests.load.checks import Check
from tests.load.ledger import Ledger
from tests.load.people import Clinic

_PATIENCE = 150.0
_STILL = timedelta(seconds=15)
"""Whoever works on a file writes more often than this, or has done it."""


async def settle(platform: Platform, clinic: Clinic, ledger: Ledger) -> None:
    """Fire the clock functions until nothing is under way, or patience ends: the checks then say so."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        waiting = [await _hurry_file(sent.kind, sent.id) for sent in ledger.uploads]
        waiting += [await _hurry_messages(patient.uid) for patient in clinic.patients]
        if not any(waiting):
            return
        for clock in ("sweep_stuck_work", "send_reminders"):
            platform.fire(clock)
        await asyncio.sleep(2)  # a firing leaves no trace when there was nothing to do


async def _hurry_file(kind: str, id: str) -> bool:
    """Whether it has not ended; if it stands still, it is looked at by the next sweep."""
    records: Any = transcriptions if kind == "transcriptions" else medical_images
    record = await records.get(id)
    if record is None or record.state.is_final:
        return False
    if now() - record.update_time > _STILL and record.due_time and record.due_time > now():
        await _now(record.path, {"due_time": now()}, record.revision)
    return True


async def _hurry_messages(uid: str) -> bool:
    is_waiting = False
    async for plan in plans.all_(where=[("patient_id", "==", uid)]):
        is_waiting |= plan.news is not None
    async for message in messages.all_(where=[("uid", "==", uid)]):
        if message.next_time is not None:
            is_waiting = True
            if now() - message.update_time > _STILL:
                await _now(message.path, {"next_time": now()}, message.revision)
    return is_waiting


async def _now(path: str, fields: dict[str, Any], revision: str) -> None:
    batch = Batch()
    batch.update(path, fields, revision)
    with suppress(Problem):  # it went on meanwhile
        await batch.commit()


# ---------------------------------------------------------------- what people were told


async def of_messages(platform: Platform, clinic: Clinic, *, is_killed: bool = False) -> Check:
    """What people are told of their appointments was sent once.

    Whoever is killed between the sending and the note of it has it sent again under the
    same id, which mailboxes recognise; so then, twice is no break.
    """
    async with httpx.AsyncClient() as http:
        shown = await http.get(f"http://{HOST}:{platform.ports.fcm}/dev/outbox")
    mails = [sent["id"] for sent in shown.json()["items"] if sent["channel"] == "mail"]
    stored = [
        message
        for patient in clinic.patients
        async for message in messages.all_(where=[("uid", "==", patient.uid)])
    ]
    return judge_messages(stored, mails, is_killed=is_killed)


def judge_messages(stored: list[Message], mails: list[str], *, is_killed: bool) -> Check:
    broken, twice = [], 0
    for message in stored:
        count = sum(id.startswith(f"<{message.id}@") for id in mails)
        if message.next_time is not None:
            broken.append(f"message {message.id} still waits")
        elif "email" in message.sent and not count:
            broken.append(f"message {message.id} counts as sent, and no mail came")
        twice += count > 1
        if count > 1 and not is_killed:
            broken.append(f"message {message.id} came {count} times")
    told = f"{len(stored)} messages, {twice} of them mailed again under the same id"
    return Check("each message was sent once", broken, told)
