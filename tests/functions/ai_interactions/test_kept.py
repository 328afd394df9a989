"""How long conversations are kept, and that they go along with the record: exported, purged, erased."""

import json
from datetime import UTC, datetime, timedelta

import httpx
from fhir.resources.R4B.bundle import Bundle

from common.assistant import Exchange, Thread, consents, exchanges, threads
from common.audit import audit_events
from common.firestore import Batch
from common.patients import patients
from common.retention import begin_erasure, finish_erasure
from local.platform import Platform
from tests.asked import a_conversation, chat, consent
from tests.client import Api, Person, a_patient

YEAR = timedelta(days=366)


async def age(person: Person, by: timedelta) -> None:
    """As if the person's conversations had taken place so long ago."""
    moment = datetime.now(UTC) - by
    batch = Batch()
    async for exchange in exchanges.all_(person.uid):
        batch.update(exchange.path, {"create_time": moment})
    async for thread in threads.all_(person.uid):
        batch.update(thread.path, {"update_time": moment})
    await batch.commit()


async def left(person: Person) -> tuple[list[Exchange], list[Thread]]:
    said = [each async for each in exchanges.all_(person.uid)]
    return said, [each async for each in threads.all_(person.uid)]


async def purge(platform: Platform) -> None:
    async with httpx.AsyncClient() as client:
        push = {"message": {"data": "e30=", "messageId": "1"}, "subscription": "s"}
        answer = await client.post(platform.functions["purge_expired"], json=push, timeout=120)
        assert answer.status_code == 204


async def test_p21_conversations_go_after_a_year_each_logged_and_not_under_hold(
    api: Api, platform: Platform
) -> None:
    old, new, held = [await a_patient(api) for _ in range(3)]
    for person in (old, new, held):
        await a_conversation(person)
    await age(old, YEAR)
    await age(new, YEAR - timedelta(days=5))
    await age(held, YEAR)
    batch = Batch()
    batch.update(patients.path(held.uid), {"has_legal_hold": True})
    await batch.commit()
    await purge(platform)
    assert await left(old) == ([], [])
    for kept in (new, held):
        said, began = await left(kept)
        assert (len(said), len(began)) == (1, 1)
    logged = await audit_events.find(
        where=[("subject_uid", "==", old.uid), ("action", "==", "conversations.purge")], limit=5
    )
    assert len(logged) == 2


async def test_p20_an_erasure_takes_conversations_and_consents_along(api: Api) -> None:
    person = await a_patient(api)
    await chat(api, person, "What helps against low back pain?")
    await consent(api, person)
    patient = await patients.get(person.uid)
    assert patient is not None
    await finish_erasure(await begin_erasure(patient, "erasure"), "erasure")
    assert await left(person) == ([], [])
    assert [each async for each in consents.all_(person.uid)] == []


async def test_an_export_holds_what_was_asked_and_agreed_to(api: Api) -> None:
    person = await a_patient(api)
    answer = await chat(api, person, "What helps against low back pain?")
    await consent(api, person)
    exported = await api.get(f"/v1/patients/{person.uid}/export", person)
    assert exported.status_code == 200
    Bundle.model_validate(json.loads(exported.text))
    entries = [entry["resource"] for entry in exported.json()["entry"]]
    (said,) = [each for each in entries if each["resourceType"] == "Communication"]
    told = [part["contentString"] for part in said["payload"]]
    assert told[:2] == ["What helps against low back pain?", answer["answer"]]
    assert answer["citations"][0]["source"]["url"] in told[2]
    (agreed,) = [each for each in entries if each["resourceType"] == "Consent"]
    assert agreed["provision"]["type"] == "permit"
