"""The storage stand-in says no where Cloud Storage does; promise 29 shows the rest through the API."""

import asyncio
import gc
from collections.abc import AsyncIterator

import httpx
import pytest

from common import storage
from common.problems import AlreadyExists, NotFound
from common.storage import Bucket
from local.platform import PROJECT, Platform
from local.ports import HOST


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"tests/{request.node.name}"


async def _content(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_an_object_is_what_was_written(platform: Platform, name: str) -> None:
    content = bytes(range(256)) * 5000 + b"\r\n--boundary\r\n"
    await storage.create(Bucket.RESULTS, name, content, "application/json")
    stored = await storage.find(Bucket.RESULTS, name)
    assert stored is not None
    assert (stored.size, stored.content_type) == (len(content), "application/json")
    read = b"".join([piece async for piece in storage.pieces(Bucket.RESULTS, stored)])
    assert read == content
    assert await storage.read(Bucket.RESULTS, stored, 10, 4) == content[10:14]
    assert await storage.read(Bucket.RESULTS, stored, len(content), 4) == b""


async def test_of_two_who_create_one_object_one_does(platform: Platform, name: str) -> None:
    made = await asyncio.gather(
        *(storage.create(Bucket.RESULTS, name, bytes([n]), "a/b") for n in range(5)),
        return_exceptions=True,
    )
    assert sum(outcome is None for outcome in made) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in made) == 4


async def test_another_generation_is_not_read_for_the_one_that_was_meant(
    platform: Platform, name: str
) -> None:
    await storage.create(Bucket.RESULTS, name, b"first", "text/plain")
    first = await storage.find(Bucket.RESULTS, name)
    assert first is not None
    await storage.write(Bucket.RESULTS, name, _content(b"sec", b"ond"), "text/plain")
    second = await storage.find(Bucket.RESULTS, name)
    assert second is not None
    assert second.generation > first.generation
    assert await storage.read(Bucket.RESULTS, second, 0, 10) == b"second"
    with pytest.raises(NotFound):
        await storage.read(Bucket.RESULTS, first, 0, 5)


async def test_what_is_deleted_is_gone_and_again_is_no_harm(platform: Platform, name: str) -> None:
    await storage.create(Bucket.UPLOADS, f"{name}/a", b"1", "text/plain")
    await storage.create(Bucket.RESULTS, f"{name}/a/b", b"2", "text/plain")
    await storage.create(Bucket.RESULTS, f"{name}/another", b"3", "text/plain")
    for _ in range(2):
        await storage.delete_all(f"{name}/a", storage.RECORDINGS)
    assert await storage.find_all(Bucket.UPLOADS, name) == []
    assert await storage.find_all(Bucket.RESULTS, name) == [f"{name}/another"]


async def test_an_app_reaches_nothing_without_a_signature(platform: Platform, name: str) -> None:
    await storage.create(Bucket.UPLOADS, name, b"secret", "text/plain")
    url = f"http://{HOST}:{platform.ports.storage}/{PROJECT}-uploads/{name}"
    async with httpx.AsyncClient() as http:
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = await http.request(method, url)
            assert answer.status_code == 401
            assert "secret" not in answer.text


async def test_a_browser_may_send_from_elsewhere(platform: Platform) -> None:
    url = f"http://{HOST}:{platform.ports.storage}/{PROJECT}-uploads/x"
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    async with httpx.AsyncClient() as http:
        answer = await http.options(url, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert "x-goog-content-length-range" in answer.headers["access-control-allow-headers"]


async def test_what_breaks_off_is_not_stored(platform: Platform, name: str) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(3_000_000)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - ours
        await storage.write(Bucket.RESULTS, name, broken(), "text/plain")
    gc.collect()
    assert await storage.find(Bucket.RESULTS, name) is None


async def test_an_empty_object_is_one(platform: Platform, name: str) -> None:
    await storage.create(Bucket.RESULTS, name, b"", "text/plain")
    stored = await storage.find(Bucket.RESULTS, name)
    assert stored is not None
    assert (stored.size, stored.content_type) == (0, "text/plain")
