"""The purge: what is due goes, with a line for each; what is not stays, held or not yet due."""

import asyncio
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import httpx
import pytest

from common.access import access_grants
from common.audit import audit_events
from common.clinical import (
    AccessGrant,
    BreakGlass,
    HistoryRecord,
    HistoryType,
    Notification,
    NotificationKind,
    Patient,
    Sex,
)
from common.crypto import patient_keys
from common.firestore import Batch, Collection
from common.models import AuditEvent, Outcome, Record
from common.patients import break_glass, history, patients, versions
from local.platform import Platform
from tests.client import Api, Person, a_patient
from tests.recorder import Recorder

notifications = Collection(Notification, "users/{}/notifications")

NOW = datetime.now(UTC)
SIX_YEARS = NOW.replace(year=NOW.year - 6, day=min(NOW.day, 28))
DUE, NOT_DUE = SIX_YEARS - timedelta(days=4), SIX_YEARS + timedelta(days=4)


async def store(path: str, record: Record) -> None:
    batch = Batch()
    batch.create(path, record)
    await batch.commit()


async def a_stored_patient(archived: datetime | None, **fields: Any) -> str:
    """A patient's document as it would be after years; returns its id."""
    patient_id = f"purge{secrets.token_hex(8)}"
    moment = archived or DUE
    patient = Patient(
        create_time=moment,
        update_time=moment,
        name="A",
        birth_date=date(1950, 1, 1),
        sex=Sex.OTHER,
        created_by="d",
        is_archived=archived is not None,
        archive_time=archived,
        clinical_time=moment,
        **fields,
    )
    await store(patients.path(patient_id), patient)
    return patient_id


async def a_stored_record(patient_id: str, moment: datetime, with_versions: int = 0) -> str:
    record_id = secrets.token_hex(8)
    record = HistoryRecord(
        create_time=moment,
        update_time=moment,
        type=HistoryType.NOTE,
        occurred_on=moment.date(),
        author_uid="d",
        editor_uid="d",
        version=1 + with_versions,
        sealed={},
    )
    await store(history.path(patient_id, record_id), record)
    for number in range(1, with_versions + 1):
        path = versions.path(patient_id, record_id, f"{number:06d}")
        await store(path, record.model_copy(update={"version": number}))
    return record_id


async def purge(platform: Platform) -> int:
    """Fire the function as Pub/Sub does: with a push; returns its status."""
    async with httpx.AsyncClient() as client:
        push = {"message": {"data": "e30=", "messageId": "1"}, "subscription": "s"}
        answer = await client.post(platform.functions["purge_expired"], json=push, timeout=120)
    return answer.status_code


async def deletions(subject: str) -> list[str]:
    """Paths whose deletion is in the audit trail."""
    found = await audit_events.find(where=[("subject_uid", "==", subject)], limit=1000)
    return sorted(e.resource for e in found if e.action.endswith(".purge"))


async def test_p21_nothing_goes_early_or_under_hold_and_each_deletion_is_logged(
    api: Api, platform: Platform, figure: Any
) -> None:
    kept = {
        "active, however old": (await a_stored_patient(None), DUE),
        "archived lately": (await a_stored_patient(NOT_DUE), DUE),
        "changed lately": (await a_stored_patient(DUE), NOT_DUE),
        "held": (await a_stored_patient(DUE, has_legal_hold=True), DUE),
    }
    gone = {"due": (await a_stored_patient(DUE), DUE)}
    records: dict[str, tuple[str, str]] = {}
    for what, (patient_id, changed) in {**kept, **gone}.items():
        records[what] = (patient_id, await a_stored_record(patient_id, changed, with_versions=2))
    assert await purge(platform) == 204
    early = [
        what
        for what in kept
        if await history.get(*records[what]) is None
        or await patients.get(records[what][0]) is None
        or await deletions(records[what][0])
    ]
    figure("early or under hold", len(early))
    assert early == []
    patient_id, record_id = records["due"]
    assert await history.get(patient_id, record_id) is None
    assert await versions.find(patient_id, record_id, limit=5) == []
    assert await patients.get(patient_id) is None
    expected = sorted(
        [
            patients.path(patient_id),
            history.path(patient_id, record_id),
            *(versions.path(patient_id, record_id, f"{n:06d}") for n in (1, 2)),
        ]
    )
    logged = await deletions(patient_id)
    figure("unlogged", len(set(expected) - set(logged)))
    assert logged == expected


