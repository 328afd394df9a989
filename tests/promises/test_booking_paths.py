"""Promise 15 again, by a machine that mixes every path with failures, in whatever order it finds."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc
import httpx
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import booleans, integers, sampled_from

from common.appointments import practices, waitlist
from common.firestore import Batch
from local.platform import Platform
from tests.booked import broken_rules
from tests.client import A_SCHEDULE, Api, Person, a_bookable_doctor, a_patient
from tests.recorder import Recorder

T = TypeVar("T")

FAULTS = sampled_from(["none", "none", "none", "before", "after"])
"""Whether the database fails before a change's commit, or loses the answer to it."""

PEOPLE = integers(0, 2)
DOCTORS = integers(0, 1)
SLOTS = integers(0, 3)
"""Few, so that paths meet."""

EXPECTED = {200, 201, 204, 404, 409, 422, 503}


def _touches_time(request: Any) -> bool:
    return any("/booked/" in (w.update.name or w.delete) for w in request.writes)


class Paths(RuleBasedStateMachine):
    api: Api
    admin: Person
    platform: Platform
    recorder: Recorder
    loop: asyncio.AbstractEventLoop
    seen: set[int]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    @initialize()
    def meet(self) -> None:
        self.doctors = [
            self.do(a_bookable_doctor(self.api, self.admin, slot_minutes=m)) for m in (30, 20)
        ]
        self.patients = [self.do(a_patient(self.api)) for _ in range(3)]
        first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.morning = first + timedelta(days=2, hours=7)

    def start(self, n: int) -> str:
        """20 minutes apart: some on one doctor's slots, some on the other's, some on neither's."""
        return (self.morning + timedelta(minutes=60 + 20 * n)).isoformat()

    def ask(self, fault: str, method: str, path: str, someone: Person, **kwargs: Any) -> None:
        broken: AbstractContextManager[Any] = nullcontext()
        if fault != "none":
            broken = self.recorder.broken(
                "Commit", grpc.StatusCode.UNAVAILABLE, _touches_time, fault == "after"
            )
        with broken:
            answer = self.do(self.api.call(method, path, someone, **kwargs))
        self.seen.add(answer.status_code)
        assert answer.status_code in EXPECTED, answer.text

    def own(self, patient: Person, what: str, status: str) -> list[dict[str, Any]]:
        answer = self.do(self.api.get(what, patient, params={"status": status}))
        return list(answer.json()["items"])

    @rule(p=PEOPLE, d=DOCTORS, n=SLOTS, fault=FAULTS, by_admin=booleans())
    def book(self, p: int, d: int, n: int, fault: str, by_admin: bool) -> None:
        patient = self.patients[p]
        body = {
            "doctor_id": self.doctors[d].uid,
            "start": self.start(n),
            "type": "video",
            "reason": "canary",
            "patient_id": patient.uid,
        }
        someone = self.admin if by_admin else patient
        self.ask(fault, "POST", "/v1/appointments", someone, json=body)

    @rule(p=PEOPLE, d=DOCTORS, n=SLOTS)
    def book_as_most_do(self, p: int, d: int, n: int) -> None:
        self.book(p, d, n, "none", False)

    @rule(p=PEOPLE, fault=FAULTS)
    def cancel(self, p: int, fault: str) -> None:
        for each in self.own(self.patients[p], "/v1/appointments", "booked")[:1]:
            path = f"/v1/appointments/{each['appointment_id']}"
            self.ask(fault, "DELETE", path, self.patients[p])

    @rule(p=PEOPLE, d=DOCTORS, n=SLOTS, fault=FAULTS)
    def reschedule(self, p: int, d: int, n: int, fault: str) -> None:
        for each in self.own(self.patients[p], "/v1/appointments", "booked")[:1]:
            path = f"/v1/appointments/reschedule/{each['appointment_id']}"
            body = {"start": self.start(n), "doctor_id": self.doctors[d].uid}
            self.ask(fault, "POST", path, self.patients[p], json=body)

    @rule(p=PEOPLE, d=DOCTORS, auto_book=booleans())
    def wait(self, p: int, d: int, auto_book: bool) -> None:
        wish = {
            "doctor_id": self.doctors[d].uid,
            "from": self.morning.isoformat(),
            "to": (self.morning + timedelta(days=1)).isoformat(),
            "type": "video",
            "auto_book": auto_book,
        }
        self.ask("none", "POST", "/v1/appointments/waitlist", self.patients[p], json=wish)

    @rule(p=PEOPLE, action=sampled_from(["accept", "accept", "decline"]), fault=FAULTS)
    def answer_offer(self, p: int, action: str, fault: str) -> None:
        for entry in self.own(self.patients[p], "/v1/appointments/waitlist", "offered")[:1]:
            path = f"/v1/appointments/waitlist/{entry['waitlist_id']}/{action}"
            self.ask(fault, "POST", path, self.patients[p])

    @rule(p=PEOPLE, fault=FAULTS)
    def leave(self, p: int, fault: str) -> None:
        for entry in self.own(self.patients[p], "/v1/appointments/waitlist", "offered")[:1]:
            path = f"/v1/appointments/waitlist/{entry['waitlist_id']}"
            self.ask(fault, "DELETE", path, self.patients[p])

    @rule()
    def offers_end(self) -> None:
        self.do(self._end_offers())

    async def _end_offers(self) -> None:
        past = datetime.now(UTC) - timedelta(seconds=1)
        ids = {patient.uid for patient in self.patients}
        batch = Batch()
        for entry in await waitlist.find(where=[("status", "==", "offered")], limit=200):
            if entry.patient_id in ids:
                batch.update(entry.path, {"expire_time": past, "offer.expire_time": past})
        if len(batch):
            await batch.commit()
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(self.platform.functions["sweep_stuck_work"] + "/")
        assert answer.status_code == 204

    @rule(d=DOCTORS, minutes=sampled_from([20, 30]), opens=sampled_from(["07:00", "09:10"]))
    def move_slots(self, d: int, minutes: int, opens: str) -> None:
        hours = {day: [{"start": opens, "end": "17:00"}] for day in A_SCHEDULE["weekly"]}
        body = {**A_SCHEDULE, "slot_minutes": minutes, "weekly": hours}
        path = f"/v1/doctors/{self.doctors[d].uid}/schedule"
        self.ask("none", "PUT", path, self.doctors[d], json=body)
        self.do(self._settle(self.doctors[d]))

    async def _settle(self, doctor: Person) -> None:
        practice = await practices.get(doctor.uid)
        if practice and practice.settle_time:
            batch = Batch()
            past = datetime.now(UTC) - timedelta(seconds=1)
            batch.update(practices.path(doctor.uid), {"settle_time": past})
            await batch.commit()

    @invariant()
    def nobody_is_booked_twice(self) -> None:
        if hasattr(self, "doctors"):
            assert self.do(broken_rules(self.doctors, self.patients)) == []


async def test_p15_no_mixture_of_paths_and_failures_books_anybody_twice(
    api: Api, admin: Person, platform: Platform, recorder: Recorder, figure: Any
) -> None:
    seen: set[int] = set()
    with_parts = {
        "api": api,
        "admin": admin,
        "platform": platform,
        "recorder": recorder,
        "loop": asyncio.get_running_loop(),
        "seen": seen,
    }
    machine = type("OurPaths", (Paths,), with_parts)
    few = settings(
        max_examples=10,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=few)
    figure("answers seen", sorted(seen))
    assert {200, 201, 204, 409} <= seen
