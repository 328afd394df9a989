"""Deploying, with a program in Terraform's place that notes what it is asked for."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from local.bootstrap import ROOT
from tests.coverage import measured_environment

STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
folder, arguments = sys.argv[1].removeprefix("-chdir="), sys.argv[2:]
source = pathlib.Path(folder).parent / "common" / "app.py"
with (here / "calls").open("a") as calls:
    call = {{"folder": folder, "arguments": arguments, "app": source.read_text(),
            "common": sorted(path.name for path in source.parent.iterdir())}}
    calls.write(json.dumps(call) + "\\n")
if arguments[0] == os.environ.get("FAILS"):
    sys.exit(f"Error: {{arguments[0]}} can't")
if arguments[0] == "plan":
    pathlib.Path(next(a for a in arguments if a.startswith("-out="))[5:]).write_text("a plan")
if arguments[0] == "show":
    print((here / "plan.json").read_text() if "-json" in arguments else "every detail")
if arguments[0] == "apply":
    assert pathlib.Path(arguments[-1]).read_text() == "a plan"
    if "STALLS" in os.environ:
        signal.signal(signal.SIGINT, lambda *_: (time.sleep(1), print("ended in order"), sys.exit(1)))
        (here / "applying").touch()
        signal.pause()
"""

PLAN: dict[str, Any] = {
    "resource_changes": [
        {"address": 'module.function["users"].this', "change": {"actions": ["update"]}},
        {"address": "google_pubsub_topic.new", "change": {"actions": ["create"]}},
        {"address": "google_pubsub_topic.other", "change": {"actions": ["create"]}},
        {"address": "google_storage_bucket.old", "change": {"actions": ["delete"]}},
        {"address": "google_kms_key_ring.moved", "change": {"actions": ["delete", "create"]}},
        {"address": "google_kms_key_ring.same", "change": {"actions": ["no-op"]}},
        {"address": "data.google_project.this", "change": {"actions": ["read"]}},
    ]
}
NOTHING: dict[str, Any] = {"resource_changes": PLAN["resource_changes"][-2:]}


