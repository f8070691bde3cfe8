"""`penstock restart`: replace every process of a running server, without dropping a request."""

import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import clock, console
from penstock.core.console import HomeOption
from penstock.core.errors import NotFound, PenstockError, Unavailable
from penstock.core.home import locate

app = typer.Typer(add_completion=False)
PAUSE = 0.1


class RestartFailed(PenstockError):
    """The new processes did not start; the old ones go on."""

    code = "restart_failed"


def _state(home: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = msgspec.json.decode((home / "run" / "supervisor.json").read_bytes())
        os.kill(state["pid"], 0)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotFound(f"No server runs on the home {home}.", hint="Start it: penstock up") from error
    return state


@app.command()
@console.guarded
def restart(
    home: HomeOption = None,
    seconds: Annotated[float, typer.Option("--timeout", help="How long to wait for the end of it.")] = 600.0,
) -> None:
    """Replace the web workers one by one, then the background process; settings and code are read anew.

    Calls and streams in flight finish (within server.drain_seconds) and new ones go to the new workers.
    """
    folder = locate(home)
    before = _state(folder)
    os.kill(before["pid"], signal.SIGHUP)
    deadline = clock.monotonic() + seconds
    while (state := _state(folder))["restarts"] == before["restarts"]:
        if clock.monotonic() > deadline:
            raise Unavailable(f"The restart is not over after {seconds:g} seconds; it goes on.")
        time.sleep(PAUSE)
    if state["problem"]:
        raise RestartFailed(state["problem"], hint="The reason is in the server's own output.")
    typer.echo("Every process was replaced.")
