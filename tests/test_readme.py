"""The README as a stranger reads it: each command in it is run, on a copy of the tree, as it is printed."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from local.bootstrap import ROOT
from local.ports import VARIABLE, Ports

README = (ROOT / "README.md").read_text()
_START_SECONDS = 300
"""The first start on a machine that is busy with other tests."""


@dataclass(frozen=True)
class Stranger:
    """Who has cloned it and knows nothing but the README; their ports are free ones."""

    folder: Path
    ports: Ports

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def env(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        for name, port in vars(self.ports).items():
            variable, _, value = VARIABLE[name].partition("=")
            own[variable] = value.replace("<port>", str(port)) or str(port)
        return own

    def run(self, command: str, seconds: float = 180) -> str:
        """What a shell prints of it."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    folder = tmp_path_factory.mktemp("clone")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
    there = b"\0".join(
        each for each in files.split(b"\0") if each and (ROOT / os.fsdecode(each)).exists()
    )
    pack = "tar --create --null --no-recursion --files-from=- | tar --extract --directory"
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{pack} {folder}"], cwd=ROOT, input=there, check=True
    )
    return Stranger(folder, Ports.free())


@pytest.fixture(scope="module")
def welcome(stranger: Stranger) -> Iterator[str]:
    """What `make dev` prints; at the end, Ctrl-C."""
    printed = stranger.folder.parent / "make-dev.txt"
    with printed.open("w") as output:
        dev = subprocess.Popen(
            ["make", "dev"],
            cwd=stranger.folder,
            env=stranger.env | {"COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(_START_SECONDS * 10):
            if "Ready after" in (said := printed.read_text()):
                break
            try:
                dev.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        assert "Ready after" in said, said
        yield said
    finally:
        os.killpg(dev.pid, signal.SIGINT)  # as a terminal does
        dev.wait(60)
    assert "Nothing is left running" in printed.read_text()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{stranger.url}/docs")


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", README, re.S)


def test_every_command_of_the_readme_is_run_here() -> None:
    two, first = blocks()
    assert [line.split("  ")[0] for line in two.splitlines()] == ["make dev", "make test"]
    assert first.startswith("API=")
    named = set(re.findall(r"`(make [a-z]+[^`]*)`", README))
    assert named == {"make dev", "make test", "make test SERVICE=users", "make help", "make demo"}


def test_make_dev_prints_addresses_that_answer(stranger: Stranger, welcome: str) -> None:
    addresses = re.findall(rf"{stranger.url}/\S*", welcome)
    assert len(addresses) >= 6
    for path in set(re.findall(r"http://localhost:8000(/[\w/]*)", README)) - {"/v1"}:
        assert f"{stranger.url}{path}" in (*addresses, f"{stranger.url}/dev/outbox"), path
        answer = httpx.get(f"{stranger.url}{path}", timeout=120, headers={"Accept": "text/html"})
        assert answer.status_code == 200, path
        assert "text/html" in answer.headers["content-type"]
    for role in ("patient", "doctor", "admin"):
        assert f"{role}@demo.healthhub.test" in welcome
    assert "demo data: 40 doctors" in welcome


def test_the_first_request_works_as_printed(stranger: Stranger, welcome: str) -> None:
    script = blocks()[1].replace("http://localhost:8000", stranger.url)
    assert stranger.url in script
    printed = stranger.run(script)
    assert '"display_name":"Ana García"' in printed
    assert '"specialties":["cardiology"' in printed
    assert "urn:healthhub:problem" not in printed


def test_the_demo_tells_one_patients_journey_to_its_end(stranger: Stranger, welcome: str) -> None:
    told = stranger.run("COLUMNS=200 make demo")
    assert len(re.findall(r"^\d+\. ", told, re.M)) == 11
    for words in (
        "one is served",
        "Call 112 now",
        "severe: Ibuprofen and warfarin",
        "FHIR R4 Bundle",
        "Done in",
    ):
        assert words in told


def test_the_demo_data_is_filled_in_again_without_harm(stranger: Stranger, welcome: str) -> None:
    assert "demo data: 40 doctors" in stranger.run("COLUMNS=200 make seed")


def test_make_test_finds_the_tests_of_all_and_of_one_service(stranger: Stranger) -> None:
    collect = 'ARGS="--collect-only -q"'
    whole = stranger.run(f"make test {collect}")
    users = stranger.run(f"make test SERVICE=users {collect}")
    assert "tests/functions/doctors/" in whole
    assert "tests/functions/users/" in users
    assert "tests/functions/doctors/" not in users


def test_make_help_names_every_target_that_documents_name(stranger: Stranger) -> None:
    helped = stranger.run("make help")
    for document in ("README.md", "CONTRIBUTING.md", "docs/operations.md"):
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / document).read_text(), re.M))
        assert named
        for target in named - {"help", "lock"}:
            assert re.search(rf"^  make {target}\s", helped, re.M), f"{document} names {target}"


# ---------------------------------------------------------------- documents


def documents() -> list[Path]:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in tracked.stdout.split() if (ROOT / name).exists()]


def linked(document: Path) -> list[Path]:
    targets = re.findall(r"\]\((?!http|#|mailto)([^)#\s]+)", document.read_text())
    return [(document.parent / target).resolve() for target in targets]


def test_every_file_that_documents_link_or_name_is_there() -> None:
    for document in documents():
        for target in linked(document):
            assert target.exists(), f"{document.relative_to(ROOT)} links {target.name}"
    for name in re.findall(r"`((?:common|functions|local|tests|ops|docs)/[\w/.]+)`", README):
        assert (ROOT / name).exists(), name


def test_every_document_is_reached_from_the_readme() -> None:
    reached, left = set[Path](), [ROOT / "README.md"]
    while left:
        document = left.pop()
        if document not in reached and document.is_file():
            reached.add(document)
            left += linked(document) if document.suffix == ".md" else []
    shown = {each for each in (ROOT / "docs").rglob("*") if each.is_file()}
    knowledge = ROOT / "ops" / "knowledge"  # what the assistant answers from, entry by entry
    shown |= {each for each in documents() if knowledge not in each.parents}
    assert {each.relative_to(ROOT) for each in shown - reached} == set()


def test_nothing_here_is_a_path_of_one_machine() -> None:
    home = str(Path.home())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in tracked.split():
        text = (ROOT / name).read_text(errors="replace") if (ROOT / name).is_file() else ""
        assert f"{home}/" not in text, name
