"""A model's opinion of an image: asked only where it is configured, with nothing that identifies."""

import io

import httpx
import pytest

from common import crypto, opinions, settings
from common.egress import prompts
from common.imaging import ImageMetadata
from common.patients import patients
from local.platform import Platform
from local.ports import HOST
from tests.client import Api, Person, a_patient
from tests.pictured import a_picture


@pytest.fixture(scope="module")
async def patient(api: Api) -> Person:
    return await a_patient(api)


def test_nobody_is_asked_unless_it_is_configured(platform: Platform) -> None:
    assert opinions.analyser() is None


def test_whom_the_settings_name_is_asked(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = settings.settings().model_copy(update={"image_analyser": "openai"})
    monkeypatch.setattr(opinions, "settings", lambda: configured)
    assert isinstance(opinions.analyser(), opinions.OpenAIVision)


async def test_an_opinion_names_its_model_and_is_in_the_ledger(
    platform: Platform, patient: Person
) -> None:
    record = await patients.get(patient.uid)
    assert record is not None
    vault = await crypto.vault_of(patient.uid)
    into = io.BytesIO()
    a_picture().save(into, "PNG")
    metadata = ImageMetadata(kind="dicom", modality="CT", body_site="García's chest")
    found = await opinions.OpenAIVision().opinion(into.getvalue(), metadata, record, vault)
    assert found is not None
    assert (found.model, bool(found.summary)) == ("gpt-4.1", True)
    (line,) = [prompt async for prompt in prompts.all_(patient.uid)]
    assert (line.purpose, line.outcome, line.actor_uid) == ("image", "answered", "")
    data = vault.open(line.path, "data", line.sealed["data"])
    assert "García" not in data  # free text of the file does not go out
    assert '"CT"' in data
    assert len(vault.open(line.path, "image_sha256", line.sealed["image_sha256"])) == 64


async def test_without_an_answer_there_is_no_opinion_and_no_error(
    platform: Platform, patient: Person
) -> None:
    record = await patients.get(patient.uid)
    assert record is not None
    vault = await crypto.vault_of(patient.uid)
    url = f"http://{HOST}:{platform.ports.openai}/dev/faults"
    async with httpx.AsyncClient() as http:
        await http.put(url, json={"mode": "refusal"})
        try:
            metadata = ImageMetadata(kind="png")
            assert await opinions.OpenAIVision().opinion(b"png", metadata, record, vault) is None
        finally:
            await http.put(url, json={})
