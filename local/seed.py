"""Demo data: 3 known accounts, 40 doctors in 12 specialties and 6 time zones with hours, 20 patients
with records and appointments.

Deterministic, and the same when it is run again: accounts and documents have
fixed names, and what is there is overwritten. Every account has the same
password. All people are invented.
"""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from common import availability
from common.auth import users
from common.directory import directory_keys, doctors
from common.firestore import Batch, now
from common.models import (
    Doctor,
    Fee,
    Location,
    Qualification,
    Record,
    Role,
    Specialty,
    User,
)
from common.scheduling import Practice
from local import (
    seed_appointments,
    seed_assistant,
    seed_images,
    seed_recordings,
    seed_records,
)

PASSWORD = "healthhub-demo"
ACCOUNTS = {
    "admin@demo.healthhub.test": Role.ADMIN,
    "doctor@demo.healthhub.test": Role.DOCTOR,
    "patient@demo.healthhub.test": Role.PATIENT,
}

_SPECIALTIES = [
    Specialty.FAMILY_MEDICINE,
    Specialty.NEUROLOGY,
    Specialty.DERMATOLOGY,
    Specialty.PEDIATRICS,
    Specialty.PSYCHIATRY,
    Specialty.CARDIOLOGY,
    Specialty.ORTHOPEDICS,
    Specialty.OPHTHALMOLOGY,
    Specialty.ENDOCRINOLOGY,
    Specialty.GASTROENTEROLOGY,
    Specialty.OBSTETRICS_GYNECOLOGY,
    Specialty.RADIOLOGY,
]

# city, country, time zone, languages, currency, latitude, longitude, names
_PLACES: list[tuple[str, str, str, list[str], str, float, float, list[str]]] = [
    ("Berlin", "DE", "Europe/Berlin", ["de", "en"], "EUR", 52.52, 13.40,
     ["Jürgen Weiß", "Anneliese Köhler", "Mehmet Yılmaz", "Friederike Groß", "Tomasz Wójcik",
      "Ines Schäfer", "Lukas Brandt"]),
    ("Madrid", "ES", "Europe/Madrid", ["es", "en"], "EUR", 40.42, -3.70,
     ["José Núñez Ibáñez", "María del Carmen Ortega", "Iñaki Etxeberria", "Lucía Peña Soto",
      "Álvaro Gutiérrez", "Nuria Roca", "Óscar Dávila"]),
    ("New York", "US", "America/New_York", ["en", "es-US"], "USD", 40.71, -74.01,
     ["Grace O’Connell", "Darnell Washington", "Priscilla Nguyen", "Samuel Rosenberg",
      "Amara Okafor", "Kevin Park", "Rosa Delgado"]),
    ("São Paulo", "BR", "America/Sao_Paulo", ["pt-BR", "en"], "BRL", -23.55, -46.63,
     ["João Conceição", "Fernanda Araújo", "Antônio Guimarães", "Beatriz Falcão", "Caio Simões",
      "Débora Teixeira"]),
    ("Mumbai", "IN", "Asia/Kolkata", ["en", "hi"], "INR", 19.08, 72.88,
     ["Ananya Deshpande", "Rohan Mehta", "Fatima Sheikh", "Vikram Iyer", "Leela Menon",
      "Arjun Kulkarni", "Zoya Khan"]),
    ("Tokyo", "JP", "Asia/Tokyo", ["ja", "en"], "JPY", 35.68, 139.69,
     ["佐藤 由美", "田中 健一", "Haruka Yamamoto", "Kenji Watanabe", "Mei Kobayashi", "鈴木 大輔"]),
]  # fmt: skip

_PATIENTS = [
    "Lena Hoffmann", "Karl-Heinz Vogel", "Aylin Demir", "Jonas Kühn", "Carmen Ruiz Vega",
    "Miguel Ángel Soler", "Elena Marín", "Tyrone Jackson", "Emily Chen", "Robert Kowalski",
    "Nadia Haddad", "محمد الأحمد", "فاطمة الزهراء", "Thiago Moreira", "Larissa Prado", "Isha Patel",
    "Suresh Nair", "王小明", "渡辺 さくら", "Zoë d’Arcy",
]  # fmt: skip

_EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def fill() -> dict[str, int]:
    """Fill the emulators that the environment points to; returns how much there is of what."""
    people = [*_known(), *_doctor_users(), *_patient_users()]
    _make_accounts(people)
    profiles = _doctor_profiles([user for user in people if user.role is Role.DOCTOR])
    patients = [user for user in people if user.role is Role.PATIENT]
    entries, booked, recorded, pictured, known = asyncio.run(_store(people, profiles, patients))
    return {
        "doctors": len(profiles),
        "patients": len(patients),
        "history entries": entries,
        "appointments": booked,
        "recorded consultations": recorded,
        "images": pictured,
        "entries of the knowledge base": known,
        "accounts": len(people),
    }


