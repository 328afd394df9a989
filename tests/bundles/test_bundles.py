"""Each function's bundle, built as it is deployed, boots under functions-framework by itself."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from local import bundles, catalog
from local.bootstrap import ROOT
from local.platform import Platform
from local.ports import HOST, free_ports

FUNCTIONS = catalog.read()


def test_the_catalogue_lists_the_functions_that_there_are() -> None:
    there = {path.parent.name for path in (ROOT / "functions").glob("*/main.py")}
    assert {function.name for function in FUNCTIONS} == there


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_an_instance_with_concurrency_has_a_whole_cpu(function: catalog.Function) -> None:
    assert function.concurrency == 1 or function.cpu >= 1


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_bundle_holds_the_function_common_and_the_requirements(
    function: catalog.Function,
) -> None:
    names = set(bundles.files(function.name))
    assert {"main.py", "common/app.py", "requirements.txt"} <= names
    assert not [name for name in names if name.startswith(("tests", "local", "functions"))]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_what_terraform_archives_is_the_bundle(function: catalog.Function) -> None:
    """It archives the folder, with what that links to, without byte code and empty files."""
    folder = ROOT / "functions" / function.name
    assert os.readlink(folder / "common") == "../../common"
    assert os.readlink(folder / "requirements.txt") == "../../requirements.txt"
    archived = {
        str(Path(where, name).relative_to(folder))
        for where, _, names in os.walk(folder, followlinks=True)
        for name in names
        if "__pycache__" not in where and Path(where, name).stat().st_size
    }
    assert archived == set(bundles.files(function.name))


def test_a_bundle_of_one_function_holds_nothing_of_another() -> None:
    users, doctors = (set(bundles.files(name).values()) for name in ("users", "doctors"))
    assert not [path for path in users & doctors if "functions" in path.relative_to(ROOT).parts]


def boot(bundle: Path, name: str, environment: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    port = free_ports(1)[0]
    process = subprocess.Popen(
        [sys.executable, "-m", "functions_framework"],
        cwd=bundle,
        env={
            "PATH": os.environ["PATH"],
            "FUNCTION_TARGET": name,
            "FUNCTION_SOURCE": str(bundle / "main.py"),
            "FUNCTION_USE_ASGI": "true",
            "HOST": HOST,
            "PORT": str(port),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, f"http://{HOST}:{port}"


def ask(process: subprocess.Popen[str], url: str) -> tuple[int, str]:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()
        except OSError:
            if process.poll() is not None:
                pytest.fail(f"it did not boot: {process.stdout and process.stdout.read()}")
            time.sleep(0.05)
    pytest.fail("it did not answer")


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_bundle_boots_from_another_place_and_answers(
    platform: Platform, function: catalog.Function, tmp_path: Path
) -> None:
    bundle = bundles.build(function.name, tmp_path / "bundle")
    moved = Path(shutil.move(bundle, tmp_path / "moved"))
    process, url = boot(moved, function.name, platform.client_env())
    try:
        status, body = ask(process, f"{url}/health")
        assert (status, '"healthy"' in body) == (200, True)
        assert ask(process, f"{url}/v1/health/{function.name}")[0] == 200
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_a_function_without_its_database_is_unhealthy_and_says_so(
    platform: Platform, tmp_path: Path
) -> None:
    bundle = bundles.build("doctors", tmp_path / "bundle")
    down = {**platform.client_env(), "FIRESTORE_EMULATOR_HOST": f"{HOST}:1"}
    process, url = boot(bundle, "doctors", down)
    try:
        status, body = ask(process, f"{url}/health")
        assert status == 503
        assert '"unreachable"' in body
        status, body = ask(process, f"{url}/doctors/anybody")
        assert status == 503
        assert "urn:healthhub:problem:unavailable" in body
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_a_function_refuses_to_start_with_an_emulator_in_the_cloud(
    platform: Platform, tmp_path: Path
) -> None:
    bundle = bundles.build("users", tmp_path / "bundle")
    process, _ = boot(bundle, "users", {**platform.client_env(), "K_SERVICE": "users"})
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "FIRESTORE_EMULATOR_HOST" in output
    assert "must not be set in the cloud" in output
