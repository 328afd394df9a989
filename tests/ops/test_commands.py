"""The operator's commands: what they change, what they report, and running them again."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common import identity
from common.audit import audit_events
from common.auth import users
from common.crypto import patient_keys
from common.models import Role
from local.bootstrap import ROOT
from local.platform import Platform
from ops.grant_role import NoSuchAccount, grant_role
from ops.import_users import NotImportable, import_users
from ops.rotate_keys import rotate_keys
from tests.client import A_PATIENT, Api, Person, a_listed_doctor, a_patient, an_email, sign_in
from tests.coverage import measured_environment

HASH = "$2b$12$" + "a" * 53
HEADER = "email,password_hash,display_name,role,phone"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=ROOT,
        env={**os.environ, **measured_environment()},
        capture_output=True,
        text=True,
    )


async def test_a_granted_role_counts_and_is_audited(api: Api, patient: Person) -> None:
    uid = await grant_role(patient.email.upper(), Role.ADMIN)
    assert uid == patient.uid
    person = await sign_in(api, patient.email)
    assert (await api.get("/v1/users", person)).status_code == 200
    events = await audit_events.find(where=[("subject_uid", "==", uid)], limit=20)
    assert "operator" in [event.reason for event in events if event.action == "users.change-role"]


async def test_nobody_can_be_granted_a_role_who_is_not_registered(api: Api) -> None:
    with pytest.raises(NoSuchAccount):
        await grant_role("nobody@example.test", Role.ADMIN)


async def test_a_doctor_who_becomes_a_patient_leaves_the_directory(api: Api, admin: Person) -> None:
    doctor = await a_listed_doctor(api, admin)
    await grant_role(doctor.email, Role.PATIENT)
    assert (await api.get(f"/v1/doctors/{doctor.uid}")).status_code == 404


async def test_the_command_says_what_it_did(api: Api, patient: Person) -> None:
    done = run("grant-role", patient.email, "doctor")
    assert done.returncode == 0, done.stderr
    assert f"{patient.uid} is now doctor" in done.stdout
    failed = run("grant-role", "nobody@example.test", "doctor")
    assert failed.returncode == 2
    assert "no account" in failed.stdout


def rows(*lines: str) -> list[str]:
    return [HEADER, *lines]


async def test_imported_users_have_account_role_and_profile(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, doctor = an_email(), an_email()
    sent: list[Any] = []
    auth = identity.admin_auth()
    really = auth.import_users

    def noting(records: list[Any], hash_alg: Any) -> Any:
        sent.append((records, hash_alg))
        return really(records, hash_alg=hash_alg)

    monkeypatch.setattr(auth, "import_users", noting)
    lines = rows(
        f"{patient},{HASH},Ana García,patient,+34612345678",
        f"{doctor.upper()},{HASH},Dr. B,doctor,",
    )
    report = await import_users(lines)
    assert (report.imported, report.present, report.bad_lines) == (2, 0, [])
    profile = (await users.find(where=[("email", "==", patient)], limit=2))[0]
    assert (profile.role, profile.phone) == (Role.PATIENT, "+34612345678")
    account = auth.get_user_by_email(doctor)
    assert account.custom_claims == {"role": "doctor"}
    # The emulator stores bcrypt hashes but can't check them, so what is sent is looked at instead.
    ((records, algorithm),) = sent
    assert algorithm.to_dict() == {"hashAlgorithm": "BCRYPT"}
    assert {r.to_dict()["passwordHash"] for r in records} == {auth_encoded(HASH)}
    again = await import_users(lines)
    assert (again.imported, again.present, again.bad_lines) == (0, 2, [])
    assert len(sent) == 1


def auth_encoded(hash_: str) -> str:
    import base64

    return base64.urlsafe_b64encode(hash_.encode()).decode()


async def test_an_import_that_broke_off_is_completed(api: Api) -> None:
    email = an_email()
    lines = rows(f"{email},{HASH},Ana,patient,")
    await import_users(lines)
    found = (await users.find(where=[("email", "==", email)], limit=1))[0]
    from common.firestore import Batch

    batch = Batch()
    batch.delete(users.path(found.id))  # as if it had died between account and profile
    await batch.commit()
    report = await import_users(lines)
    assert report.imported == 1
    assert await users.get(found.id) is not None


async def test_bad_lines_are_reported_by_number_and_the_others_imported(
    api: Api, patient: Person
) -> None:
    good = an_email()
    report = await import_users(
        rows(
            f"{good},{HASH},Good,patient,",
            f"no-address,{HASH},Bad,patient,",
            f"{an_email()},$1$md5,Bad,patient,",
            f"{an_email()},{HASH},,patient,",
            f"{an_email()},{HASH},Bad,admin,",
            f"{an_email()},{HASH},Bad,patient,12",
            f"{good},{HASH},Twice,patient,",
            f"{patient.email},{HASH},Taken,patient,",
            f"{an_email()},{HASH},Too,patient,,many,columns",
            f"{an_email()}",
        )
    )
    assert report.imported == 1
    assert [number for number, _ in report.bad_lines] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    reasons = dict(report.bad_lines)
    assert "bcrypt" in reasons[4]
    assert reasons[8] == "the same address as line 2"
    assert reasons[9] == "the address belongs to another account"
    assert not [reason for reason in reasons.values() if patient.email in reason or HASH in reason]
    untouched = await users.get(patient.uid)
    assert untouched is not None
    assert untouched.display_name != "Taken"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "the header lacks"),
        (["email,role"], "the header lacks display_name, password_hash"),
        ([HEADER, '"never closed'], "is not CSV"),
    ],
)
async def test_a_file_that_is_none_is_refused_whole(
    api: Api, lines: list[str], reason: str
) -> None:
    with pytest.raises(NotImportable, match=reason):
        await import_users(lines)


async def test_the_import_command_reports_and_exits(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("\ufeff" + "\n".join(rows(f"{an_email()},{HASH},王小明,patient,", "bad,,,,")))
    done = run("import-users", str(file))
    assert done.returncode == 1
    assert "line 3: " in done.stdout
    assert "1 imported, 0 already there, 1 bad" in done.stdout
    file.write_bytes(HEADER.encode() + b"\n\xff\xfe")
    broken = run("import-users", str(file))
    assert broken.returncode == 2
    assert "not UTF-8" in broken.stdout
    assert run("import-users", str(tmp_path / "none.csv")).returncode == 2


def test_the_commands_say_which_variable_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops", "grant-role", "a@b.test", "admin"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": ""},
    )
    assert done.returncode == 2
    assert "GOOGLE_CLOUD_PROJECT is not set" in done.stdout


# ---------------------------------------------------------------- keys and the audit trail


async def test_all_keys_are_rotated_and_what_was_sealed_still_opens(api: Api) -> None:
    patient = await a_patient(api)
    before = await patient_keys.get(patient.uid)
    report = await rotate_keys(data_keys=True, wait=0)
    after = await patient_keys.get(patient.uid)
    assert report.rotated >= 1
    assert before
    assert after
    assert after.keyset != before.keyset
    shown = await api.get(f"/v1/patients/{patient.uid}", patient)
    assert shown.json()["national_id"] == A_PATIENT["national_id"]


async def test_the_commands_on_keys_and_the_trail_say_what_they_did(
    api: Api, platform: Platform, tmp_path: Path
) -> None:
    await a_patient(api)
    rotated = await asyncio.to_thread(run, "rotate-keys")
    assert rotated.returncode == 0, rotated.stderr
    assert "rotated" in rotated.stdout
    log = str(platform.run_dir / "logs" / "patients.log")
    verified = await asyncio.to_thread(run, "verify-audit", "--logs", log)
    assert verified.returncode == 0, verified.stdout
    assert "0 wrong" in verified.stdout
    without = await asyncio.to_thread(run, "verify-audit")
    assert "can't be vouched for" in without.stdout
    erased = await asyncio.to_thread(run, "reapply-erasures")
    assert erased.returncode == 0
    assert "0 patients erased again" in erased.stdout


async def test_a_trail_that_was_tampered_with_ends_the_command_with_1(
    api: Api, platform: Platform, tmp_path: Path
) -> None:
    """By a log that has an event which the database has not, exported as Cloud Logging does."""
    event = {"audit_event": "0123456789abcdef-000001", "mac": "x", "create_time": "2100-01-01"}
    log = tmp_path / "log.json"
    log.write_text(json.dumps([{"jsonPayload": event}, {"textPayload": "something else"}]))
    done = await asyncio.to_thread(run, "verify-audit", "--logs", str(log))
    assert done.returncode == 1
    assert "0123456789abcdef-000001: logged, but deleted" in done.stdout


@pytest.mark.parametrize("content", ["no log", "[1, 2", '{"a": 1', "[1]"])
async def test_a_file_that_is_no_log_is_refused(api: Api, tmp_path: Path, content: str) -> None:
    log = tmp_path / "log"
    log.write_text(content)
    done = await asyncio.to_thread(run, "verify-audit", "--logs", str(log))
    assert done.returncode == 2
    assert "no log entries" in done.stdout
