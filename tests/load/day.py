"""What people at a clinic do all day, for locust: run by `tests/load/run.py`, in a process of its own.

It tells our process, through the folder that HEALTHHUB_LOAD names, how far it
is, and at the end the figures.
"""

import itertools
import json
import random
from typing import Any

import gevent
from locust import events, task

from tests.load.someone import CLINIC, FOLDER, PEN, Someone, first_free, statuses

_patients = itertools.cycle(CLINIC["patients"])
_doctors = itertools.cycle(CLINIC["doctors"])


class Patient(Someone):
    weight = 3

    def on_start(self) -> None:
        self.person = dict(next(_patients))
        self.visits: dict[str, str] = {}
        self.path = f"/patients/{self.person['uid']}"
        super().on_start()

    def a_free_slot(self) -> tuple[str, str] | None:
        doctor = random.choice(CLINIC["doctors"])["uid"]
        start = first_free(self, doctor)
        return (doctor, start) if start else None

    @task(12)
    def search(self) -> None:
        query = random.choice(({"q": "garc"}, {"specialty": "cardiology"}, {"city": "Oaxaca"}))
        self.ask("search the directory", "GET", "/doctors", params=query)

    @task(8)
    def look_through(self) -> None:
        self.ask("list doctors", "GET", "/doctors", params={"page_size": "20"})

    @task(12)
    def see_profile(self) -> None:
        doctor = random.choice(CLINIC["doctors"])["uid"]
        self.ask("read a profile", "GET", f"/doctors/{doctor}")

    @task(10)
    def see_slots(self) -> None:
        self.a_free_slot()

    @task(12)
    def book(self) -> None:
        found = self.a_free_slot()
        if found is None:
            return
        doctor, start = found
        wish = {"doctor_id": doctor, "start": start, "type": "video", "reason": "A cough"}
        if id := self.wish(wish, self.person["uid"]):
            self.visits[id] = start

    @task(4)
    def reschedule(self) -> None:
        found = self.a_free_slot() if self.visits else None
        if found is None:
            return
        id = random.choice(list(self.visits))
        wish = {"doctor_id": found[0], "start": found[1]}
        answer = self.insist("reschedule", f"/appointments/reschedule/{id}", (200, 409), wish)
        if answer.status_code == 200:
            PEN.note("moved", id=id, start=found[1])
        elif answer.status_code in (0, 503):
            PEN.note("unsure", id=id)

    @task(5)
    def cancel(self) -> None:
        if not self.visits:
            return
        id = random.choice(list(self.visits))
        self.visits.pop(id)
        answer = self.ask("cancel", "DELETE", f"/appointments/{id}", (204,))
        if answer.status_code == 204:
            PEN.note("cancelled", id=id)
        else:
            PEN.note("unsure", id=id)

    @task(8)
    def own_visits(self) -> None:
        self.ask("list appointments", "GET", "/appointments")

    @task(6)
    def own_record(self) -> None:
        self.ask("read a record", "GET", self.path)

    @task(2)
    def picture(self) -> None:
        self.send("medical-images", self.person["uid"], "photo.png", "image/png")

    @task(3)
    def chat(self) -> None:
        message = random.choice(("What helps against low back pain?", "Is a cough dangerous?"))
        body = {"message": message}
        self.ask("ask the assistant", "POST", "/ai-interactions/chat", json=body)

    @task(2)
    def assess(self) -> None:
        body = {"symptoms": ["headache", "fever"], "age": 42, "sex": "female"}
        self.ask("have symptoms assessed", "POST", "/ai-interactions/analyze", json=body)


class Doctor(Someone):
    weight = 1

    def on_start(self) -> None:
        self.person = dict(next(_doctors))
        self.patients: list[str] = CLINIC["in_care"][self.person["uid"]]
        super().on_start()

    @property
    def path(self) -> str:
        return f"/patients/{random.choice(self.patients)}"

    @task(20)
    def record(self) -> None:
        self.ask("read a record", "GET", self.path)

    @task(20)
    def history(self) -> None:
        self.ask("read a history", "GET", f"{self.path}/history")

    @task(6)
    def note(self) -> None:
        body = {
            "type": "observation",
            "title": "Blood pressure",
            "description": "Measured twice.",
            "occurred_on": "2026-01-05",
            "values": [{"name": "Systolic", "value": "121", "unit": "mm[Hg]"}],
        }
        self.insist("write into a history", f"{self.path}/history", (201,), body)

    @task(4)
    def follow_up(self) -> None:
        """Booked for a patient, who is told of it."""
        start = first_free(self, self.person["uid"])
        patient = random.choice(self.patients)
        if start is not None:
            wish = {"doctor_id": self.person["uid"], "start": start, "type": "in_person"}
            self.wish({**wish, "patient_id": patient, "reason": "To see how it goes"}, patient)

    @task(10)
    def own_day(self) -> None:
        self.ask("list appointments", "GET", "/appointments")

    @task(2)
    def scan(self) -> None:
        patient = random.choice(self.patients)
        self.send("medical-images", patient, "scan.dcm", "application/dicom")

    @task(1)
    def recording(self) -> None:
        self.send("transcriptions", random.choice(self.patients), "visit.wav", "audio/wav")


# ---------------------------------------------------------------- what is told to our process


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def tell_progress(environment: Any, **_: Any) -> None:
    def telling() -> None:
        while True:
            total = environment.stats.total
            said = {
                "users": environment.runner.user_count,
                "requests": total.num_requests,
                "failures": total.num_failures,
            }
            _put("progress.json", said)
            gevent.sleep(1)

    gevent.spawn(telling)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def tell_figures(environment: Any, **_: Any) -> None:
    _put(
        "figures.json",
        [
            {
                "what": entry.name,
                "requests": entry.num_requests,
                "failures": entry.num_failures,
                "median_ms": entry.median_response_time,
                "p95_ms": entry.get_response_time_percentile(0.95),
                "statuses": dict(statuses[entry.name]),
            }
            for entry in environment.stats.entries.values()
        ],
    )


def _put(name: str, said: Any) -> None:
    draft = FOLDER / f"{name}.new"
    draft.write_text(json.dumps(said))
    draft.replace(FOLDER / name)
