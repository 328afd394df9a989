"""GitHub's workflows: they may do little, run what is pinned, and ask before they change production."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from local.bootstrap import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
WORKFLOWS: dict[str, Any] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
JOBS = {
    f"{workflow}/{name}": job
    for workflow, content in WORKFLOWS.items()
    for name, job in content["jobs"].items()
}
AUTH = "google-github-actions/auth"


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in JOBS.items():
        yield from ((name, step) for step in job.get("steps", []))


def uses(job: dict[str, Any], action: str) -> list[dict[str, Any]]:
    return [step for step in job.get("steps", []) if step.get("uses", "").startswith(action)]


def test_there_is_a_check_and_a_deployment() -> None:
    assert set(WORKFLOWS) == {"check", "deploy"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_no_permission_but_what_its_jobs_name(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_reads_and_has_an_identity_only_to_reach_the_cloud(name: str) -> None:
    job = JOBS[name]
    expected = {"contents": "read"}
    if uses(job, AUTH) or "uses" in job:
        expected["id-token"] = "write"
    assert job["permissions"] == expected


@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if "uses" not in job])
def test_a_job_ends_and_leaves_no_token_behind(name: str) -> None:
    assert JOBS[name]["timeout-minutes"] <= 90
    (checkout,) = uses(JOBS[name], "actions/checkout")
    assert checkout["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(file: Any) -> None:
    used = re.findall(r"uses: (.*)", file.read_text())
    assert used
    for line in used:
        assert re.fullmatch(
            r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/[\w/.-]+", line
        )


def test_one_action_is_pinned_to_one_commit() -> None:
    used = {step["uses"] for _, step in steps() if "uses" in step}
    assert len(used) == len({action.split("@")[0] for action in used})


def test_what_a_workflow_runs_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    scripts = [step["run"] for _, step in steps() if "run" in step]
    called = {target for script in scripts for target in re.findall(r"\bmake ([a-z-]+)", script)}
    assert called == {"test", "check", "api-changes", "plan", "deploy"}
    assert called <= targets
    modules = {name for script in scripts for name in re.findall(r"-m ([a-z_.]+)", script)}
    assert modules == {"local.commits"}
    assert (ROOT / "local" / "commits.py").exists()


def test_no_script_is_put_together_from_what_others_wrote() -> None:
    assert not [step for _, step in steps() if "${{" in step.get("run", "")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_there_is_no_secret_to_lose(file: Any) -> None:
    assert "secrets." not in file.read_text()
    assert "credentials_json" not in file.read_text()


@pytest.mark.parametrize("name", JOBS)
def test_who_applies_does_so_in_its_environment_alone_and_uncancelled(name: str) -> None:
    job = JOBS[name]
    accounts = {step["with"]["service_account"] for step in uses(job, AUTH)}
    applied = {
        environment for account in accounts for environment in re.findall(r"(\w+)_APPLY", account)
    }
    if applied:
        (environment,) = applied
        assert job["environment"] == environment.lower()
        assert job["concurrency"] == {
            "group": f"deploy-{environment.lower()}",
            "cancel-in-progress": False,
        }
        assert job["needs"]
    else:
        assert not [step for step in job.get("steps", []) if "make deploy" in step.get("run", "")]


def test_a_release_is_planned_before_it_is_approved() -> None:
    assert JOBS["deploy/prod"]["needs"] == "plan"
    assert "refs/tags/v" in JOBS["deploy/plan"]["if"]
    assert JOBS["deploy/staging"]["needs"] == "check"


def test_the_variables_are_those_that_the_bootstrap_gives() -> None:
    github = (ROOT / "terraform" / "bootstrap" / "github.tf").read_text()
    assert '"${upper(var.environment)}_${upper(name)}_PROVIDER"' in github
    assert '"${upper(var.environment)}_${upper(name)}_ACCOUNT"' in github
    text = "".join(file.read_text() for file in FILES)
    assert set(re.findall(r"vars\.(\w+)", text)) == {
        f"{environment}_{account}_{what}"
        for environment, account in [
            ("STAGING", "PLAN"),
            ("STAGING", "APPLY"),
            ("PROD", "PLAN"),
            ("PROD", "APPLY"),
        ]
        for what in ("PROVIDER", "ACCOUNT")
    }