class Desk:
    """A repository of its own, from which one deploys."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repository"
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name in ("common", "local"):
            shutil.copytree(
                ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        (self.root / "ops").symlink_to(ROOT / "ops")  # so that its coverage counts
        for name in ("pyproject.toml", "requirements.txt", "functions/catalog.yaml"):
            (self.root / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        for name in ("users", "doctors"):
            self.write(f"functions/{name}/main.py", f"# {name}")
        for name in ("staging", "prod"):
            self.write(
                f"terraform/environments/{name}.tfvars", f'# who\nproject_id = "hh-{name}"\n'
            )
        self.write(".gitignore", "__pycache__/\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("feat: all")
        program = self.programs / "terraform"
        program.write_text(STAND_IN)
        program.chmod(0o755)
        self.plans(PLAN)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.test"]
        command = ["git", *identity, "-C", str(self.root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}")

    def plans(self, plan: dict[str, Any]) -> None:
        (self.programs / "plan.json").write_text(json.dumps(plan))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        path = f"{self.programs}:{os.environ['PATH']}"
        names = ("GOOGLE_CLOUD_PROJECT", "PAGE_TOKEN_KEY", "AUDIT_KEY")
        kept = {name: value for name, value in os.environ.items() if name not in names}
        return subprocess.Popen(
            [sys.executable, "-m", "ops", "deploy", *arguments],
            cwd=self.root,
            env={**kept, **measured_environment(), "PATH": path, "COLUMNS": "500", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def deploy(self, *arguments: str, says: str = "", **environment: str) -> tuple[int, str]:
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(says, timeout=60)
        return process.returncode, output

    @property
    def calls(self) -> list[dict[str, Any]]:
        file = self.programs / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def asked_for(self) -> list[str]:
        return [call["arguments"][0] for call in self.calls]

    def options(self, command: str) -> list[str]:
        called: list[str] = next(
            call["arguments"] for call in self.calls if call["arguments"][0] == command
        )
        return [option for option in called[1:] if option != "-no-color"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_environment_is_planned_shown_and_applied(desk: Desk) -> None:
    status, output = desk.deploy("staging")
    assert status == 0, output
    assert desk.asked_for == ["init", "plan", "show", "apply"]
    assert desk.options("init") == [
        "-reconfigure",
        "-backend-config=bucket=hh-staging-terraform-state",
    ]
    out, *options = desk.options("plan")
    assert options == ["-var-file=environments/staging.tfvars", "-lock-timeout=5m"]
    assert desk.options("apply")[-1] == out.removeprefix("-out=")
    assert "1 to destroy, 1 to replace, 1 to change, 2 to create" in output
    destroyed, *others = [line.split() for line in output.splitlines() if line.startswith("  ")]
    assert destroyed == ["destroy", "google_storage_bucket.old"]
    assert ["change", 'module.function["users"].this'] in others
    assert "same" not in output
    assert "data." not in output


def test_the_plan_is_not_kept(desk: Desk) -> None:
    desk.deploy("staging")
    assert not Path(desk.options("apply")[-1]).parent.exists()


def test_where_nothing_changes_nothing_is_applied(desk: Desk) -> None:
    desk.plans(NOTHING)
    status, output = desk.deploy("prod")
    assert status == 0
    assert "nothing to change" in output
    assert "apply" not in desk.asked_for


def test_a_change_of_outputs_alone_is_applied(desk: Desk) -> None:
    changes = {"address": {"actions": ["create"]}, "old": {"actions": ["no-op"]}}
    desk.plans({**NOTHING, "output_changes": changes})
    status, output = desk.deploy("staging")
    assert status == 0
    assert "outputs address\n" in output
    assert "apply" in desk.asked_for


@pytest.mark.parametrize(
    ("says", "is_applied"), [("prod\n", True), ("yes\n", False), ("\n", False), ("", False)]
)
def test_production_is_applied_only_when_its_name_is_typed(
    desk: Desk, says: str, is_applied: bool
) -> None:
    status, output = desk.deploy("prod", says=says)
    assert ("apply" in desk.asked_for) is is_applied
    assert status == (0 if is_applied else 1)
    assert ("Nothing was applied." in output) is not is_applied


def test_a_workflow_says_yes_beforehand(desk: Desk) -> None:
    assert desk.deploy("prod", "--yes")[0] == 0
    assert "apply" in desk.asked_for


def test_a_plan_alone_takes_no_lock_and_applies_nothing(desk: Desk) -> None:
    desk.write("common/app.py", "# not committed")
    status, _ = desk.deploy("prod", "--plan-only")
    assert status == 0
    assert "-lock=false" in desk.options("plan")
    assert desk.asked_for == ["init", "plan", "show"]


def test_details_show_the_whole_plan(desk: Desk) -> None:
    assert "every detail" not in desk.deploy("staging", "--plan-only")[1]
    assert "every detail" in desk.deploy("staging", "--plan-only", "--details")[1]


def test_production_is_not_deployed_from_what_is_not_committed(desk: Desk) -> None:
    desk.write("common/new.py", "# not committed")
    status, output = desk.deploy("prod", "--yes")
    assert status == 2
    assert "not committed" in output
    assert desk.calls == []
    status, output = desk.deploy("prod", "--yes", "--dirty", "the repository is down")
    assert status == 0
    assert "the repository is down" in output
    assert desk.deploy("staging")[0] == 0


def test_production_is_not_deployed_from_what_is_no_repository(desk: Desk) -> None:
    shutil.rmtree(desk.root / ".git")
    status, output = desk.deploy("prod", "--yes")
    assert status == 2
    assert "not a git repository" in output
    assert desk.calls == []


def test_one_service_is_targeted_and_what_that_leaves_out_is_said(desk: Desk) -> None:
    status, output = desk.deploy("staging", "--service", "users")
    assert status == 0, output
    targets = [option for option in desk.options("plan") if option.startswith("-target")]
    assert targets == ['-target=module.function["users"]']
    left_out = next(line for line in output.splitlines() if "Left out" in line)
    assert "doctors" in left_out
    assert "indexes" in left_out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "There is no environment 'nowhere'; there are prod, staging."),
        (["../../x"], "There is no environment"),
        (["staging", "--service", "user"], "There is no service 'user'; there are users, doctors,"),
        (["staging", "--ref", "v9"], "There is no commit 'v9'"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_begins(
    desk: Desk, arguments: list[str], reason: str
) -> None:
    status, output = desk.deploy(*arguments)
    assert status == 2
    assert reason in output
    assert desk.calls == []


def test_an_environment_without_a_project_is_refused(desk: Desk) -> None:
    desk.write("terraform/environments/staging.tfvars", 'region = "us-central1"')
    status, output = desk.deploy("staging")
    assert status == 2
    assert "terraform/environments/staging.tfvars does not say project_id" in output


def test_without_terraform_one_line_says_so(desk: Desk) -> None:
    git = shutil.which("git")
    assert git
    (desk.programs / "terraform").unlink()
    (desk.programs / "git").symlink_to(git)
    status, output = desk.deploy("staging", PATH=str(desk.programs))
    assert status == 2
    assert output.count("\n") == 1
    assert "terraform is not installed" in output


@pytest.mark.parametrize("command", ["init", "plan", "show", "apply"])
def test_a_failure_is_shown_and_ends_the_deployment(desk: Desk, command: str) -> None:
    status, output = desk.deploy("staging", FAILS=command)
    assert status == 1
    assert f"Error: {command} can't" in output
    assert desk.asked_for[-1] == command
    assert "as planned" not in output


def test_ctrl_c_lets_terraform_end_in_order(desk: Desk) -> None:
    """Killed, it would leave the state locked and without what it had made."""
    process = desk.start("staging", STALLS="yes")
    deadline = time.monotonic() + 30
    while not (desk.programs / "applying").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert "ended in order" in output
    assert "What it had done is in the state" in output


# ---------------------------------------------------------------- as it was


@pytest.fixture
def released(desk: Desk) -> Desk:
    """v1 without doctors; since then all has changed."""
    shutil.move(desk.root / "functions/doctors", desk.root.parent / "doctors")
    desk.write("common/app.py", "# as of v1")
    desk.write("common/gone.py", "# only in v1")
    desk.commit("feat: v1")
    desk.git("tag", "v1")
    shutil.move(desk.root.parent / "doctors", desk.root / "functions/doctors")
    desk.write("common/app.py", "# of today")
    desk.write("common/since.py", "# not in v1")
    (desk.root / "common/gone.py").unlink()
    desk.commit("feat: more")
    return desk


def test_functions_are_built_from_an_older_commit_beside_the_tree(released: Desk) -> None:
    released.write("common/app.py", "# not committed")
    status, output = released.deploy("prod", "--ref", "v1", says="prod\n")
    assert status == 0, output
    assert "from v1" in output
    assert {call["app"] for call in released.calls} == {"# as of v1"}
    assert "gone.py" in released.calls[0]["common"]
    assert "since.py" not in released.calls[0]["common"]
    assert {call["folder"] for call in released.calls} != {str(released.root / "terraform")}
    assert (released.root / "common/app.py").read_text() == "# not committed"


def test_only_functions_that_were_there_are_touched(released: Desk) -> None:
    released.deploy("staging", "--ref", "v1")
    assert [o for o in released.options("plan") if "-target" in o] == [
        '-target=module.function["users"]'
    ]
    status, output = released.deploy("staging", "--ref", "v1", "--service", "doctors")
    assert status == 2
    assert "v1 has no doctors" in output


@pytest.mark.parametrize("command", [None, "plan"])
def test_nothing_is_left_of_the_older_commit(released: Desk, command: str | None) -> None:
    released.deploy("staging", "--ref", "v1", **({"FAILS": command} if command else {}))
    assert len(released.git("worktree", "list").splitlines()) == 1
    assert not Path(released.calls[0]["folder"]).exists()
