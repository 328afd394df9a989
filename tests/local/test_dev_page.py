"""`/dev`: what runs, what went through Pub/Sub, what could not be done."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from common import events
from common.events import DeadLetter, dead_letters
from common.firestore import Batch, now
from local import topics
from local.dev_page import DevPage
from local.platform import PROJECT, Platform
from local.ports import HOST
from tests.client import Api
from tests.processes import until

pytestmark = pytest.mark.usefixtures("platform")


async def shown(api: Api, what: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/dev/{what}")
    assert answer.status_code == 200
    return list(answer.json()["items"])


async def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.get("/dev")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


async def test_every_process_is_listed_with_its_address_and_log(
    api: Api, platform: Platform
) -> None:
    listed = {each["name"]: each for each in await shown(api, "running")}
    assert set(listed) == set(platform.addresses)
    for name, address in platform.addresses.items():
        assert listed[name]["address"] == address
        assert listed[name]["is_up"]
        assert listed[name]["memory_mib"] > 0
    log = await api.get("/dev/logs/gateway")
    assert log.headers["content-type"].startswith("text/plain")
    assert "GET /dev/running" not in log.text  # looking is no request
    for wrong in ("nothing", "..%2fprocesses.json", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"):
        assert (await api.get(f"/dev/logs/{wrong}")).status_code == 404


async def test_a_process_that_ended_is_said_to_have(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text('{"owner": 1, "children": {"users": 999999999}}')
    page = DevPage(tmp_path, {"users": "http://127.0.0.1:1"}, f"{HOST}:1", PROJECT)
    app = Starlette(routes=page.routes())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dev") as client:
        (users,) = (await client.get("/dev/running")).json()["items"]
        assert not users["is_up"]
        assert (await client.get("/dev/events")).json() == {"items": []}  # Pub/Sub is away
        (tmp_path / "processes.json").unlink()
        assert (await client.get("/dev/running")).json() == {"items": []}


async def test_an_event_is_seen_once_and_tells_whom_it_went_to(
    api: Api, platform: Platform
) -> None:
    async def fired() -> list[str]:
        return [each["id"] for each in await shown(api, "events") if each["to"] == "send_reminders"]

    before = await fired()
    await asyncio.to_thread(platform.fire, "send_reminders")

    async def more() -> bool:
        return len(await fired()) > len(before)

    await until(more)
    await shown(api, "events")
    found = await fired()
    assert len(found) == len(set(found))
    assert topics.subscriber("clock-send_reminders") == "send_reminders"


async def test_a_dead_letter_is_shown_with_its_reason_and_replayed_by_the_page(api: Api) -> None:
    object_name = f"audio/nobody/{secrets.token_hex(6)}"
    push = events.Push("transcribe_audio", "7", an_event(object_name), b"", 5)
    name = events._name_of(push, push.subscription)
    batch = Batch()
    letter = DeadLetter(
        create_time=now(),
        update_time=now(),
        function=push.subscription,
        attributes=dict(push.attributes),
        data=b"",
        reason="unavailable",
        attempts=5,
        is_dead=True,
    )
    batch.create(dead_letters.path(name), letter)
    await batch.commit()
    (found,) = [each for each in await shown(api, "dead-letters") if each["id"] == name]
    assert (found["function"], found["reason"], found["attempts"], found["what"]) == (
        "transcribe_audio",
        "unavailable",
        5,
        object_name,
    )
    assert (await api.post(f"/dev/dead-letters/{name}/replay")).status_code == 204

    async def forgotten() -> bool:  # the function takes it: there is nothing of that name
        return await dead_letters.get(name) is None

    await until(forgotten)
    assert (await api.post(f"/dev/dead-letters/{name}/replay")).status_code == 404


def an_event(object_name: str) -> dict[str, str]:
    return {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": f"{PROJECT}-uploads",
        "objectId": object_name,
        "objectGeneration": "5",
    }
