"""The gateway: routing as declared, the explorer, a function that is down."""

import re

import pytest

from local import catalog
from local.gateway import Gateway
from local.platform import Platform
from tests.client import Api


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/login", "users"),
        ("/users", "users"),
        ("/users/me/devices", "users"),
        ("/doctors", "doctors"),
        ("/doctors/by-specialty/x", "doctors"),
        ("/health/doctors", "doctors"),
        ("/doctorsx", "users"),
        ("/nothing", "users"),
        ("/health/nothing", "users"),
    ],
)
async def test_a_path_goes_to_the_function_that_declares_it_else_to_the_first(
    path: str, function: str
) -> None:
    gateway = Gateway({"users": "http://127.0.0.1:1", "doctors": "http://127.0.0.1:1"})
    assert gateway._function_for(path).name == function
    await gateway._client.aclose()


def test_no_path_is_declared_by_two_functions() -> None:
    paths = [path for function in catalog.read() for path in function.paths]
    assert len(paths) == len(set(paths))


async def test_health_of_each_service_is_asked_of_the_service(api: Api, platform: Platform) -> None:
    for name in platform.services:
        answer = await api.get(f"/v1/health/{name}")
        assert answer.status_code == 200
        health = answer.json()
        assert health["status"] == "healthy"
        assert health["dependencies"] == {"database": "connected", "external_apis": "operational"}
        assert health["version"]
    assert (await api.get("/v1/health/nothing")).status_code == 404


async def test_the_explorer_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/docs/assets/")
        assert (await api.get(address)).status_code == 200
    assert "patient@demo.healthhub.test" in page.text
    assert "http" not in re.sub(r"https?://www\.w3\.org", "", page.text)


async def test_a_function_that_is_down_is_503_at_the_gateway(platform: Platform) -> None:
    import httpx
    from starlette.applications import Starlette
    from starlette.routing import Route

    gateway = Gateway({"users": "http://127.0.0.1:1"})
    app = Starlette(routes=[Route("/{path:path}", gateway.forward)])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        answer = await client.get("/v1/users/me")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    await gateway._client.aclose()
