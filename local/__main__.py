"""`python -m local dev | seed | demo`: what `make dev`, `make seed` and `make demo` run."""

import os
import signal
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from local import tools, web
from local.bootstrap import ROOT
from local.platform import Platform, running
from local.ports import HOST, Ports
from local.processes import StartFailed

cli = typer.Typer(add_completion=False, help="HealthHub on this machine.", no_args_is_help=True)
console = Console(highlight=False)
RUN_DIR = ROOT / ".healthhub"
_NAMES = {
    "firestore": "Firestore emulator",
    "auth": "Firebase Auth emulator",
    "pubsub": "Pub/Sub emulator",
    "storage": "Storage emulator",
    "kms": "KMS stand-in",
    "speech": "Speech-to-Text stand-in",
    "vision": "Vision stand-in",
    "model": "OpenAI stand-in",
    "clamd": "clamd stand-in",
    "outbox": "FCM and mail stand-ins",
}


@cli.command()
def dev(
    seed: Annotated[bool, typer.Option(help="Fill in the demo data.")] = True,
) -> None:
    """Start everything, and keep it running until Ctrl-C."""
    started = time.monotonic()
    for sent in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # a shell has what it puts in the background ignore the first
        signal.signal(sent, _as_interrupt)
    try:
        with console.status("Looking for Java, Node and the emulators …"):
            found = tools.find()
        platform = Platform(found, Ports.usual(), RUN_DIR, is_demo=True, is_clocked=True, say=_tell)
        with console.status("Starting emulators, functions and gateway …"):
            platform.start()
    except (tools.ToolMissing, StartFailed) as problem:
        console.print(f"[red]✗[/] {problem}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("Stopped.")
        raise typer.Exit(130) from None
    try:
        if seed:
            with console.status("Filling in the demo data …"):
                _seed(platform)
        threading.Thread(target=_build_example, args=[found.node], daemon=True).start()
        _welcome(platform, time.monotonic() - started)
        _follow(platform)
    except KeyboardInterrupt:
        console.print()
    finally:
        with console.status("Stopping …"):
            platform.stop()
        console.print("Stopped. Nothing is left running.")


@cli.command()
def seed() -> None:
    """Fill the demo data into the platform that `make dev` started; again is no harm."""
    platform = Platform(tools.find(), Ports.usual(), RUN_DIR, is_demo=True, say=_tell)
    try:
        urllib.request.urlopen(f"http://{HOST}:{platform.ports.auth}", timeout=2).close()
    except OSError:
        console.print("[red]✗[/] The platform is not running: start it with `make dev` first.")
        raise typer.Exit(1) from None
    _seed(platform)


@cli.command()
def demo() -> None:
    """Tell one patient's journey, on the platform that runs or on one that is started for it."""
    from local.journey import Journey, Stuck

    with ExitStack() as stack:
        platform = Platform(tools.find(), Ports.usual(), RUN_DIR, is_demo=True)
        if not _is_running(platform):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="healthhub-demo-"))
            platform = Platform(tools.find(), Ports.free(), Path(folder), is_demo=True)
            with console.status("Starting a platform …"):
                stack.enter_context(running(platform))
            with console.status("Filling in the demo data …"):
                _seed(platform)
        try:
            Journey(platform.url, platform.fire, console).run()
        except Stuck as problem:
            console.print(f"[red]✗[/] {problem}")
            raise typer.Exit(1) from None


def _is_running(platform: Platform) -> bool:
    try:
        urllib.request.urlopen(f"{platform.url}/v1/health/users", timeout=2).close()
    except OSError:
        return False
    return True


def _seed(platform: Platform) -> None:
    os.environ.update(platform.client_env())
    from local import seed as demo  # after the environment says where the emulators are

    counts = demo.fill()
    _tell("demo data: " + ", ".join(f"{count} {what}" for what, count in counts.items()))


def _build_example(node: str) -> None:
    """Ahead of whoever opens it. The platform does not wait for it, nor end with it."""
    try:
        web.example(node)
    except (tools.ToolMissing, web.BuildFailed) as problem:
        console.print(f"[yellow]![/] The example app could not be built: {problem}")


def _welcome(platform: Platform, seconds: float) -> None:
    table = Table(title="HealthHub is running", title_justify="left", show_header=False)
    for what, address in (
        ("API", f"{platform.url}/v1"),
        ("API explorer", f"{platform.url}/docs"),
        ("Example app", f"{platform.url}/example/"),
        ("What goes on", f"{platform.url}/dev"),
        ("Push and mail sent", f"{platform.url}/dev/outbox"),
        ("Traces", f"{platform.url}/dev/traces"),
        *((_NAMES[name], platform.addresses[name]) for name in _NAMES),
        *((f"function {name}", url) for name, url in platform.functions.items()),
        ("logs", str((platform.run_dir / "logs").relative_to(ROOT))),
    ):
        table.add_row(what, address)
    console.print(table)
    console.print("Demo accounts, all with the password [bold]healthhub-demo[/]:")
    for role in ("patient", "doctor", "admin"):
        console.print(f"  {role}@demo.healthhub.test")
    console.print(
        f"Ready after {seconds:.0f} seconds. Ctrl-C stops everything. Requests appear here:"
    )


def _follow(platform: Platform) -> None:
    """Show each request as the gateway reports it, and end when a process does."""
    log = platform.run_dir / "logs" / "gateway.log"
    with log.open() as lines:
        while (failed := platform.children.failed()) is None:
            if line := lines.readline():
                console.print(f"  {line.rstrip()}", markup=False)
            else:
                time.sleep(0.2)
    console.print(f"[red]✗[/] {failed.failure()}")
    raise typer.Exit(1)


def _tell(line: str) -> None:
    console.print(f"[green]✓[/] {line}")


def _as_interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    cli(prog_name=f"python -m {Path(__file__).parent.name}")
