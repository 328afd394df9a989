"""A hundred who reach for one slot, by booking and by moving; one request that is sent many times at once."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import httpx

from tests.booked import broken_rules
from tests.client import (
    A_RECORD,
    Person,
    a_bookable_doctor,
    a_patient,
    admit,
    book,
    free_starts,
    try_to_book,
)
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen

_RACERS = 100
_SENT = 50
_PATIENTS = 10


async def tried(scene: Scene) -> Told:
    told = Told(
        "Races",
        f"{_RACERS} at once for one slot, half of them moving what they have; {_SENT} at once with one Idempotency-Key",
    )
    before = scene.unforeseen()
    answers: Counter[int] = Counter()
    ends, rounds = scene.ends(), 0
    while rounds == 0 or time.monotonic() < ends:
        # Others each time: who holds an appointment of an earlier round is busy then.
        patients = list(await asyncio.gather(*(a_patient(scene.api) for _ in range(_PATIENTS))))
        doctor = await a_bookable_doctor(scene.api, scene.admin)
        answers += await _one_slot(scene, doctor, patients, told)
        answers += await _one_key(scene, doctor, patients[0], told)
        told.broken += await broken_rules([doctor], patients)
        rounds += 1
    told.add("rounds", rounds)
    told.add("answers", dict(sorted(answers.items())))
    expect_nothing_unforeseen(scene, before, told)
    return told


async def _one_slot(
    scene: Scene, doctor: Person, patients: list[Person], told: Told
) -> Counter[int]:
    starts = await free_starts(scene.api, doctor)
    wanted, day = starts[0], scene.chance.randrange(1, 4) * 12
    held = [
        await book(scene.api, patient, doctor, start)
        for patient, start in zip(patients[::2], starts[day:], strict=False)
    ]

    async def attempt(number: int) -> httpx.Response:
        if number % 2:
            return await try_to_book(scene.api, patients[number % _PATIENTS], doctor, wanted)
        turn = (number // 2) % len(held)
        path = f"/v1/appointments/reschedule/{held[turn]['appointment_id']}"
        return await scene.api.post(path, patients[2 * turn], json={"start": wanted})

    order = list(range(_RACERS))
    scene.chance.shuffle(order)
    got = await asyncio.gather(*(attempt(n) for n in order))
    judge_race(got, told)
    return Counter(answer.status_code for answer in got)


def judge_race(got: Sequence[httpx.Response], told: Told) -> None:
    """One is served; the others are told that it is taken, or to come again.

    Who moves an appointment to where it is already, by the same request again, is told so: 200.
    """
    statuses = Counter(answer.status_code for answer in got)
    winners = {a.json()["appointment_id"] for a in got if a.status_code in (200, 201)}
    told.expect(len(winners) == 1, f"{len(winners)} of {len(got)} were given one slot")
    others = set(statuses) - {200, 201, 409, 503}
    told.expect(not others, f"answers of a race: {dict(statuses)}")


async def _one_key(scene: Scene, doctor: Person, patient: Person, told: Told) -> Counter[int]:
    """A booking, and an entry of a history: each is made once, and told alike to all."""
    await admit(scene.api, patient, doctor)
    start = (await free_starts(scene.api, doctor))[-1]
    key = {"Idempotency-Key": f"stress-{scene.chance.getrandbits(64):x}"}
    bookings = await asyncio.gather(
        *(try_to_book(scene.api, patient, doctor, start, headers=key) for _ in range(_SENT))
    )
    judge_replays("appointment_id", bookings, told)
    path = f"/v1/patients/{patient.uid}/history"
    entries = await asyncio.gather(
        *(scene.api.post(path, doctor, json=A_RECORD, headers=key) for _ in range(_SENT))
    )
    judge_replays("record_id", entries, told)
    return Counter(answer.status_code for answer in (*bookings, *entries))


def judge_replays(id: str, answers: Sequence[httpx.Response], told: Told) -> None:
    made = {answer.json()[id] for answer in answers if answer.status_code == 201}
    told.expect(len(made) == 1, f"one key made {len(made)} times {id}")
    others = {answer.status_code for answer in answers} - {201, 409, 503}
    told.expect(not others, f"replays were answered {sorted(others)}")