async def test_the_profile_stays_as_long_as_one_record_must(api: Api, platform: Platform) -> None:
    patient_id = await a_stored_patient(DUE)
    old, new = await a_stored_record(patient_id, DUE), await a_stored_record(patient_id, NOT_DUE)
    await purge(platform)
    assert await history.get(patient_id, old) is None
    assert await history.get(patient_id, new) is not None
    assert await patients.get(patient_id) is not None


async def test_with_the_last_of_a_record_its_key_is_destroyed(api: Api, platform: Platform) -> None:
    person = await a_patient(api)
    batch = Batch()
    aged = {"is_archived": True, "archive_time": DUE, "update_time": DUE, "clinical_time": DUE}
    batch.update(patients.path(person.uid), aged)
    await batch.commit()
    await purge(platform)
    assert await patients.get(person.uid) is None
    key = await patient_keys.get(person.uid)
    assert key
    assert key.keyset is None


async def test_a_thousand_versions_go_in_several_batches(api: Api, platform: Platform) -> None:
    patient_id = await a_stored_patient(DUE)
    record_id = await a_stored_record(patient_id, DUE)
    stored = await history.get(patient_id, record_id)
    assert stored
    for start in range(0, 450, 150):
        batch = Batch()
        for number in range(start, start + 150):
            path = versions.path(patient_id, record_id, f"{number:06d}")
            batch.create(path, stored.model_copy())
        await batch.commit()
    batch = Batch()
    batch.update(stored.path, {"version": 451})
    await batch.commit()
    await purge(platform)
    assert await versions.find(patient_id, record_id, limit=1) == []
    assert len(await deletions(patient_id)) == 452


async def test_a_hold_placed_during_the_purge_stops_it(
    api: Api, platform: Platform, recorder: Recorder
) -> None:
    patient_id = await a_stored_patient(DUE)
    record_id = await a_stored_record(patient_id, DUE)
    path = patients.path(patient_id)

    def hold_first(commit: Any) -> bool:
        """Just before the deletion of this record, another commit places a hold."""
        if any(record_id in write.delete for write in commit.writes) and not held:
            held.append(path)
            asyncio.run_coroutine_threadsafe(place_hold(), loop).result(10)
        return False

    async def place_hold() -> None:
        batch = Batch()
        batch.update(path, {"has_legal_hold": True})
        await batch.commit()

    held: list[str] = []
    loop = asyncio.get_running_loop()
    with recorder.broken("Commit", when=hold_first):
        assert await purge(platform) == 204
    assert held
    assert await history.get(patient_id, record_id) is not None
    assert await deletions(patient_id) == []


async def test_an_erasure_that_broke_off_is_completed(api: Api, platform: Platform) -> None:
    patient_id = await a_stored_patient(NOT_DUE, is_being_erased=True)
    record_id = await a_stored_record(patient_id, NOT_DUE)
    await purge(platform)
    assert await patients.get(patient_id) is None
    assert await history.get(patient_id, record_id) is None


async def test_two_purges_at_once_delete_and_log_everything_once(
    api: Api, platform: Platform
) -> None:
    found = [await a_stored_patient(DUE) for _ in range(5)]
    for patient_id in found:
        await a_stored_record(patient_id, DUE)
    await asyncio.gather(*(purge(platform) for _ in range(2)))
    await purge(platform)  # what one of them gave way in
    for patient_id in found:
        assert await patients.get(patient_id) is None
        assert len(await deletions(patient_id)) == 2


