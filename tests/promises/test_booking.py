"""Promises 11 to 15 and 18 for booking: whatever path, whatever fails, nobody is booked twice."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import httpx
import pytest

from common.appointments import appointments, booked_days, booked_slots
from common.scheduling import Practice
from local.platform import Platform
from local.processes import Children, Process
from tests.booked import broken_rules, live_of
from tests.client import (
    Api,
    Person,
    a_bookable_doctor,
    a_patient,
    admit,
    book,
    free_starts,
    put_schedule,
    try_to_book,
)
from tests.processes import an_instance, answers
from tests.recorder import Recorder


@pytest.fixture
async def doctor(api: Api, admin: Person) -> Person:
    return await a_bookable_doctor(api, admin)


async def test_p15_a_raced_slot_has_one_winner(
    api: Api, doctor: Person, admin: Person, figure: Any
) -> None:
    """One hundred at once: patients for themselves, the doctor and an administrator for theirs."""
    patients = [await a_patient(api) for _ in range(10)]
    for patient in patients:
        await admit(api, patient, doctor)
    start = (await free_starts(api, doctor))[0]

    async def attempt(n: int) -> int:
        patient = patients[n % 10]
        someone = (patient, doctor, admin)[n % 3]
        fields = {} if someone is patient else {"patient_id": patient.uid}
        return (await try_to_book(api, someone, doctor, start, **fields)).status_code

    statuses = Counter(await asyncio.gather(*(attempt(n) for n in range(100))))
    figure("winners of 100 for one slot", statuses[201])
    assert statuses == {201: 1, 409: 99}
    assert await broken_rules([doctor], patients) == []


async def test_p15_all_paths_mixed_give_each_slot_one_winner(
    api: Api, admin: Person, figure: Any
) -> None:
    """A hundred slots; hundreds of bookings, moves, cancellations, offers at once."""
    doctors = [await a_bookable_doctor(api, admin, slot_minutes=m) for m in (30, 20)]
    patients = [await a_patient(api) for _ in range(12)]
    chance = random.Random(15)
    starts = {d.uid: (await free_starts(api, d))[:50] for d in doctors}
    waits = datetime.now(UTC)
    for patient in patients[:6]:
        wish = {
            "doctor_id": chance.choice(doctors).uid,
            "from": waits.isoformat(),
            "to": (waits + timedelta(days=20)).isoformat(),
            "auto_book": chance.random() < 0.5,
        }
        answer = await api.post("/v1/appointments/waitlist", patient, json=wish)
        assert answer.status_code == 201
    statuses: Counter[int] = Counter()
    gate = asyncio.Semaphore(32)

    async def act(n: int) -> None:
        rng = random.Random(n)
        patient, doctor = rng.choice(patients), rng.choice(doctors)
        start = rng.choice(starts[doctor.uid])
        async with gate:
            kind = rng.random()
            if kind < 0.55:
                someone, fields = (
                    (admin, {"patient_id": patient.uid}) if rng.random() < 0.3 else (patient, {})
                )
                answer = await try_to_book(api, someone, doctor, start, **fields)
            else:
                answer = await _change_one(api, rng, patient, doctor, start)
        statuses[answer.status_code] += 1

    for round_ in range(4):
        await asyncio.gather(*(act(1000 * round_ + n) for n in range(100)))
        assert await broken_rules(doctors, patients) == []
    figure("answers", dict(sorted(statuses.items())))
    assert set(statuses) <= {200, 201, 204, 409, 503}
    assert statuses[201] > 30
    assert statuses[200] + statuses[204] > 30


async def _change_one(
    api: Api, rng: random.Random, patient: Person, doctor: Person, start: str
) -> httpx.Response:
    if rng.random() < 0.3:
        found = (await api.get("/v1/appointments/waitlist", patient)).json()["items"]
        for entry in found:
            if entry["status"] == "offered":
                action = rng.choice(["accept", "decline"])
                path = f"/v1/appointments/waitlist/{entry['waitlist_id']}/{action}"
                return await api.post(path, patient)
    own = await api.get("/v1/appointments", patient, params={"status": "booked"})
    items = own.json()["items"]
    if not items:
        return own
    chosen = rng.choice(items)["appointment_id"]
    if rng.random() < 0.6:
        body = {"start": start, "doctor_id": doctor.uid}
        return await api.post(f"/v1/appointments/reschedule/{chosen}", patient, json=body)
    return await api.delete(f"/v1/appointments/{chosen}", patient)


async def test_p11_one_booking_per_idempotency_key(api: Api, doctor: Person, figure: Any) -> None:
    patient = await a_patient(api)
    starts = await free_starts(api, doctor)
    headers = {"Idempotency-Key": "one-booking-only"}
    answers = await asyncio.gather(
        *(try_to_book(api, patient, doctor, starts[0], headers=headers) for _ in range(100))
    )
    statuses = Counter(answer.status_code for answer in answers)
    made = {a.json()["appointment_id"] for a in answers if a.status_code == 201}
    figure("bookings per key", len(made))
    assert set(statuses) <= {201, 503}
    assert len(made) == 1
    other = await try_to_book(api, patient, doctor, starts[1], headers=headers)
    assert other.status_code == 422
    assert await broken_rules([doctor], [patient]) == []


async def test_p12_of_two_who_change_an_appointment_as_they_read_it_one_is_told(
    api: Api, doctor: Person, figure: Any
) -> None:
    patient = await a_patient(api)
    booked = await book(api, patient, doctor, (await free_starts(api, doctor))[0])
    path = f"/v1/appointments/{booked['appointment_id']}"
    answers = await asyncio.gather(
        *(
            api.put(path, who, json={"notes": f"canary {n}"}, headers={"If-Match": booked["etag"]})
            for n, who in enumerate([patient, doctor] * 5)
        )
    )
    statuses = Counter(answer.status_code for answer in answers)
    figure("lost", statuses[200] - 1)
    assert statuses == {200: 1, 412: 9}


async def test_p13_a_booking_whose_answer_is_lost_is_there_once_when_it_is_sent_again(
    api: Api, doctor: Person, recorder: Recorder
) -> None:
    patient = await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    headers = {"Idempotency-Key": "the answer was lost"[:19].replace(" ", "-")}
    with recorder.broken("Commit", grpc.StatusCode.UNAVAILABLE, _makes_an_appointment, True):
        lost = await try_to_book(api, patient, doctor, start, headers=headers)
    assert lost.status_code == 201  # the key's document says that it had happened
    assert lost.headers["idempotent-replayed"] == "true"
    again = await try_to_book(api, patient, doctor, start, headers=headers)
    assert again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert await broken_rules([doctor], [patient]) == []


async def test_p13_a_booking_that_fails_leaves_nothing(
    api: Api, doctor: Person, recorder: Recorder
) -> None:
    patient = await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    with recorder.broken("Commit", grpc.StatusCode.UNAVAILABLE, _makes_an_appointment):
        failed = await try_to_book(api, patient, doctor, start)
    assert failed.status_code == 503
    assert await booked_slots.count(doctor.uid) == 0
    assert await booked_days.count(patient.uid) == 0
    await book(api, patient, doctor, start)


@pytest.fixture(scope="module")
def another_instance(
    platform: Platform, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], tuple[Process, Api]]]:
    """Starts one more instance of the appointments function, that a test may kill."""
    children = Children(tmp_path_factory.mktemp("instance"))

    def start() -> tuple[Process, Api]:
        database = {"FIRESTORE_EMULATOR_HOST": recorder.address}
        process, url = an_instance(platform, children, "appointments", database)
        return process, Api(url)

    yield start
    children.end()


@pytest.mark.parametrize("step", ["before the commit", "after the commit"])
async def test_p13_an_instance_that_is_killed_leaves_a_booking_whole_or_not_at_all(
    api: Api,
    doctor: Person,
    recorder: Recorder,
    another_instance: Callable[[], tuple[Process, Api]],
    step: str,
    figure: Any,
) -> None:
    patient = await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    headers = {"Idempotency-Key": "killed-in-the-middle"}
    process, doomed = another_instance()
    async with doomed:
        await answers(doomed)
        with recorder.held("Commit", _makes_an_appointment, step == "after the commit") as held:
            booking = asyncio.create_task(
                try_to_book(doomed, patient, doctor, start, headers=headers)
            )
            await held.met()
            os.killpg(process.popen.pid, signal.SIGKILL)
            with pytest.raises(httpx.HTTPError):
                await booking
    again = await try_to_book(api, patient, doctor, start, headers=headers)
    assert again.status_code == 201, again.text
    broken = await broken_rules([doctor], [patient])
    live = await live_of("patient_id", patient.uid)
    figure(f"stuck or doubled, killed {step}", len(broken) + abs(len(live) - 1))
    assert broken == []
    assert len(live) == 1


def _makes_an_appointment(request: Any) -> bool:
    return any("/documents/appointments/" in write.update.name for write in request.writes)


async def test_p14_a_crowd_at_one_doctor_is_answered_409_or_503_and_never_500(
    api: Api, doctor: Person, figure: Any
) -> None:
    patients = [await a_patient(api) for _ in range(5)]
    starts = (await free_starts(api, doctor))[:3]
    answers = await asyncio.gather(
        *(try_to_book(api, patients[n % 5], doctor, starts[n % 3]) for n in range(50))
    )
    statuses = Counter(answer.status_code for answer in answers)
    figure("500s", statuses[500])
    assert set(statuses) <= {201, 409, 503}
    assert statuses[201] == 3
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0


async def test_p15_a_patient_is_not_booked_with_two_doctors_at_once(
    api: Api, admin: Person
) -> None:
    """Their slots lie across each other, so no name is the same."""
    doctors = [await a_bookable_doctor(api, admin, slot_minutes=m) for m in (30, 20, 45)]
    patient = await a_patient(api)
    start = datetime.fromisoformat((await free_starts(api, doctors[0]))[0])
    near = {
        doctor.uid: [
            s
            for s in await free_starts(api, doctor)
            if datetime.fromisoformat(s) < start + timedelta(minutes=30)
        ]
        for doctor in doctors
    }
    wishes = [(doctor, s) for doctor in doctors for s in near[doctor.uid]] * 5
    answers = await asyncio.gather(*(try_to_book(api, patient, d, s) for d, s in wishes))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409, 503}
    assert await broken_rules(doctors, [patient]) == []


async def test_p15_slots_that_moved_do_not_overlap_what_was_booked_before(
    api: Api, doctor: Person
) -> None:
    first, second = await a_patient(api), await a_patient(api)
    starts = await free_starts(api, doctor)
    await book(api, first, doctor, starts[0])  # 09:00 to 09:30
    saved = await put_schedule(api, doctor, slot_minutes=20)
    assert saved["conflict_count"] == 0  # it still lies within the hours
    assert saved["bookable_from"] is not None
    pausing = await try_to_book(api, second, doctor, starts[4])
    assert pausing.status_code == 503
    assert int(pausing.headers["retry-after"]) <= 16
    await let_it_settle(doctor)
    moment = datetime.fromisoformat(starts[0])
    at = [(moment + timedelta(minutes=m)).isoformat() for m in (0, 20, 40)]
    statuses = [(await try_to_book(api, second, doctor, s)).status_code for s in at]
    assert statuses == [409, 409, 201]
    assert await broken_rules([doctor], [first, second]) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"slot_minutes": 20}, {"slot_minutes": 30}),
        ({"slot_minutes": 45}, {"slot_minutes": 30}),
        ({"slot_minutes": 30}, {"slot_minutes": 25, "buffer_minutes": 5}),
        ({"slot_minutes": 30}, {"slot_minutes": 30, "time_zone": "Asia/Kathmandu"}),
        ({"slot_minutes": 15}, {"slot_minutes": 60}),
    ],
)
async def test_p15_however_slots_move_nothing_overlaps(
    api: Api, doctor: Person, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Every other slot of a morning is booked, slots move, and then every slot is reached for."""
    await put_schedule(api, doctor, **before)
    await let_it_settle(doctor)
    first, second = await a_patient(api), await a_patient(api)
    for start in (await free_starts(api, doctor))[:6:2]:
        await book(api, first, doctor, start)
    await put_schedule(api, doctor, **after)
    await let_it_settle(doctor)
    offered = (await free_starts(api, doctor))[:12]
    day = offered[0][:10]
    starts = [f"{day}T{minute // 60:02}:{minute % 60:02}:00Z" for minute in range(0, 1440, 15)]
    statuses = [(await try_to_book(api, second, doctor, start)).status_code for start in starts]
    assert set(statuses) <= {201, 409, 422}
    assert statuses.count(201) >= 2
    assert await broken_rules([doctor], [first, second]) == []


