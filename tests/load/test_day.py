"""A short day on the platform of the tests: locust plays it, and what must hold after it does."""

import io
from pathlib import Path

from rich.console import Console

from common.appointments import appointments
from common.firestore import Batch
from local.platform import Platform
from tests.client import Api, Person, book, free_starts
from tests.load import checks, people, run, table
from tests.load.ledger import Ledger

SECONDS = 8


async def test_a_short_day_is_played_told_and_held_against_what_is_stored(
    platform: Platform, api: Api, admin: Person, tmp_path: Path
) -> None:
    clinic = await people.open_clinic(api, admin, doctors=2, patients=3)
    report = tmp_path / "report.html"
    day = await run.play(
        platform, clinic, tmp_path / "run", seconds=SECONDS, users=5, report=report
    )
    assert [check.words() for check in day.checks if not check.is_kept] == []
    assert day.requests > 10
    assert "sign in" in {figure["what"] for figure in day.figures}
    assert "<html" in report.read_text()
    console = Console(file=io.StringIO(), width=200)
    for each in (table.of_operations(day), table.of_memory(day.grown), table.of_checks(day.checks)):
        console.print(each)
    assert isinstance(console.file, io.StringIO)
    assert "no 5xx" in console.file.getvalue()


async def test_what_is_stored_otherwise_than_it_was_acknowledged_is_found(
    api: Api, admin: Person
) -> None:
    """As if a slot had been given out twice, and a booking lost."""
    clinic = await people.open_clinic(api, admin, doctors=1, patients=1)
    (doctor,), (patient,) = clinic.doctors, clinic.patients
    kept = await book(api, patient, doctor, (await free_starts(api, doctor))[0])
    lost = {**kept, "appointment_id": "lost"}
    promised = Ledger()
    for each in (kept, lost):
        promised.note(
            {
                "what": "booked",
                "id": each["appointment_id"],
                "doctor": doctor.uid,
                "patient": patient.uid,
                "start": each["start"],
            }
        )
    stored = await appointments.get(kept["appointment_id"])
    assert stored
    batch = Batch()
    batch.create(appointments.path(f"{stored.id}-again"), stored)
    await batch.commit()
    twice, once = await checks.of_bookings(clinic, promised)
    assert any("overlap" in words for words in twice.broken)
    assert "lost was acknowledged and is not there" in once.broken
