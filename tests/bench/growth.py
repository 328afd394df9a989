"""What a hundred times as many stored appointments change for a list, a week's availability, a calendar."""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.bulk_writer import BulkWriterOptions

from common.firestore import storable
from common.scheduling import Appointment, AppointmentType, BookedSlot
from local import tools
from local.bootstrap import ROOT
from local.platform import Platform, running
from local.ports import HOST, Ports
from tests.bench.table import Row, Target
from tests.client import Api, Person, a_bookable_doctor, a_patient, make_admin
from tests.recorder import Recorder

_FEW, _MANY = 1_000, 100_000
_TIMES = 30


@dataclass
class Cost:
    ms: float
    reads: int


def an_appointment(n: int, doctor_id: str, patient_id: str, start: datetime) -> Appointment:
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    return Appointment(
        create_time=moment,
        update_time=moment,
        doctor_id=doctor_id,
        patient_id=patient_id,
        doctor_name="Dr. Bench",
        patient_name="A Patient",
        type=AppointmentType.VIDEO,
        start=start,
        end=start + timedelta(minutes=30),
        time_zone="Europe/Berlin",
        local_start=start.strftime("%Y-%m-%dT%H:%M"),
        zone_version="2026a",
        slots=[BookedSlot.name(start)],
        booked_by=None,
        status_time=moment,
        sealed={"reason": bytes(60)},
    )


def appointments(
    first: int, last: int, doctor: str, patient: str
) -> Iterator[tuple[str, Appointment]]:
    """Of a hundred doctors and 2,000 patients; each hundredth is of those who are measured."""
    chance = random.Random(first)
    tomorrow = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    for n in range(first, last):
        start = tomorrow + timedelta(days=1 + n % 60, minutes=30 * chance.randrange(16))
        is_theirs = n < 50  # as many of theirs among few as among many
        yield (
            f"bench{n:06}",
            an_appointment(
                n,
                doctor if is_theirs else f"doctor{n % 100}",
                patient if is_theirs else f"patient{n % 2000}",
                start,
            ),
        )


def store(first: int, last: int, doctor: str, patient: str) -> float:
    """With the client's bulk writer; returns how many a second."""
    client = firestore.Client()
    started = time.perf_counter()
    # Its usual 500 a second spare a database that must grow; the emulator need not.
    writer = client.bulk_writer(
        BulkWriterOptions(initial_ops_per_second=5_000, max_ops_per_second=5_000)
    )
    for id, appointment in appointments(first, last, doctor, patient):
        writer.create(client.document(f"appointments/{id}"), storable(appointment))
        if appointment.doctor_id == doctor:
            name = BookedSlot.name(appointment.start)
            slot = BookedSlot(
                create_time=appointment.create_time,
                update_time=appointment.update_time,
                start=appointment.start,
                end=appointment.end,
                appointment_id=id,
            )
            writer.set(client.document(f"doctors/{doctor}/booked/{name}"), storable(slot))
    writer.close()  # type: ignore[no-untyped-call]
    return (last - first) / (time.perf_counter() - started)


async def _costs(api: Api, recorder: Recorder, doctor: Person, patient: Person) -> dict[str, Cost]:
    paths = {
        "list": ("/v1/appointments", patient),
        "availability": (f"/v1/appointments/available/{doctor.uid}", patient),
        "calendar": (f"/v1/appointments/calendar/{patient.uid}", patient),
    }
    found = {}
    for name, (path, who) in paths.items():
        took = []
        for n in range(_TIMES + 10):
            started = time.perf_counter()
            answer = await api.get(path, who)
            if n >= 10:
                took.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, answer.text
        with recorder.counting() as counted:
            await api.get(path, who)
        found[name] = Cost(statistics.median(took), counted.reads)
    return found


def _bare(patient: Person) -> float:
    """Milliseconds that the database alone takes for the list's query."""
    query = (
        firestore.Client()
        .collection("appointments")
        .where(filter=FieldFilter("patient_id", "==", patient.uid))
        .order_by("start")
        .limit(21)
    )
    took = []
    for _ in range(10):
        started = time.perf_counter()
        assert len(query.get()) == 21
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


async def compare(run_dir: Path) -> None:
    """In a process of its own: prints what was found as JSON."""
    import json

    ports = Ports.free()
    recorder = Recorder(f"{HOST}:{ports.firestore}")
    recorder.start()
    env = {"REQUESTS_PER_MINUTE": "1000000", "FIRESTORE_EMULATOR_HOST": recorder.address}
    platform = Platform(tools.find(), ports, run_dir, function_env=env)
    try:
        with running(platform):
            os.environ.update(platform.client_env())
            async with Api(platform.url) as api:
                admin = await make_admin(api)
                doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
                await asyncio.to_thread(store, 0, _FEW, doctor.uid, patient.uid)
                few = await _costs(api, recorder, doctor, patient)
                bare = [await asyncio.to_thread(_bare, patient)]
                rate = await asyncio.to_thread(store, _FEW, _MANY, doctor.uid, patient.uid)
                many = await _costs(api, recorder, doctor, patient)
                bare.append(await asyncio.to_thread(_bare, patient))
    finally:
        recorder.stop()
    costs = {name: [asdict(few[name]), asdict(many[name])] for name in few}
    print(json.dumps({"rate": rate, "costs": costs, "bare": bare}))


def measure() -> tuple[list[Row], list[str]]:
    import json

    done = subprocess.run(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=900,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    rows = []
    for name, (few, many) in found["costs"].items():
        rows.append(
            Row(
                f"{name} with {_MANY:,} appointments stored, against {_FEW:,}",
                f"{few['ms']:.1f} ms, {few['reads']} reads",
                f"{many['ms']:.1f} ms, {many['reads']} reads",
                many["ms"] / few["ms"],
                Target("≤", 1.2),
            )
        )
    few, many = found["bare"]
    return rows, [
        f"The bulk writer stored {found['rate']:.0f} appointments a second in the emulator.",
        f"The emulator has no composite indexes and looks through a collection: the list's query"
        f" alone took it {few:.0f} ms and then {many:.0f} ms. The reads, which the cloud's time"
        " and bill follow, are equal.",
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="healthhub-bench-") as folder:
        asyncio.run(compare(Path(folder)))