async def test_ended_access_emergencies_and_notifications_go_in_their_time(
    api: Api, platform: Platform
) -> None:
    patient_id, held_id = (
        await a_stored_patient(None),
        await a_stored_patient(None, has_legal_hold=True),
    )
    ago = {days: NOW - timedelta(days=days) for days in (20, 40, 170, 190)}

    def grant(of: str, doctor: str, end: datetime | None) -> tuple[str, Record]:
        return access_grants.path(of, doctor), AccessGrant(
            create_time=DUE,
            update_time=DUE,
            patient_id=of,
            doctor_id=doctor,
            end_time=end,
            name="A",
            birth_date=date(1950, 1, 1),
            sex=Sex.OTHER,
        )

    def emergency(of: str, name: str, end: datetime) -> tuple[str, Record]:
        return break_glass.path(of, name), BreakGlass(
            create_time=end, update_time=end, doctor_id="d", end_time=end, sealed={}
        )

    def notification(name: str, moment: datetime) -> tuple[str, Record]:
        return notifications.path(patient_id, name), Notification(
            create_time=moment,
            update_time=moment,
            kind=NotificationKind.BREAK_GLASS,
            patient_id=patient_id,
            actor_uid="d",
        )

    kept = [
        grant(patient_id, "endless", None),
        grant(patient_id, "ended20", ago[20]),
        grant(held_id, "ended40", ago[40]),
        emergency(patient_id, "young", NOT_DUE),
        emergency(held_id, "old", DUE),
        notification("young", ago[170]),
    ]
    gone = [
        grant(patient_id, "ended40", ago[40]),
        emergency(patient_id, "old", DUE),
        notification("old", ago[190]),
    ]
    for path, record in (*kept, *gone):
        await store(path, record)
    assert await purge(platform) == 204

    async def exists(path: str) -> bool:
        from common.clients import firestore_client

        return bool((await firestore_client().document(path).get()).exists)

    assert [path for path, _ in kept if not await exists(path)] == []
    assert [path for path, _ in gone if await exists(path)] == []
    assert await deletions(patient_id) == sorted(path for path, _ in gone)


async def test_audit_events_go_after_their_time_but_not_of_who_is_held(
    api: Api, platform: Platform
) -> None:
    held_id = await a_stored_patient(None, has_legal_hold=True)
    marks = {name: f"purge-{name}-{secrets.token_hex(6)}" for name in ("old", "young", "held")}

    def event(moment: datetime, subject: str) -> AuditEvent:
        return AuditEvent(
            create_time=moment,
            update_time=moment,
            actor_uid="x",
            actor_role=None,
            action="users.read",
            resource="users/x",
            subject_uid=subject,
            outcome=Outcome.ALLOWED,
            request_id="",
            address="",
        )

    for name, moment, subject in (
        ("old", DUE, "x"),
        ("young", NOT_DUE, "x"),
        ("held", DUE, held_id),
    ):
        await store(audit_events.path(marks[name]), event(moment, subject))
    assert await purge(platform) == 204
    left = [name for name in marks if await audit_events.get(marks[name])]
    assert left == ["young", "held"]
    told = await audit_events.find(where=[("action", "==", "audit-events.purge")], limit=100)
    assert any(marks["old"] in each.resource for each in told)
    batch = Batch()  # written without a chain, they would be reported as altered
    for name in left:
        batch.delete(audit_events.path(marks[name]))
    await batch.commit()


async def test_one_failing_step_does_not_stop_the_others_and_the_clock_tries_again(
    api: Api, platform: Platform, recorder: Recorder
) -> None:
    patient_id = await a_stored_patient(DUE)

    def asks_for_grants(request: Any) -> bool:
        query = request.structured_query
        selector = getattr(query, "from")[0] if hasattr(query, "from") else query.from_[0]
        return bool(selector.collection_id == "access_grants" and selector.all_descendants)

    with recorder.broken("RunQuery", grpc.StatusCode.UNAVAILABLE, asks_for_grants):
        assert await purge(platform) == 503
    assert await patients.get(patient_id) is None


async def test_the_clock_reaches_the_purge_through_pubsub(api: Api, platform: Platform) -> None:
    patient_id = await a_stored_patient(DUE)
    platform.fire("purge_expired")
    async with asyncio.timeout(30):
        while await patients.get(patient_id) is not None:  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("body", [b"", b"x", b"{}"])
async def test_a_push_of_whatever_content_is_only_a_tick(
    api: Api, platform: Platform, body: bytes
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            platform.functions["purge_expired"],
            content=body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
    assert answer.status_code == 204


async def test_nobody_reaches_the_purge_from_outside(api: Api, admin: Person) -> None:
    assert (await api.post("/v1/", admin, json={})).status_code == 404
    assert (await api.get("/v1/health/purge_expired")).status_code == 404