async def let_it_settle(doctor: Person) -> None:
    """As if the seconds for which bookings pause had passed."""
    from common.appointments import practices
    from common.firestore import Batch

    batch = Batch()
    past = datetime.now(UTC) - timedelta(seconds=1)
    batch.update(practices.path(doctor.uid), {"settle_time": past})
    await batch.commit()


async def test_p15_an_off_grid_slot_is_free_again_once_its_appointment_is_cancelled(
    api: Api, doctor: Person
) -> None:
    first, second = await a_patient(api), await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = await book(api, first, doctor, starts[0])
    await put_schedule(api, doctor, slot_minutes=20)
    await let_it_settle(doctor)
    answer = await api.delete(f"/v1/appointments/{booked['appointment_id']}", first)
    assert answer.status_code == 204
    moment = datetime.fromisoformat(starts[0])
    within = (moment + timedelta(minutes=20)).isoformat().replace("+00:00", "Z")
    assert within in await free_starts(api, doctor)
    await book(api, second, doctor, within)


async def test_p15_who_read_the_schedule_before_it_changed_books_before_slots_move(
    api: Api, doctor: Person, recorder: Recorder
) -> None:
    """A booking that was on its way while the schedule changed is known when slots settle."""
    slow, quick = await a_patient(api), await a_patient(api)
    starts = await free_starts(api, doctor)
    with recorder.held("Commit", _makes_an_appointment) as held:
        booking = asyncio.create_task(try_to_book(api, slow, doctor, starts[0]))
        await held.met()
        await put_schedule(api, doctor, slot_minutes=20)
    assert (await booking).status_code == 201
    await let_it_settle(doctor)
    moment = datetime.fromisoformat(starts[0])
    across = (moment + timedelta(minutes=20)).isoformat()
    assert (await try_to_book(api, quick, doctor, across)).status_code == 409
    assert await broken_rules([doctor], [slow, quick]) == []


