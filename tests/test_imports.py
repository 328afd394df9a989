"""Imports run one way (CONTRIBUTING.md), and what is costly is not imported at a cold start."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.bootstrap import ROOT

SERVICES = sorted(p.parent.name for p in ROOT.glob("functions/*/main.py"))

MAY_IMPORT = {
    "main": {"routes", "service"},
    "routes": {"service", "schemas"},
    "service": {"policy", "repository", "schemas"},
    "policy": {"schemas"},
    "repository": {"schemas"},
    "schemas": set(),
}
PARTS = {
    service: {path.name for path in (ROOT / "functions" / service).iterdir() if path.is_dir()}
    for service in SERVICES
}
MAY_USE_FASTAPI = {"app", "auth", "problems", "limits", "idempotency"}
MAY_USE_GOOGLE = {"firestore", "documents", "rpc", "clients", "speech", "live", "vision", "storage"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(level, module) of each import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name) for name in names)


def violations(path: Path) -> list[str]:
    relative = path.relative_to(ROOT)
    layer = path.stem
    found = []
    for level, module in imports(path):
        top = module.split(".")[0]
        if relative.parts[0] == "common":
            wrong = level > 0 or top in ("functions", "local", "ops", "tests")
            wrong |= top == "fastapi" and layer not in MAY_USE_FASTAPI
            wrong |= module.startswith("google") and layer not in MAY_USE_GOOGLE
        else:
            # A part of a service (`patients/history`) imports from its service as from itself,
            # and only `main` reaches into a part.
            parts = PARTS.get(relative.parts[1], set()) if layer == "main" else set()
            own = {layer} if level == 2 else set()  # the service's own layer, which it adds to
            wrong = level > 0 and top not in MAY_IMPORT.get(layer, set()) | parts | own
            wrong |= top in ("functions", "local", "ops", "tests")
            wrong |= top == "fastapi" and layer != "routes"
            wrong |= module.startswith("google")
        if wrong:
            found.append(f"{relative} imports {'.' * level}{module}")
    return found


def product_files() -> list[Path]:
    return [
        path
        for path in sorted([*ROOT.glob("common/*.py"), *ROOT.glob("functions/**/*.py")])
        if path.name != "__init__.py"
    ]


def test_imports_run_one_way() -> None:
    assert not [line for path in product_files() for line in violations(path)]


def test_a_service_has_only_the_files_that_a_reader_expects() -> None:
    for service in SERVICES:
        names = {path.stem for path in (ROOT / "functions" / service).rglob("*.py")} - {"__init__"}
        assert names <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("functions/users/policy.py", "from . import repository"),
        ("functions/users/service.py", "from fastapi import Request"),
        ("functions/users/service.py", "from functions.doctors import service"),
        ("functions/users/service.py", "from google.cloud import firestore"),
        ("functions/users/schemas.py", "from .service import register"),
        ("common/crypto.py", "from functions.users import service"),
        ("common/models.py", "from fastapi import Query"),
    ],
)
def test_the_check_sees_a_wrong_import(
    name: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self: line)
    assert violations(ROOT / name)


COSTLY = {
    "aiosmtplib",
    "icalendar",
    "firebase_admin",
    "httpx",
    "openai",
    "tink",
    "google.cloud.kms_v1",
    "pydicom",
    "stdnum",
    "phonenumbers",
    "google.cloud.storage",
    "google.cloud.speech_v2",
    "google.cloud.vision_v1",
    "av",
    "numpy",
    "PIL",
    "yaml",
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_cold_start_imports_nothing_costly_that_only_some_requests_need(service: str) -> None:
    opens_records = (
        "patients",
        "appointments",
        "transcriptions",
        "store_transcript",
        "medical_images",
        "ai_interactions",
        "analyze_image",
        "purge_expired",
        "sweep_stuck_work",
    )
    needed = {"tink"} if service in opens_records else set()
    program = (
        f"import functions.{service}.main, sys;"
        f"print(*sorted(m for m in {sorted(COSTLY - needed)!r} if m in sys.modules))"
    )
    environment = {
        "PATH": "",
        "GOOGLE_CLOUD_PROJECT": "demo-healthhub",
        "PAGE_TOKEN_KEY": "a" * 43 + "=",
        "AUDIT_KEY": "a" * 43 + "=",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
