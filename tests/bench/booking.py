"""Booking under load: many for one slot, and many for as many; against a transaction that reads and writes."""

import asyncio
import json
import statistics
from collections.abc import Sequence
from contextlib import ExitStack

from local.platform import Platform
from tests.bench import burst
from tests.bench.burst import Burst, Post
from tests.bench.serving import Served, bare, ours, serving
from tests.bench.table import Row, Target
from tests.bench.world import World
from tests.client import Api, Person, a_bookable_doctor, a_patient, free_starts, make_admin

_CONNECTIONS = 32
_RACERS = 500
_BOOKINGS = 300
_PAIRS = 3
_AT_ONCE = 8


async def prepare(platform: Platform) -> tuple[list[Person], list[tuple[str, list[str]]]]:
    """Patients with records, and doctors with their free slots: one for each burst."""
    async with Api(platform.url) as api:
        admin = await make_admin(api)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one() -> Person:
            async with gate:
                return await a_patient(api)

        patients = list(await asyncio.gather(*(one() for _ in range(_BOOKINGS))))
        doctors = []
        for _ in range(2 + 2 * _PAIRS):
            doctor = await a_bookable_doctor(api, admin, slot_minutes=5)
            doctors.append((doctor.uid, await free_starts(api, doctor)))
    return patients, doctors


def measure(
    world: World, people: Sequence[Person], doctors: list[tuple[str, list[str]]]
) -> tuple[list[Row], list[str]]:
    functions = [
        bare(world.platform, "transaction"),
        ours(world.platform, "appointments", **world.certificates),
    ]
    tokens = [world.issuer.token(person.uid) for person in people]
    left = iter(doctors)
    with ExitStack() as stack:
        served = [stack.enter_context(serving(world.platform, each)) for each in functions]
        for each in served:
            each.first_answer("/health", {})
        _bookings(served[1], tokens, 0, *next(left))  # their keys and accounts are known now
        race = _race(served[1], tokens, *next(left))
        bursts: list[list[Burst]] = [[], []]
        for number in range(_PAIRS):
            for each, its in zip(served, bursts, strict=True):
                its.append(_bookings(each, tokens, 1 + number, *next(left)))
    ratios = [own.per_second / base.per_second for base, own in zip(*bursts, strict=True)]
    baseline, own = (statistics.median(b.per_second for b in each) for each in bursts)
    answered = race.per_second
    rows = [
        Row(
            f"{_RACERS} for one slot: answers a second, {_CONNECTIONS} connections",
            "400 /s",
            f"{answered:.0f} /s",
            answered / 400,
            Target("≥", 1),
        ),
        Row(
            f"{_BOOKINGS} bookings for {_BOOKINGS} slots, against a bare transaction",
            f"{baseline:.0f} /s",
            f"{own:.0f} /s",
            statistics.median(ratios),
            Target("≥", 2),
        ),
    ]
    return rows, [
        f"Race: {race.statuses}; 300 slots: {[b.statuses for b in bursts[1]]}, the transaction"
        f" {[b.statuses for b in bursts[0]]}; pairs gave {', '.join(f'{r:.2f}' for r in ratios)}."
        " The transaction writes as many documents, and checks no token, seals nothing, chains nothing."
    ]


def _race(served: Served, tokens: Sequence[str], doctor_id: str, starts: list[str]) -> Burst:
    posts = [_wish(tokens[n % len(tokens)], doctor_id, starts[0]) for n in range(_RACERS)]
    return burst.send(served.port, posts, _CONNECTIONS)


def _bookings(
    served: Served, tokens: Sequence[str], turn: int, doctor_id: str, starts: list[str]
) -> Burst:
    """Each patient another time than in other turns: they are not to meet themselves."""
    chosen = starts[1 : 1 + _BOOKINGS]
    chosen = chosen[turn * 31 :] + chosen[: turn * 31]
    posts = [_wish(t, doctor_id, start) for t, start in zip(tokens, chosen, strict=True)]
    return burst.send(served.port, posts, _CONNECTIONS)


def _wish(token: str, doctor_id: str, start: str) -> Post:
    body = {"doctor_id": doctor_id, "start": start, "type": "video", "reason": "A cough that stays"}
    return Post("/appointments", token, json.dumps(body))