async def test_p18_no_document_is_written_more_than_once_a_second_under_load(
    api: Api, admin: Person, recorder: Recorder, platform: Platform, figure: Any
) -> None:
    """Many patients book one doctor; apart from each one's own documents, none is written twice."""
    doctor = await a_bookable_doctor(api, admin, slot_minutes=10)
    patients = [await a_patient(api) for _ in range(30)]
    starts = await free_starts(api, doctor)
    with recorder.counting() as counted:
        answers = await asyncio.gather(
            *(try_to_book(api, p, doctor, s) for p, s in zip(patients, starts, strict=False))
        )
    assert {answer.status_code for answer in answers} == {201}
    worst = Counter(counted.write_paths).most_common(1)[0]
    figure("worst path, writes in one burst of 30 bookings", worst[1])
    assert worst[1] == 1


async def test_a_booking_costs_two_reads_and_seven_writes_and_availability_what_is_booked(
    api: Api, doctor: Person, recorder: Recorder
) -> None:
    patient = await a_patient(api)
    starts = await free_starts(api, doctor)
    await book(api, patient, doctor, starts[0])  # the account and the key are known now
    with recorder.counting() as counted:
        await book(
            api, patient, doctor, starts[40], headers={"Idempotency-Key": "count-the-operations"}
        )
    assert (counted.reads, counted.writes) == (2, 7)
    with recorder.counting() as counted:
        await free_starts(api, doctor)
    assert counted.reads <= 1 + 2
    assert counted.writes == 0


async def test_the_appointment_is_this_practices(api: Api, doctor: Person) -> None:
    """What was read to book is what is stored: names, place, zone and its database."""
    from common.zones import VERSION

    patient = await a_patient(api)
    made = await book(api, patient, doctor, (await free_starts(api, doctor))[0])
    stored = await appointments.get(made["appointment_id"])
    assert stored
    assert (stored.doctor_name, stored.patient_name) == ("Dr. Inés García", "Ana García")
    assert (stored.time_zone, stored.zone_version) == ("Europe/Berlin", VERSION)
    assert stored.local_start.endswith("T09:00")
    assert b"cough" not in b"".join(stored.sealed.values())
    assert Practice.model_fields.keys() >= {"schedule", "off_grid"}
