"""`penstock up`: check what can be checked, then become the supervisor."""

import errno
import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from penstock.core import console
from penstock.core.console import HomeOption
from penstock.core.errors import Busy, Invalid
from penstock.core.home import Home, exclusive, locate, make_folder
from penstock.core.settings import ServerSettings, load

app = typer.Typer(add_completion=False)
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where programs of this machine reach a server that listens on every address."""
PARENT = "PENSTOCK_PARENT"
"""Process id of a program that started the server for itself: the server ends when that program does."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on host:port; raises Busy for a port in use, Invalid for a bad address."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        server = socket.socket(family, kind, proto)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(2048)
    except socket.gaierror as error:
        raise Invalid(f"{host!r} is not an address of this machine.", hint="Try --host 127.0.0.1.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Busy(
                f"The port {port} on {host} is in use.",
                hint=f"Stop what uses it, or choose another: penstock up --port {port + 1}",
            ) from error
        raise Invalid(
            f"Cannot listen on {host}:{port}: {error.strerror}.", hint="Check --host and --port."
        ) from error
    return server


def check_free(home: Path) -> None:
    """Raise Busy when a server runs on the home."""
    try:
        with exclusive(home / "up.lock"):
            return
    except Busy as error:
        raise Busy(
            f"Penstock is already running on the home {home}.",
            hint="Stop it first, or give another home with --home.",
        ) from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def free_port(preferred: int) -> int:
    """Return `preferred` when nothing listens there on loopback, else some free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@app.command()
@console.guarded
def up(
    home: HomeOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 picks a free one.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=64, help="Web processes.")] = None,
) -> None:
    """Start everything: UI, API, gateway and background work, until Ctrl-C."""
    folder = locate(home)
    make_folder(folder)
    settings = load(folder / "penstock.toml").section(ServerSettings)
    check_free(folder)
    server = listen(host or settings.host, settings.port if port is None else port)
    # Here, so that what migrations load is gone with this process's replacement below.
    with Home.open(folder):
        pass
    os.set_inheritable(server.fileno(), True)
    bound = server.getsockname()
    plan = {
        "home": str(folder),
        "fd": server.fileno(),
        "url": settings.public_url or _url(bound[0], bound[1]),
        "local_url": _url(LOOPBACK.get(bound[0], bound[0]), bound[1]),
        "workers": workers or settings.workers,
        "parent": int(os.environ.get(PARENT, "0")),
        "drain_seconds": settings.drain_seconds,
        "drain_delay_seconds": settings.drain_delay_seconds,
    }
    sys.stdout.flush()
    # The supervisor lives as long as the server: replacing this process frees what parsing the command loaded.
    os.execv(sys.executable, [sys.executable, "-m", "penstock.cli.supervisor", json.dumps(plan)])
