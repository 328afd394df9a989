"""The API of the tree beside that of an older commit, each by its own code."""

import subprocess
from pathlib import Path

import pytest

from local import api_changes
from local.api_changes import document_at, document_of, main
from local.bootstrap import ROOT


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.test"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without tags; its tree is what is committed."""
    git(tmp_path, "clone", "--quiet", "--shared", "--no-tags", str(ROOT), "clone")
    monkeypatch.setattr(api_changes, "ROOT", tmp_path / "clone")
    return tmp_path / "clone"


def test_the_document_is_that_of_all_services_without_a_platform() -> None:
    document = document_of(ROOT)
    assert {"/register", "/doctors", "/transcriptions"} <= set(document["paths"])
    assert document["info"]["title"] == "HealthHub"


def test_before_the_first_release_no_client_can_break(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(api_changes.last_release()) == 0
    assert "no release yet" in capsys.readouterr().out


def test_what_breaks_clients_of_the_last_release_is_named(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(clone, "tag", "v1.0.0")
    assert api_changes.last_release() == "v1.0.0"
    assert main("v1.0.0") == 0
    routes = clone / "functions/users/routes.py"
    routes.write_text(routes.read_text().replace('"/refresh-token"', '"/renew-token"'))
    assert main("v1.0.0") == 1
    assert "POST /refresh-token: is gone" in capsys.readouterr().out
    git(clone, "commit", "--quiet", "--all", "--message=feat(users)!: tokens are renewed")
    assert main("v1.0.0") == 0
    assert "feat(users)!: tokens are renewed" in capsys.readouterr().out
    assert len(git(clone, "worktree", "list").splitlines()) == 1


def test_code_that_cannot_be_imported_is_an_error(clone: Path) -> None:
    (clone / "functions/users/main.py").write_text("import nothing_of_the_kind")
    with pytest.raises(RuntimeError, match="could not be imported"):
        document_of(clone)
    with pytest.raises(RuntimeError, match="nowhere"):
        document_at("nowhere")