def _known() -> list[User]:
    names = {Role.ADMIN: "Demo Admin", Role.DOCTOR: "Dana Demo", Role.PATIENT: "Pat Demo"}
    return [
        _user(f"demo-{role}", email, names[role], role, "Europe/Berlin", "en", index)
        for index, (email, role) in enumerate(ACCOUNTS.items())
    ]


def _doctor_users() -> list[User]:
    """39: with the known one they are 40."""
    found: list[User] = []
    for round_ in range(7):
        for _, _, zone, languages, *_, names in _PLACES:
            if round_ < len(names) and len(found) < 39:
                number = len(found) + 1
                name, uid = f"Dr. {names[round_]}", f"demo-doctor-{number:02}"
                email = f"doctor{number}@demo.healthhub.test"
                found.append(_user(uid, email, name, Role.DOCTOR, zone, languages[0][:2], number))
    return found


def _patient_users() -> list[User]:
    """19: with the known one they are 20."""
    return [
        _user(
            f"demo-patient-{number:02}",
            f"patient{number}@demo.healthhub.test",
            name,
            Role.PATIENT,
            _PLACES[number % 6][2],
            _PLACES[number % 6][3][0][:2],
            number,
        )
        for number, name in enumerate(_PATIENTS[:19], start=1)
    ]


def _user(
    uid: str, email: str, name: str, role: Role, zone: str, language: str, number: int
) -> User:
    moment = _EPOCH + timedelta(hours=number)
    user = User(
        create_time=moment,
        update_time=moment,
        email=email,
        display_name=name,
        role=role,
        language=language,
        time_zone=zone,
    )
    user.stored_as(uid, "")
    return user


def _doctor_profiles(people: list[User]) -> list[Doctor]:
    chance = random.Random(20260105)
    profiles = []
    for number, user in enumerate(people):
        place = next(p for p in _PLACES if p[2] == user.time_zone)
        profiles.append(_doctor_profile(user, number, place, chance))
    return profiles


def _doctor_profile(user: User, number: int, place: Any, chance: random.Random) -> Doctor:
    city, country, _, languages, currency, latitude, longitude, _ = place
    specialty = _SPECIALTIES[(5 * number + number // 6) % 12]  # each in several places
    year = chance.randint(1988, 2018)
    schedule = seed_appointments.schedule(user.time_zone, number)
    doctor = Practice(
        schedule=schedule,
        grid=availability.grid_of(schedule, now()),
        create_time=user.create_time,
        update_time=user.update_time,
        name=user.display_name,
        specialties=[specialty, *chance.sample(_SPECIALTIES, 1)][: 1 + number % 2],
        qualifications=[
            Qualification(
                degree="MD",
                institution=f"University of {city}",
                year=year,
                license_number=f"DEMO-{country}-{number:04}",
                license_country=country,
            )
        ],
        languages=languages,
        biography=f"{specialty.display}. In practice since {year + 3}. An invented person.",
        location=Location(
            address=f"{chance.randint(1, 180)} Demo Street",
            city=city,
            country=country,
            latitude=round(latitude + chance.uniform(-0.05, 0.05), 4),
            longitude=round(longitude + chance.uniform(-0.05, 0.05), 4),
        ),
        fee=Fee(amount=f"{chance.randint(5, 30) * 10}.00", currency=currency),
        is_accepting_patients=number % 5 != 4,
        is_verified=True,
        verification_note="Demo data",
    )
    doctor = doctor.model_copy(update=directory_keys(doctor))
    doctor.stored_as(user.id, "")
    return doctor


def _make_accounts(people: list[User]) -> None:
    import firebase_admin
    from firebase_admin import auth

    try:
        app = firebase_admin.get_app("seed")
    except ValueError:
        app = firebase_admin.initialize_app(name="seed")

    def make(user: User) -> None:
        fields = {"email": user.email, "password": PASSWORD, "display_name": user.display_name}
        try:
            auth.create_user(uid=user.id, app=app, **fields)
        except (auth.UidAlreadyExistsError, auth.EmailAlreadyExistsError):
            auth.update_user(user.id, app=app, disabled=False, **fields)
        auth.set_custom_user_claims(user.id, {"role": user.role.value}, app=app)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, people))


async def _store(
    people: list[User], profiles: list[Doctor], patients: list[User]
) -> tuple[int, int, int, int, int]:
    batch = Batch()
    for collection, records in ((users, people), (doctors, profiles)):
        for record in records:
            _put(batch, collection.path(record.id), record)
    await batch.commit()
    doctor_ids = [doctor.id for doctor in profiles]
    entries = await seed_records.store(patients, doctor_ids)
    booked = await seed_appointments.store(patients, doctor_ids)
    recorded = await seed_recordings.store(patients, doctor_ids)
    pictured = await seed_images.store(patients, doctor_ids)
    return entries, booked, recorded, pictured, await seed_assistant.store(patients)


def _put(batch: Batch, path: str, record: Record) -> None:
    batch.delete(path)
    batch.create(path, record)
