"""`python -m ops …`: run with the project's own credentials, or against the emulators."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from common.models import Role
from common.settings import ConfigurationError, settings

cli = typer.Typer(add_completion=False, no_args_is_help=True, help="HealthHub's operator commands.")
console = Console(highlight=False)


@cli.callback()
def check_environment(context: typer.Context) -> None:
    if context.invoked_subcommand == "deploy":
        return  # Terraform has settings of its own, and who deploys has none of the functions' keys
    try:
        settings()
    except ConfigurationError as problem:
        _fail(str(problem))


@cli.command()
def grant_role(email: str, role: Role) -> None:
    """Give an account a role; the first administrator is made so."""
    from ops.grant_role import NoSuchAccount, grant_role

    try:
        uid = asyncio.run(grant_role(email, role))
    except NoSuchAccount as problem:
        _fail(str(problem))
    console.print(f"{uid} is now {role}; it counts everywhere within 30 seconds")


@cli.command()
def import_users(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
) -> None:
    """Import users with bcrypt hashes from CSV; exits with 1 if a line was bad."""
    from ops.import_users import NotImportable, import_users

    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            report = asyncio.run(import_users(lines))
    except NotImportable as problem:
        _fail(str(problem))
    for number, reason in report.bad_lines:
        console.print(f"line {number}: {reason}", markup=False)
    console.print(
        f"{report.imported} imported, {report.present} already there, {len(report.bad_lines)} bad"
    )
    if report.bad_lines:
        raise typer.Exit(1)


@cli.command()
def dead_letters() -> None:
    """Show what functions could not take, and why."""
    from ops.replay import list_dead

    table = Table("id", "function", "reason", "attempts", "since", title_justify="left")
    for letter in (letters := asyncio.run(list_dead())):
        since = f"{letter.create_time:%Y-%m-%d %H:%M}"
        table.add_row(letter.id, letter.function, letter.reason, str(letter.attempts), since)
    console.print(table if letters else "no dead letters")


@cli.command()
def replay(
    letter: Annotated[str | None, typer.Option("--id", help="One dead letter only.")] = None,
    function: Annotated[str | None, typer.Option(help="Those of one function only.")] = None,
) -> None:
    """Have dead letters delivered again; those that are taken at last are forgotten."""
    from ops.replay import replay

    console.print(f"{asyncio.run(replay(letter, function))} delivered again")


@cli.command()
def retry_transcription(transcription_id: str) -> None:
    """Begin a failed recording anew."""
    from ops.replay import NotFailed, retry_transcription

    try:
        asyncio.run(retry_transcription(transcription_id))
    except NotFailed as problem:
        _fail(str(problem))
    console.print("begun again")


@cli.command()
def retry_image(image_id: str) -> None:
    """Begin a failed image anew."""
    from ops.replay import NotFailed, retry_image

    try:
        asyncio.run(retry_image(image_id))
    except NotFailed as problem:
        _fail(str(problem))
    console.print("begun again")


@cli.command()
def load_knowledge(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, readable=True)],
    prune: Annotated[bool, typer.Option(help="Delete entries that the folder has not.")] = False,
) -> None:
    """Load Markdown files into the knowledge base; what has not changed is left alone."""
    from common.problems import Unavailable
    from ops.load_knowledge import NotAnEntry, load_knowledge

    try:
        with console.status("Reading, and asking what each entry means …"):
            report = asyncio.run(load_knowledge(folder, prune=prune))
    except (NotAnEntry, Unavailable) as problem:
        _fail(str(problem))
    console.print(f"{report.stored} stored, {report.unchanged} unchanged, {report.deleted} deleted")


@cli.command()
def rotate_keys(
    data_keys: Annotated[
        bool, typer.Option("--data-keys", help="Give each patient a new data key too.")
    ] = False,
) -> None:
    """Wrap all patients' keys under the newest version of the KMS key."""
    from ops.rotate_keys import rotate_keys

    with console.status("Rotating; with --data-keys this waits five minutes in between …"):
        report = asyncio.run(rotate_keys(data_keys))
    for patient_id in report.failed:
        console.print(f"[red]✗[/] {patient_id}: its key could not be unwrapped or wrapped")
    console.print(
        f"{report.rotated} rotated, {report.destroyed} destroyed ones left as they are, "
        f"{len(report.failed)} failed"
    )
    if report.failed:
        raise typer.Exit(1)


@cli.command()
def verify_audit(
    logs: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="Exported audit log lines."),
    ] = None,
) -> None:
    """Look for audit events that were altered, deleted or moved; exits with 1 if there are any."""
    from ops.verify_audit import NotALog, verify_audit

    try:
        with console.status("Reading the audit trail …"), ExitStack() as files:
            opened = [files.enter_context(path.open(encoding="utf-8")) for path in logs or []]
            report = asyncio.run(verify_audit(*opened))
    except NotALog as problem:
        _fail(str(problem))
    for found in report.breaks:
        console.print(f"[red]✗[/] {found.id}: {found.reason}")
    console.print(
        f"{report.events} events verified, {report.lines} log lines compared, "
        f"{len(report.breaks)} wrong"
    )
    if not logs:
        console.print("Without --logs the newest event of each chain can't be vouched for.")
    if report.breaks:
        raise typer.Exit(1)


@cli.command()
def check_zones() -> None:
    """List appointments whose local time the installed time zone database moves; exits with 1 if any."""
    from ops.check_zones import check_zones

    with console.status("Reading the appointments ahead …"):
        report = asyncio.run(check_zones())
    for moved in report.moved:
        console.print(
            f"[red]✗[/] {moved.appointment_id} of doctor {moved.doctor_id}: made for "
            f"{moved.was_for} {moved.time_zone} (database {moved.zone_version}), "
            f"now at {moved.is_at}"
        )
    console.print(
        f"{report.looked_at} appointments ahead, {len(report.moved)} moved by database "
        f"{report.version}"
    )
    if report.moved:
        console.print("Move each with its patient: POST /v1/appointments/reschedule/{id}.")
        raise typer.Exit(1)


@cli.command()
def reapply_erasures() -> None:
    """After a restore from a copy: erase again who had been erased since."""
    from ops.reapply_erasures import reapply_erasures

    console.print(f"{asyncio.run(reapply_erasures())} patients erased again")


@cli.command()
def deploy(
    environment: str,
    service: Annotated[str | None, typer.Option(help="One function only.")] = None,
    ref: Annotated[
        str | None, typer.Option(help="Functions as they were at this tag or commit.")
    ] = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Show what would change.")] = False,
    details: Annotated[bool, typer.Option("--details", help="Show the whole plan too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask, in production either.")] = False,
    dirty: Annotated[
        str, typer.Option(metavar="REASON", help="Production from what is not committed, and why.")
    ] = "",
) -> None:
    """Plan an environment, show what changes, apply it; exits with 1 if it was not applied."""
    from ops.deploy import Failed, Order, Refused, deploy

    order = Order(environment, service, ref, plan_only, details, yes, dirty)
    try:
        is_done = deploy(order, console)
    except Refused as problem:
        _fail(str(problem))
    except Failed as problem:
        console.print(
            "[red]✗[/] Terraform failed. What it had done is in the state: mend the cause, run it again."
        )
        raise typer.Exit(problem.status) from None
    if not is_done:
        raise typer.Exit(1)


def _fail(reason: str) -> None:
    console.print(f"[red]✗[/] {reason}")
    raise typer.Exit(2)


if __name__ == "__main__":
    cli(prog_name="python -m ops")
