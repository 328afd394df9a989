"""The demo data: as much as is promised, the same when it is filled in again, and accounts that sign in."""

import asyncio
from collections import Counter
from typing import Any

from common.auth import users
from common.clinical import HistoryPrivate
from common.crypto import vault_of
from common.firestore import Collection
from common.models import Doctor, Role
from common.patients import history
from local.platform import Platform
from tests.client import Api, sign_in
from tests.demo_data import fill

doctors = Collection(Doctor, "doctors")


async def test_the_demo_data_is_what_is_promised_and_stays_so_when_filled_again(
    platform: Platform, demo: dict[str, int]
) -> None:
    assert demo == {
        "doctors": 40,
        "patients": 20,
        "history entries": 774,
        "appointments": 41,
        "recorded consultations": 3,
        "images": 3,
        "entries of the knowledge base": 134,
        "accounts": 61,
    }
    first, entries = await _demo_doctors(), await _demo_entries()
    await asyncio.to_thread(fill, platform)
    assert await _demo_doctors() == first
    assert await _demo_entries() == entries
    counts = Counter(path.split("/")[1] for path in entries)
    assert len(counts) == 20
    assert min(counts.values()) >= 5
    assert max(counts.values()) <= 60
    assert len(first) == 40
    assert len({str(doctor["specialties"][0]) for doctor in first}) == 12
    zones = [await users.get(f"demo-doctor-{number:02}") for number in range(1, 40)]
    assert len({user.time_zone for user in zones if user}) == 6


async def _demo_doctors() -> list[dict[str, Any]]:
    found = await doctors.find(where=[("verification_note", "==", "Demo data")], limit=100)
    return sorted((doctor.model_dump() for doctor in found), key=lambda doctor: str(doctor["name"]))


async def _demo_entries() -> dict[str, dict[str, Any]]:
    """What the demo patients' histories say, by path, without what sealing makes different each time."""
    found = {}
    for uid in ("demo-patient", *(f"demo-patient-{number:02}" for number in range(1, 20))):
        vault = await vault_of(uid)
        async for record in history.all_(uid):
            said = vault.open_all(record.path, record.sealed, HistoryPrivate)
            found[record.path] = record.model_dump(exclude={"sealed"}) | said.model_dump()
    return found


async def test_the_demo_accounts_sign_in_with_their_roles(api: Api, demo: dict[str, int]) -> None:
    from local.seed import ACCOUNTS, PASSWORD

    for email, role in ACCOUNTS.items():
        person = await sign_in(api, email, PASSWORD)
        assert Role(person.role) is role
        assert (await api.get("/v1/users/me", person)).status_code == 200
