"""Somebody at the clinic, whoever it is: their requests, and what they were promised. Only for locust's process.

Of the folder that HEALTHHUB_LOAD names, it reads the people and their files, and notes there
what was acknowledged. locust patches Python for gevent, so nothing here imports more of our code.
"""

import itertools
import json
import os
import random
import secrets
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gevent
from locust import HttpUser, between, task
from requests.adapters import HTTPAdapter

from tests.load.ledger import Pen

FOLDER = Path(os.environ["HEALTHHUB_LOAD"])
CLINIC = json.loads((FOLDER / "clinic.json").read_text())
PEN = Pen(FOLDER / "ledger.jsonl")
FINAL = ("completed", "failed", "rejected")
TRIES = 3

statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
"""By operation, how often each was answered; `busy` is a 503 that says when to come again."""

_addresses = (f"127.77.{a}.{b}" for a, b in itertools.product(range(1, 250), repeat=2))


class _FromAnAddress(HTTPAdapter):
    """Each person comes from an address of their own, as people do."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **kwargs)


class Someone(HttpUser):
    abstract = True
    wait_time = between(0.3, 1.7)
    person: dict[str, Any]

    def on_start(self) -> None:
        self.client.mount("http://", _FromAnAddress(next(_addresses)))
        self.awaited: list[tuple[str, str]] = []
        self.sign_in()

    def ask(
        self, what: str, method: str, path: str, expected: tuple[int, ...] = (200,), **more: Any
    ) -> Any:
        """The answer. Any but the expected ones is a failure; that somebody is to come again is none."""
        headers = {"Authorization": f"Bearer {self.person['id_token']}", **more.pop("headers", {})}
        url = path if path.startswith("http") else f"/v1{path}"
        with self.client.request(
            method, url, name=what, headers=headers, catch_response=True, timeout=60, **more
        ) as answer:
            is_busy = answer.status_code == 503 and "retry-after" in answer.headers
            statuses[what]["busy" if is_busy else str(answer.status_code)] += 1
            if answer.status_code in expected or is_busy:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} {answer.text[:200]}")
        return answer

    def insist(self, what: str, path: str, expected: tuple[int, ...], body: Any) -> Any:
        """As an app does: the same key until there is an answer."""
        headers = {"Idempotency-Key": secrets.token_hex(12)}
        for _ in range(TRIES):
            answer = self.ask(what, "POST", path, expected, json=body, headers=headers)
            if answer.status_code and answer.status_code < 500:
                return answer
            gevent.sleep(0.5)
        return answer

    def wish(self, wish: dict[str, str], patient: str) -> str | None:
        """The id of the appointment, if it was made."""
        answer = self.insist("book", "/appointments", (201, 409), wish)
        if answer.status_code == 201:
            id = str(answer.json()["appointment_id"])
            doctor, start = wish["doctor_id"], wish["start"]
            PEN.note("booked", id=id, doctor=doctor, patient=patient, start=start)
            return id
        if answer.status_code in (0, 503):
            PEN.note("unsure")
        return None

    @task(4)
    def sign_in(self) -> None:
        body = {"email": self.person["email"], "password": CLINIC["password"]}
        answer = self.ask("sign in", "POST", "/login", json=body)
        if answer.status_code == 200:
            self.person["id_token"] = answer.json()["id_token"]

    def send(self, kind: str, patient_id: str, file: str, media_type: str) -> None:
        content = (FOLDER / file).read_bytes()
        body = {
            "patient_id": patient_id,
            "file_name": file,
            "content_type": media_type,
            "size_bytes": len(content),
        }
        answer = self.ask(f"announce {kind}", "POST", f"/{kind}/upload", (201,), json=body)
        if answer.status_code != 201:
            return
        told = answer.json()
        if self.put(f"send {kind}", told["upload"], content) == 200:
            record = told.get("transcription") or told["image"]
            id = record.get("transcription_id") or record["image_id"]
            PEN.note("sent", kind=kind, id=id)
            self.awaited.append((kind, id))

    def put(self, what: str, target: dict[str, Any], content: bytes) -> int:
        """To the signed URL, again while Storage has it come again; the last status."""
        method, url, headers = target["method"], target["url"], target["headers"]
        for attempt in range(TRIES):
            with self.client.request(
                method, url, name=what, headers=headers, data=content, catch_response=True
            ) as sent:
                status = int(sent.status_code)
                is_later = status >= 500 and attempt + 1 < TRIES
                statuses[what][f"storage {status}" if status >= 500 else str(status)] += 1
                if status == 200 or is_later:
                    sent.success()
                else:
                    sent.failure(str(status))
            if not is_later:
                break
            gevent.sleep(0.5)
        return status

    @task(8)
    def follow(self) -> None:
        """How far one of the files is that were sent."""
        if not self.awaited:
            return
        kind, id = self.awaited[0]
        path = f"/transcriptions/status/{id}" if kind == "transcriptions" else f"/{kind}/{id}"
        answer = self.ask(f"follow {kind}", "GET", path)
        self.awaited.pop(0)
        if answer.status_code != 200 or answer.json()["state"] not in FINAL:
            self.awaited.append((kind, id))


def first_free(someone: Someone, doctor: str) -> str | None:
    """Among the first of a week, so that people reach for the same ones."""
    day = datetime.now(UTC).date() + timedelta(days=random.choice((2, 2, 9, 16, 30, 44, 58)))
    query = {"from": day.isoformat(), "to": (day + timedelta(days=7)).isoformat()}
    path = f"/appointments/available/{doctor}"
    answer = someone.ask("see free slots", "GET", path, params=query)
    slots = answer.json()["items"][:12] if answer.status_code == 200 else []
    return random.choice(slots)["start"] if slots else None
