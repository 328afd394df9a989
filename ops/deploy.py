"""Plan, show, ask, apply: one environment, one of its functions, or functions as they were."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from local import catalog
from local.bootstrap import ROOT

_ASKED = "prod"
"""The environment in which nothing happens without a word from a person."""

_ENVIRONMENTS = ROOT / "terraform" / "environments"

# What Terraform calls an action, what we call it, in the order of what one wants to see first.
_ACTIONS = {
    ("delete",): ("destroy", "bold red"),
    ("delete", "create"): ("replace", "red"),
    ("create", "delete"): ("replace", "red"),
    ("forget",): ("forget", "red"),
    ("create", "forget"): ("replace", "red"),
    ("update",): ("change", "yellow"),
    ("create",): ("create", "green"),
}


class Refused(RuntimeError):
    """Nothing was begun; says why."""


class Failed(RuntimeError):
    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True)
class Order:
    environment: str
    service: str | None = None
    ref: str | None = None
    """The commit whose functions are to run again."""
    is_plan_only: bool = False
    is_detailed: bool = False
    is_agreed: bool = False
    dirty_because: str = ""


def deploy(order: Order, console: Console) -> bool:
    """Returns whether all was done that was asked for. Raises `Refused`, or `Failed` if Terraform did."""
    project = _project_of(order.environment)
    if shutil.which("terraform") is None:
        raise Refused(
            "terraform is not installed: https://developer.hashicorp.com/terraform/install"
        )
    services = _services_of(order)
    if not order.ref and not order.is_plan_only:
        _check_clean(order, console)
    tree = _as_it_was(order.ref, services) if order.ref else _here()
    with tree as root, tempfile.TemporaryDirectory(prefix="healthhub-plan-") as folder:
        console.print(f"[bold]{order.environment}[/] ({project}) from {_described(order.ref)}")
        terraform = Terraform(root / "terraform", console)
        bucket = f"{project}-terraform-state"
        terraform.quietly("init", "-reconfigure", f"-backend-config=bucket={bucket}")
        plan = (
            Path(folder) / "plan"
        )  # it holds values: in a folder that is ours only, and gone soon
        terraform.quietly("plan", f"-out={plan}", *_options(order, services))
        if order.is_detailed:
            terraform.openly("show", str(plan))
        is_change = _show(json.loads(terraform.quietly("show", "-json", str(plan))), console)
        _tell_what_is_left_out(order, services, console)
        if order.is_plan_only or not is_change:
            return True
        if not _is_agreed(order, console):
            console.print("Nothing was applied.")
            return False
        terraform.openly("apply", "-compact-warnings", "-lock-timeout=5m", str(plan))
    console.print(f"[green]✓[/] {order.environment} is as planned")
    return True


class Terraform:
    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console

    def quietly(self, command: str, *arguments: str) -> str:
        """Returns what it wrote; shows it only if it failed."""
        with self._console.status(f"terraform {command} …"):
            done = self._run(command, "-no-color", *arguments, capture_output=True)
        if done.returncode:
            self._console.print(done.stdout + done.stderr, markup=False)
            raise Failed(done.returncode)
        return done.stdout

    def openly(self, command: str, *arguments: str) -> None:
        plain = [] if self._console.is_terminal else ["-no-color"]
        if status := self._run(command, *plain, *arguments).returncode:
            raise Failed(status)

    def _run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Ctrl-C reaches Terraform too, which then ends what it is at and saves the state: wait for it.

        Python would kill it after a quarter of a second, and the state would lack what was made.
        """
        before = signal.signal(signal.SIGINT, _wait)
        try:
            return subprocess.run(  # noqa: S603 - its name and ours
                ["terraform", f"-chdir={self._folder}", *arguments],  # noqa: S607 - the operator's own
                env={**os.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
                text=True,
                check=False,
                **options,
            )
        finally:
            signal.signal(signal.SIGINT, before)


def _wait(signal_number: int, frame: FrameType | None) -> None: ...


def _project_of(environment: str) -> str:
    file = _ENVIRONMENTS / f"{environment}.tfvars"
    known = sorted(path.stem for path in _ENVIRONMENTS.glob("*.tfvars"))
    if environment not in known:
        raise Refused(f"There is no environment {environment!r}; there are {', '.join(known)}.")
    found = re.search(r'^\s*project_id\s*=\s*"([^"]+)"', file.read_text(), re.MULTILINE)
    if found is None:
        raise Refused(f"{file.relative_to(ROOT)} does not say project_id.")
    return found[1]


def _services_of(order: Order) -> list[str]:
    """What is deployed; all means all else too, unless it is for an older commit."""
    known = [function.name for function in catalog.read()]
    if order.service is not None:
        if order.service not in known:
            raise Refused(f"There is no service {order.service!r}; there are {', '.join(known)}.")
        known = [order.service]
    if order.ref is None:
        return known
    if not _git("rev-parse", "--quiet", "--verify", f"{order.ref}^{{commit}}"):
        raise Refused(f"There is no commit {order.ref!r} here; is it fetched?")
    there = _git("ls-tree", "--name-only", order.ref, "functions/").split()
    services = [name for name in known if f"functions/{name}" in there]
    if not services:
        raise Refused(f"{order.ref} has no {', '.join(known)}.")
    return services


def _check_clean(order: Order, console: Console) -> None:
    """What runs in production can be found in the repository."""
    if order.environment != _ASKED or not _git("status", "--porcelain", or_else=None):
        return
    if not order.dirty_because:
        raise Refused("The working tree has changes that are not committed; see git status.")
    console.print(f"[yellow]![/] with changes that are not committed: {order.dirty_because}")


@contextmanager
def _here() -> Iterator[Path]:
    yield ROOT


@contextmanager
def _as_it_was(ref: str, services: list[str]) -> Iterator[Path]:
    """What is committed here, but with what these functions are built from as it was at `ref`.

    Not the whole of that commit: its Terraform would take away what has been added since, and its
    catalogue knows nothing of today's grants.
    """
    with tempfile.TemporaryDirectory(prefix="healthhub-ref-") as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), "HEAD", or_else=None)
        try:
            sources = ["common", "requirements.txt", "pyproject.toml"]
            sources += [f"functions/{name}" for name in services]
            restore = ["restore", f"--source={ref}", "--worktree", "--", *sources]
            _git("-C", str(tree), *restore, or_else=None)
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _options(order: Order, services: list[str]) -> list[str]:
    options = [f"-var-file=environments/{order.environment}.tfvars"]
    if order.is_plan_only:
        options.append("-lock=false")  # who only plans may only read
    else:
        options.append("-lock-timeout=5m")
    if order.service or order.ref:
        options += [f'-target=module.function["{name}"]' for name in services]
    return options


