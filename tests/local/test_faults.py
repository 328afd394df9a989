"""Faults that a share of calls meets."""

import json

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local.faults import Failing, Faults, set_by
from tests.between import Between


def test_a_share_of_the_calls_meets_the_fault() -> None:
    faults = Faults()
    faults.become({"fcm": "fail", "share": 0.25})
    met = [faults.meet("fcm") for _ in range(4000)]
    assert set(met) == {"fail", None}
    assert 800 < met.count("fail") < 1200
    assert faults.meet("smtp") is None


def test_without_a_share_each_call_does_and_without_faults_none() -> None:
    faults = Faults()
    assert json.loads(set_by(faults, b'{"Decrypt": "fail"}')) == {"Decrypt": "fail"}
    assert {faults.meet("Decrypt") for _ in range(100)} == {"fail"}
    set_by(faults, b"{}")
    assert {faults.meet("Decrypt") for _ in range(100)} == {None}


@pytest.mark.parametrize("share", [-0.1, 1.1, "much"])
def test_a_share_that_is_none_is_refused(share: object) -> None:
    with pytest.raises(ValueError, match=r"share|float"):
        Faults().become({"fcm": "fail", "share": share})


async def test_a_service_that_is_told_to_fail_answers_503_until_it_is_told_otherwise() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("well")(scope, receive, send)

    failing = Failing(app, lambda path: path.split("/")[1])
    transport = httpx.ASGITransport(failing)
    async with httpx.AsyncClient(transport=transport, base_url="http://it") as http:
        assert (await http.put("/dev/faults", json={"json": "fail"})).json() == {"json": "fail"}
        assert (await http.get("/json/x")).status_code == 503
        assert (await http.get("/signed/x")).text == "well"
        await http.put("/dev/faults", json={})
        assert (await http.get("/json/x")).text == "well"
    assert failing.hits == 1


async def test_what_stands_between_passes_on_what_it_does_not_fail() -> None:
    inner, outer = Between("http://127.0.0.1:9"), None
    inner.start()
    try:
        inner.fail(1)
        outer = Between(f"http://{inner.address}")
        outer.start()
        async with httpx.AsyncClient(base_url=f"http://{outer.address}") as http:
            answer = await http.post("/v1/x?y=1", json={"a": 1})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, 503)
            inner.fail(0)
            assert (await http.get("/v1/x")).status_code == 502  # nobody is behind it
        assert (inner.hits, outer.hits) == (1, 0)
    finally:
        for each in (outer, inner):
            if each is not None:
                each.stop()
