"""Messages of commits: what passes, what doesn't, and which commit is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.bootstrap import ROOT
from local.commits import wrong_with


@pytest.mark.parametrize(
    "message",
    [
        "feat: a waitlist",
        "fix(users): a lost answer keeps its key",
        "feat!: page tokens are encrypted\n\nBREAKING CHANGE: older ones are refused",
        "feat(send_reminders)!: in five languages",
        "fix: two at once; test: they race",
        'Revert "feat: a waitlist"\n\nThis reverts commit 0123456.',
    ],
)
def test_a_conventional_message_passes(message: str) -> None:
    assert wrong_with(message) is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "type"),
        ("a waitlist", "type"),
        ("feature: a waitlist", "type"),
        ("Feat: a waitlist", "type"),
        ("feat:a waitlist", "type"),
        ("feat: ", "type"),
        ("feat: a waitlist.", "full stop"),
        ("feat(Wait List): more", "type"),
        ("fixup! feat: a waitlist", "type"),
        ("feat: a waitlist\nwith offers", "empty line"),
    ],
)
def test_what_is_none_is_told_why(message: str, reason: str) -> None:
    assert reason in (wrong_with(message) or "")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    for message in ("no type", "feat: one", "also none\n\nwith a body", "fix: two\n\nwhy"):
        git(tmp_path, "commit", "--quiet", "--allow-empty", f"--message={message}")
    git(tmp_path, "checkout", "--quiet", "-b", "side", "HEAD~1")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=docs: a side")
    git(tmp_path, "merge", "--quiet", "main", "--no-ff", "--message=Merge branch 'main'")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.test"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def check(folder: Path, commits: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.commits", commits],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_each_wrong_commit_of_the_range_is_named(repository: Path) -> None:
    done = check(repository, "main~3..side")
    wrong = git(repository, "rev-parse", "--short", "main~1")
    assert done.returncode == 1
    first, last = done.stdout.splitlines()
    assert first.startswith(f"{wrong} also none: ")
    assert last == "4 commits, 1 wrong"  # feat, none, fix and docs; the merge does not count


def test_a_merge_says_what_git_says(repository: Path) -> None:
    done = check(repository, "main..side")
    assert (done.returncode, done.stdout) == (0, "1 commits, 0 wrong\n")


def test_a_range_that_is_not_there_is_an_error(repository: Path) -> None:
    done = check(repository, "nowhere..side")
    assert done.returncode == 2
    assert "nowhere" in done.stdout
