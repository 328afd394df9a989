"""What all tests of the assistant need: the knowledge base, and a model that can be told to fail."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from local.platform import Platform
from local.ports import HOST
from tests.asked import load
from tests.client import Api, Person, a_patient

Behave = Callable[[str | None], Awaitable[None]]


@pytest.fixture(scope="session", autouse=True)
async def loaded(platform: Platform) -> None:
    await load()


@pytest.fixture(scope="module")
async def patient(api: Api) -> Person:
    return await a_patient(api)


@pytest.fixture
async def model(platform: Platform) -> AsyncIterator[Behave]:
    """Tell the stand-in how to fail; at the end it does not."""

    async def behave(mode: str | None) -> None:
        async with httpx.AsyncClient() as http:
            url = f"http://{HOST}:{platform.ports.openai}/dev/faults"
            answer = await http.put(url, json={"mode": mode} if mode else {})
            assert answer.status_code == 200

    yield behave
    await behave(None)
