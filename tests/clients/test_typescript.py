"""The TypeScript client: it never lags behind the API, and its own tests pass over the wire."""

import asyncio
import json
import secrets
from pathlib import Path

import pytest

from local import client, tools, web
from local.platform import Platform
from tests.client import (
    A_PROFILE,
    Api,
    Person,
    a_listed_doctor,
    a_patient,
    book,
    free_starts,
    put_schedule,
)
from tests.recorded import a_visit


def test_the_client_is_what_would_be_generated_of_the_api_now() -> None:
    for name, content in client.generated(tools.find_node()).items():
        is_same = (web.CLIENT / name).read_text() == content
        assert is_same, f"{name} lags behind the API: make client"


async def test_the_client_holds_what_it_says_over_the_wire(
    api: Api, admin: Person, platform: Platform, tmp_path: Path
) -> None:
    town = f"Town {secrets.token_hex(4)}"
    place = {**A_PROFILE["location"], "city": town}
    doctor, _ = [await a_listed_doctor(api, admin, location=place) for _ in range(2)]
    await put_schedule(api, doctor)
    patient = await a_patient(api)
    starts = await free_starts(api, doctor)
    await book(api, await a_patient(api), doctor, starts[0])
    world = {
        "url": platform.url,
        "token": patient.id_token,
        "doctor_id": doctor.uid,
        "starts": starts,
        "city": town,
        "recording": str(tmp_path / "visit.wav"),
    }
    await asyncio.to_thread((tmp_path / "visit.wav").write_bytes, a_visit())
    node = tools.find_node()
    with web.staged(node, web.CLIENT) as (place_of_client,):
        told = await asyncio.to_thread(
            web.run, node, place_of_client, "test", HEALTHHUB_TEST=json.dumps(world)
        )
    assert "# fail 0" in told
    assert "# skipped 0" in told


def test_a_script_that_fails_says_what_it_complained_of() -> None:
    node = tools.find_node()
    with web.staged(node, web.CLIENT) as (place,):
        (place / "src" / "pages.ts").write_text("export const nothing: string = 1;\n")
        with pytest.raises(web.BuildFailed, match=r"npm run build failed in typescript: .*number"):
            web.run(node, place, "build")
