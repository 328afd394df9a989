"""One patient's journey over the platform on this machine, told as it happens: `make demo`.

Everything goes over HTTP as an app's requests do; only the clock is fired by hand, so that
nobody waits a minute for it. People are invented; each run makes a patient of its own.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pydicom
from rich.console import Console

from local.seed import PASSWORD
from local.seed_recordings import Turn, spoken

_DOCTOR, _PATIENT = "en-us+klatt3", "en-us+f5"
_VISIT: list[Turn] = [
    (_DOCTOR, "Good morning. What brings you here today?"),
    (_PATIENT, "My lower back hurts since I lifted a box three days ago."),
    (_DOCTOR, "Any numbness or weakness in the legs?"),
    (_PATIENT, "No."),
    (_DOCTOR, "Take ibuprofen four hundred milligrams twice a day."),
]
_IMAGE = Path(pydicom.__file__).parent / "data" / "test_files" / "examples_palette.dcm"
_FINAL = ("completed", "failed", "rejected")
_PATIENCE = 60.0


class Stuck(Exception):
    """A step did not come to its end; says which and why."""


@dataclass
class Someone:
    """Who is signed in."""

    uid: str
    token: str
    email: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Journey:
    """Steps in their order; each keeps what later ones need."""

    url: str
    fire: Callable[[str], None]
    """Fires a clock function."""
    console: Console
    seconds: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=f"{self.url}/v1", timeout=120)
        self._number = 0

    def run(self) -> None:
        """Raises `Stuck`."""
        begun = time.monotonic()
        with self._http:
            patient, rival = self._register("Ana García"), self._register("Rosa Rivera")
            doctor = self._doctor(patient)
            visit = self._book(patient, rival, doctor)
            self._remind(patient, doctor, visit)
            self._record(patient, doctor)
            self._picture(patient)
            self._ask(patient)
            self._look_through(patient, doctor)
            self._seen(patient)
            self._export(patient)
        self.console.print(f"\n[bold]Done in {time.monotonic() - begun:.0f} seconds.[/]")

    # ------------------------------------------------------------ telling

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self._number += 1
        self.console.print(f"\n[bold cyan]{self._number}. {title}[/]")
        begun = time.monotonic()
        yield
        self.seconds.append((title, time.monotonic() - begun))

    def _tell(self, text: str) -> None:
        self.console.print(f"   {text}", highlight=False)

    def _call(
        self, method: str, path: str, who: Someone | None = None, status: int = 200, **more: Any
    ) -> Any:
        """The answer's JSON. Raises `Stuck` for another status."""
        headers = {**(who.headers if who else {}), **more.pop("headers", {})}
        answer = self._http.request(method, path, headers=headers, **more)
        if answer.status_code != status:
            raise Stuck(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        kind = answer.headers.get("content-type", "")
        return answer.json() if "json" in kind else answer.text

    def _until(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` gives, once it gives something. Raises `Stuck`."""
        end = time.monotonic() + _PATIENCE
        with self.console.status(f"   {what} …"):
            while time.monotonic() < end:
                if found := look():
                    return found
                time.sleep(0.2)
        raise Stuck(f"{what}: nothing after {_PATIENCE:.0f} seconds")

    # ------------------------------------------------------------ people

    def _register(self, name: str) -> Someone:
        with self._step(f"{name} registers and makes her record"):
            body = {
                "email": f"demo-{secrets.token_hex(6)}@demo.healthhub.test",
                "password": "correct horse battery",
                "display_name": name,
                "role": "patient",
            }
            made = self._call("POST", "/register", status=201, json=body)
            someone = Someone(made["user"]["user_id"], made["id_token"], body["email"])
            record = {
                "name": name,
                "birth_date": "1958-05-06",
                "sex": "female",
                "allergies": [{"substance": "Penicillin"}],
                "medications": [{"name": "Warfarin 5 mg"}],
            }
            self._call("POST", "/patients", someone, 201, json=record)
            self._tell("allergic to penicillin, takes warfarin; sealed under her own key")
        return someone

    def _sign_in(self, email: str) -> Someone:
        found = self._call("POST", "/login", json={"email": email, "password": PASSWORD})
        return Someone(found["user"]["user_id"], found["id_token"], email)

    def _doctor(self, patient: Someone) -> Someone:
        with self._step("She finds a doctor and puts her on her care team"):
            doctor = self._sign_in("doctor@demo.healthhub.test")
            shown = self._call("GET", f"/doctors/{doctor.uid}")
            path = f"/patients/{patient.uid}/care-team/{doctor.uid}"
            self._call("PUT", path, patient, json={})
            self._tell(f"{shown['name']}, {shown['specialties'][0]}, {shown['location']['city']}")
        return doctor

    # ------------------------------------------------------------ booking

    def _book(self, patient: Someone, rival: Someone, doctor: Someone) -> dict[str, Any]:
        with self._step("Both reach for one slot at once"):
            free = self._call("GET", f"/appointments/available/{doctor.uid}")["items"]
            wanted = free[0]["start"]

            def reach(who: Someone) -> httpx.Response:
                body = {
                    "doctor_id": doctor.uid,
                    "start": wanted,
                    "type": "in_person",
                    "reason": "My back hurts",
                }
                return self._http.post("/appointments", headers=who.headers, json=body)

            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(reach, (patient, rival)))
            if sorted(each.status_code for each in answers) != [201, 409]:
                raise Stuck(f"the race ended {[each.status_code for each in answers]}")
            lost = next(each.json() for each in answers if each.status_code == 409)
            self._tell(f"one is served; the other is told what is free: {lost['type']}")
            if answers[0].status_code == 409:
                body = {
                    "doctor_id": doctor.uid,
                    "start": lost["next_free"][0]["start"],
                    "type": "in_person",
                    "reason": "My back hurts",
                }
                booked = self._call("POST", "/appointments", patient, 201, json=body)
            else:
                booked = answers[0].json()
            self._tell(f"Ana's appointment: {booked['start']}")
        return dict(booked)

    def _remind(self, patient: Someone, doctor: Someone, visit: dict[str, Any]) -> None:
        with self._step("The doctor moves it; Ana is told once, however often the clock fires"):
            wish = {"reminders": {"channels": ["in_app", "email"], "minutes_before": [1440, 60]}}
            self._call("PUT", f"/users/{patient.uid}", patient, json=wish)
            path = f"/appointments/available/{doctor.uid}"
            free = [each["start"] for each in self._call("GET", path)["items"]]
            path = f"/appointments/reschedule/{visit['appointment_id']}"
            moved = self._call("POST", path, doctor, json={"start": free[-1]})
            self._tell(f"now at {moved['start']}")
            for _ in range(3):
                self.fire("send_reminders")

            def mails() -> list[Any]:
                shown = httpx.get(f"{self.url}/dev/outbox", headers={"Accept": "application/json"})
                return [each for each in shown.json()["items"] if patient.email in str(each)]

            found = self._until("Waiting for the mail", mails)
            self._tell(f"{len(found)} mail sent; see /dev/outbox")

    # ------------------------------------------------------------ files

    def _record(self, patient: Someone, doctor: Someone) -> None:
        with self._step("The consultation is recorded, transcribed and noted"):
            content = spoken(_VISIT)
            made = self._call(
                "POST",
                "/transcriptions/upload",
                doctor,
                201,
                files={"file": ("visit.wav", content, "audio/wav")},
                data={"patient_id": patient.uid, "language": "en-US"},
            )
            id = made["transcription"]["transcription_id"]
            path = f"/transcriptions/{id}"
            self._until("Listening", lambda: self._final(f"/transcriptions/status/{id}", doctor))
            heard = self._call("GET", path, doctor)
            for segment in heard["segments"][:3]:
                self._tell(f"[dim]{segment['speaker']}:[/] {segment['text']}")
            note = self._call("POST", f"{path}/note", doctor, 201)
            sentences = sum(len(part) for part in note["note"].values())
            self._tell(
                f"a note is drafted, without her name leaving; {sentences} sentences cite turns"
            )
            self._call("POST", f"{path}/note/sign", doctor, json={"accept_unsupported": True})
            self._tell("signed: it is in her history")

    def _picture(self, patient: Someone) -> None:
        with self._step("She sends an ultrasound image"):
            content = _IMAGE.read_bytes()
            content = bytes(128) + content[128:]  # its preamble is a TIFF's, which is refused
            made = self._call(
                "POST",
                "/medical-images/upload",
                patient,
                201,
                files={"file": ("scan.dcm", content, "application/dicom")},
            )
            path = f"/medical-images/{made['image']['image_id']}"
            image = self._until("Looking at it", lambda: self._final(path, patient))
            if image["state"] == "rejected" and image["reason"] == "duplicate":
                self._tell("it is in her record already")
                return
            found = self._call("GET", f"/medical-images/analysis/{image['image_id']}", patient)
            self._tell(
                f"{image['metadata']['modality']}, {len(found['text'])} words found in its pixels,"
                f" {len(found['report']['regions'])} regions blacked out in the copy:"
                f" {image['deidentification']}"
            )

    def _final(self, path: str, who: Someone) -> Any:
        found = self._call("GET", path, who)
        return found if found["state"] in _FINAL else None

    # ------------------------------------------------------------ assistant

    def _ask(self, patient: Someone) -> None:
        with self._step("She asks the assistant"):
            asked = {"message": "What helps against low back pain?"}
            answer = self._call("POST", "/ai-interactions/chat", patient, json=asked)
            self._tell(answer["answer"][:300])
            for each in answer["citations"]:
                self._tell(f"[dim][{each['number']}] {each['source']['title']}[/]")
            worse = {"message": "I fell and hit my head on the table", "country": "ES"}
            answer = self._call("POST", "/ai-interactions/chat", patient, json=worse)
            if not answer["alarm"] or answer["alarm"]["urgency"] != "emergency":
                raise Stuck("a blow to the head of somebody who takes warfarin raised no alarm")
            self._tell(
                f"[bold red]{answer['alarm']['call']}[/] She takes warfarin, so no model is asked."
            )

    def _look_through(self, patient: Someone, doctor: Someone) -> None:
        with self._step("Her doctor looks through her medicines"):
            entry = {
                "type": "medication",
                "title": "Ibuprofen 400 mg",
                "description": "Twice a day",
                "occurred_on": f"{datetime.now(UTC):%Y-%m-%d}",
            }
            self._call("POST", f"/patients/{patient.uid}/history", doctor, 201, json=entry)
            path = f"/ai-interactions/recommendations/{patient.uid}"
            found = self._call("GET", path, doctor)["conflicts"]
            for each in found[:3]:
                self._tell(f"{each['severity']}: {each['title']}. {each['effect']}.")
            if not any("warfarin" in each["title"] for each in found):
                raise Stuck("ibuprofen with warfarin was not noticed")

    # ------------------------------------------------------------ afterwards

    def _seen(self, patient: Someone) -> None:
        with self._step("She sees who looked"):
            path = f"/patients/{patient.uid}/access-log?page_size=5"
            for entry in self._call("GET", path, patient)["items"]:
                self._tell(f"[dim]{entry['time'][11:19]}[/] {entry['text']}")

    def _export(self, patient: Someone) -> None:
        with self._step("She takes everything along"):
            whole = self._http.get(f"/patients/{patient.uid}/export", headers=patient.headers)
            kinds = sorted({e["resource"]["resourceType"] for e in whole.json()["entry"]})
            self._tell(f"a FHIR R4 Bundle of {len(whole.content):,} bytes: {', '.join(kinds)}")
