"""`penstock subjects`: erase or export everything about a user or a session."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from penstock.app.subjects import HANDLERS
from penstock.core import console, subjects
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.subjects import Erased

app = console.group("subjects", "People and sessions: erase or export everything about one.")

UserOption = Annotated[str | None, typer.Option("--user", help="User, as the application named it.")]
SessionOption = Annotated[str | None, typer.Option("--session", help="Session.")]


def _said(done: Erased) -> str:
    verb = "Would erase" if done.dry_run else "Erased"
    counts = [
        f"{number} {what} of {name}" for name, held in done.removed.items() for what, number in held.items()
    ]
    lines = [f"{verb} {', '.join(counts)}."]
    if done.made_from:
        lines.append("Made of it, and left as it is; decide about each:")
        lines += [f"  {kind} {ref}" for kind, ref in done.made_from]
    return "\n".join(lines)


@app.command()
@console.guarded
def erase(
    user: UserOption = None,
    session: SessionOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Delete everything about a user or session for good; name what was made of it and stays."""
    subject = subjects.one_subject(user=user, session=session)
    if not yes and not dry_run and not typer.confirm("Erase this for good?", err=True):
        raise typer.Exit(1)
    with console.open_home(home, project) as (opened, actor):
        done = subjects.erase(opened, actor, HANDLERS, subject, dry_run=dry_run)
    console.emit(done, as_json, lambda: _said(done))


@app.command()
@console.guarded
def export(
    user: UserOption = None,
    session: SessionOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="File to write; default: standard output.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Write everything about a user or session as JSON lines of slice, kind and data."""
    subject = subjects.one_subject(user=user, session=session)
    with console.open_home(home, project) as (opened, actor):
        lines = subjects.export(opened, actor, HANDLERS, subject)
        if to is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            return
        try:
            with to.open("wb") as file:
                count = sum(file.write(line) > 0 for line in lines)
        except OSError as error:
            raise Invalid(f"{to} cannot be written: {error.strerror}.") from error
    console.note(f"Wrote {count} records to {to}.")
