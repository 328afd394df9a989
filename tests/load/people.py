"""The clinic: doctors who can be booked, patients in their care, and the files that they send."""

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.client import (
    PASSWORD,
    Api,
    Person,
    a_bookable_doctor,
    a_patient,
    admit,
)
from tests.pictured import a_photo, a_scan
from tests.recorded import a_visit

_AT_ONCE = 6
_PLACE = "clinic.json"


@dataclass
class Clinic:
    doctors: list[Person]
    patients: list[Person]
    in_care: dict[str, list[str]]
    """Ids of the patients who let a doctor see their record, by the doctor's."""


async def open_clinic(api: Api, admin: Person, doctors: int, patients: int) -> Clinic:
    """Each patient is in the care of two doctors, or of the only one."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def a_doctor(number: int) -> Person:
        async with gate:
            return await a_bookable_doctor(api, admin, slot_minutes=(30, 20, 15)[number % 3])

    async def one() -> Person:
        async with gate:
            return await a_patient(api)

    made = await asyncio.gather(*(a_doctor(n) for n in range(doctors)))
    people = await asyncio.gather(*(one() for _ in range(patients)))
    in_care: dict[str, list[str]] = {doctor.uid: [] for doctor in made}
    for number, patient in enumerate(people):
        for doctor in {made[number % doctors].uid, made[(number + 1) % doctors].uid}:
            in_care[doctor].append(patient.uid)
            await admit(api, patient, next(each for each in made if each.uid == doctor))
    return Clinic(list(made), list(people), in_care)


def write(clinic: Clinic, folder: Path) -> None:
    """For locust's process, which shares nothing with ours."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "password": PASSWORD,
        "doctors": [asdict(doctor) for doctor in clinic.doctors],
        "patients": [asdict(patient) for patient in clinic.patients],
        "in_care": clinic.in_care,
    }
    (folder / _PLACE).write_text(json.dumps(told))
    (folder / "visit.wav").write_bytes(a_visit())
    (folder / "photo.png").write_bytes(a_photo("ROUTINE"))
    (folder / "scan.dcm").write_bytes(a_scan())
