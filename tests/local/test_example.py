"""The example app as the gateway serves it, and what npm is asked for."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from local import example, tools, web
from local.bootstrap import ROOT
from local.platform import PROJECT, Platform
from local.ports import HOST
from tests.client import Api


async def test_the_app_is_served_with_what_it_must_know_of_this_platform(
    api: Api, platform: Platform
) -> None:
    answer = await api.get("/example")
    assert answer.headers["location"] == "/example/"
    index = await api.http.get("/example/", timeout=300)  # it may have to be built first
    assert "<title>HealthHub</title>" in index.text
    assert (await api.get("/example/main.js")).status_code == 200
    told = (await api.get("/example/config.json")).json()
    assert told["firebase"]["projectId"] == PROJECT
    assert told["emulators"] == {
        "auth": f"http://{HOST}:{platform.ports.auth}",
        "firestore": {"host": HOST, "port": platform.ports.firestore},
    }
    assert told["demo"]["email"] == "patient@demo.healthhub.test"


async def test_nothing_but_the_app_is_served(api: Api) -> None:
    for path in ("nothing", "..%2f..%2fREADME.md", ".complete%00"):
        assert (await api.get(f"/example/{path}")).status_code == 404


def test_the_demo_account_is_told_where_there_is_one_only() -> None:
    env = {
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1",
        "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:2",
        "IDENTITY_API_KEY": "demo",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
    }
    assert "demo" not in example.configuration(env)
    assert "demo" in example.configuration({**env, "HEALTHHUB_DEMO": "1"})


def test_an_app_that_could_not_be_built_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(node: str) -> Path:
        raise tools.ToolMissing("npm could not install the packages of mobile/ (no network)")

    monkeypatch.setenv("HEALTHHUB_NODE", "node")
    monkeypatch.setattr(web, "example", fail)
    answer = TestClient(Starlette(routes=example.ROUTES)).get("/example/")
    assert answer.status_code == 503
    assert answer.text.endswith("npm could not install the packages of mobile/ (no network)")


def test_the_app_is_another_when_a_source_has_changed(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.ts").write_text("1")
    first = web._hash_of(tmp_path)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "main.js").write_text("made")
    assert web._hash_of(tmp_path) == first
    (tmp_path / "src" / "main.ts").write_text("2")
    assert web._hash_of(tmp_path) != first


def test_npm_is_not_asked_for_what_lies_in_this_repository() -> None:
    package = {"name": "app", "dependencies": {"ours": "file:../ours", "theirs": "1.0.0"}}
    lock = {
        "packages": {
            "": package,
            "../ours": {"name": "ours"},
            "node_modules/ours": {"resolved": "../ours", "link": True},
            "node_modules/theirs": {"version": "1.0.0"},
        }
    }
    kept = {"name": "app", "dependencies": {"theirs": "1.0.0"}}
    assert tools._without_our_own(package) == kept
    assert tools._without_our_own(lock) == {
        "packages": {"": kept, "node_modules/theirs": {"version": "1.0.0"}}
    }


@pytest.mark.parametrize(
    "lock",
    sorted(
        path for path in ROOT.glob("*/**/package-lock.json") if "node_modules" not in path.parts
    ),
    ids=lambda path: path.parent.name,
)
def test_a_lock_names_no_server(lock: Path) -> None:
    assert "http" not in [
        line.split('"')[3][:4] for line in lock.read_text().splitlines() if '"resolved"' in line
    ]