def _show(plan: dict[str, Any], console: Console) -> bool:
    """Show what would change, by name; returns whether anything would."""
    changes: list[tuple[str, str]] = []
    for resource in plan.get("resource_changes", []):
        if named := _ACTIONS.get(tuple(resource["change"]["actions"])):
            changes.append((named[0], resource["address"]))
    counted = []
    for action, style in dict(_ACTIONS.values()).items():
        addresses = sorted(address for done, address in changes if done == action)
        for address in addresses:
            console.print(f"  {action:<8}", style=style, end="")
            console.print(address, markup=False, soft_wrap=True)
        if addresses:
            counted.append(f"{len(addresses)} to {action}")
    if outputs := sorted(
        name for name, of in plan.get("output_changes", {}).items() if _is_new(of)
    ):
        counted.append(f"outputs {', '.join(outputs)}")
    console.print(f"[bold]{', '.join(counted) or 'nothing to change'}[/]")
    return bool(counted)


def _is_new(change: dict[str, Any]) -> bool:
    actions: list[str] = change["actions"]
    return actions != ["no-op"]


def _tell_what_is_left_out(order: Order, services: list[str], console: Console) -> None:
    if not (order.service or order.ref):
        return
    others = [each.name for each in catalog.read() if each.name not in services]
    console.print(
        f"Only {', '.join(services)}, and what they stand on. Left out: "
        + (f"{', '.join(others)} (even where common/ changed), " if others else "")
        + "triggers and schedules, grants, indexes and rules, the load balancer's paths, alerts."
    )


def _is_agreed(order: Order, console: Console) -> bool:
    if order.environment != _ASKED or order.is_agreed:
        return True
    try:
        answer = console.input(f"Type {order.environment} to apply this: ")
    except EOFError:
        answer = ""
    return answer.strip() == order.environment


def _described(ref: str | None) -> str:
    return _git("describe", "--tags", "--always", *([ref] if ref else ["--dirty"])) or "no commit"


def _git(*arguments: str, or_else: str | None = "") -> str:
    """What git says, or `or_else` if it fails; with None that is a refusal."""
    done = subprocess.run(  # noqa: S603 - a ref that git doesn't know is refused before
        ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - the operator's own
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout.strip()
    if or_else is None:
        raise Refused(f"git could not: {done.stderr.strip()}")
    return or_else
