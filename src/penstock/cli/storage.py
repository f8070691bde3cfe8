"""`penstock storage`: the files that the installation keeps."""

from typing import Annotated

import typer

from penstock.app.blobs import NAMES
from penstock.core import console, garbage
from penstock.core.console import HomeOption, JsonOption
from penstock.core.garbage import Collected

app = console.group("storage", "Stored files: delete those that nothing names any more.")


@app.callback()
def _group() -> None:
    """Keep `clean` a command of its own."""


def _said(done: Collected) -> str:
    would = "Would have " if done.dry_run else ""
    lines = [
        f"Looked at {done.blobs} stored files.",
        f"{would}set aside {done.set_aside} that nothing names ({done.set_aside_bytes} bytes).",
        f"{would}taken back {done.taken_back} that something names again.",
        f"{would}deleted {done.deleted} that were set aside before ({done.deleted_bytes} bytes).",
    ]
    return "\n".join(line[0].upper() + line[1:] for line in lines)


@app.command()
@console.guarded
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set aside stored files that no record names, and delete those set aside a while ago."""
    with console.open_home(home) as (opened, actor):
        done = garbage.collect(opened, actor, NAMES, dry_run=dry_run)
    console.emit(done, as_json, lambda: _said(done))
