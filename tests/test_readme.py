"""The README's first request works as it is printed, against the demo data that `make dev` fills in."""

import asyncio
import io
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from common.auth import users
from common.clinical import HistoryPrivate
from common.crypto import vault_of
from common.firestore import Collection
from common.models import Doctor, Role
from common.patients import history
from local.bootstrap import ROOT
from local.journey import Journey
from local.platform import Platform
from tests.client import Api, sign_in
from tests.demo_data import fill

doctors = Collection(Doctor, "doctors")


def test_the_first_request_works_as_printed(platform: Platform, demo: dict[str, int]) -> None:
    block = re.search(r"```sh\n(API=.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block
    script = block[1].replace("http://localhost:8000", platform.url)
    assert platform.url in script
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert '"display_name":"Ana García"' in done.stdout
    assert '"specialties":["cardiology"' in done.stdout
    assert "urn:healthhub:problem" not in done.stdout


def test_the_demo_tells_one_patients_journey_to_its_end(
    platform: Platform, demo: dict[str, int]
) -> None:
    told = io.StringIO()
    journey = Journey(platform.url, platform.fire, Console(file=told, width=200))
    journey.run()
    assert len(journey.seconds) == 11
    for words in (
        "one is served",
        "Call 112 now",
        "severe: Ibuprofen and warfarin",
        "FHIR R4 Bundle",
    ):
        assert words in told.getvalue()


def test_every_file_that_documents_name_is_there() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs/operations.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
    for name in re.findall(
        r"`((?:common|functions|local|tests|ops|docs)/[\w/.]+)`", (ROOT / "README.md").read_text()
    ):
        assert (ROOT / name).exists(), name


def test_every_target_that_documents_name_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for document in ("README.md", "CONTRIBUTING.md", "docs/operations.md"):
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / document).read_text(), re.M))
        assert named
        assert named <= targets


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


def test_nothing_here_is_a_path_of_one_machine() -> None:
    home = str(Path.home())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in tracked.split():
        text = (ROOT / name).read_text(errors="replace") if (ROOT / name).is_file() else ""
        assert f"{home}/" not in text, name
