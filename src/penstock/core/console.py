"""The command line's shared parts: options, opening the home, output for people and for machines."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from penstock.core import log
from penstock.core.auth import service as auth
from penstock.core.errors import Cancelled, PenstockError
from penstock.core.home import Home
from penstock.core.say import fail as fail
from penstock.core.say import note as note
from penstock.core.scope import Actor
from penstock.core.settings import CoreSettings

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAILED = 1
EXIT_CHECK_FAILED = 3
EXIT_INTERRUPTED = 130

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Data folder; default: $PENSTOCK_HOME, else ~/.penstock.", show_default=False
    ),
]
ProjectOption = Annotated[str, typer.Option("--project", help="Project to work in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines on standard output.")]


def group(name: str, text: str) -> typer.Typer:
    """Return an empty command group."""
    return typer.Typer(name=name, help=text, no_args_is_help=True, add_completion=False)


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Turn deliberate errors of a command into one sentence on standard error and exit code 1."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Cancelled as error:
            note(str(error))
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except PenstockError as error:
            fail(error)
            raise typer.Exit(EXIT_FAILED) from error

    return run


@contextmanager
def open_home(path: Path | None, project: str = "default") -> Iterator[tuple[Home, Actor]]:
    """Yield the home and its owner (whoever can read the data folder owns the installation)."""
    with Home.open(path) as home:
        core = home.settings.section(CoreSettings)
        log.configure(core.log_level, core.log_style)
        with home.begin() as uow:
            owner, _ = auth.ensure_owner(uow)
            actor = auth.enter_project(uow, owner.actor(), project)
        yield home, actor


def emit(value: Any, as_json: bool, table: Callable[[], Table | str] | None = None) -> None:
    """Print `value` as JSON, or what `table()` returns for people."""
    if as_json or table is None:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2)
        sys.stdout.write(text.decode() + "\n")
        return
    shown = table()
    if isinstance(shown, str):
        sys.stdout.write(shown + "\n")
    else:
        Console().print(shown)


def rows(columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> Table:
    """Return a plain table for `emit`."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for line in lines:
        table.add_row(*("" if cell is None else str(cell) for cell in line))
    return table
