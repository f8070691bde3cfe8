"""A private PostgreSQL for the tests: own data folder, loopback only, never as root.

    python -m tests.postgres start DIR      prints the URL to put into PENSTOCK_TEST_POSTGRES
    python -m tests.postgres stop DIR

Needs the server programs of PostgreSQL 15 or newer (Debian: `apt-get install postgresql`). DIR must not exist.
"""

import argparse
import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

UNPRIVILEGED = ("postgres", "nobody")
SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}
"""For a database that lives as long as a test run: no promise to survive a power cut."""


def program(name: str) -> str:
    """Return the path of a server program; Debian keeps them out of PATH."""
    found = shutil.which(name)
    if found:
        return found
    installed = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]), reverse=True
    )
    if not installed:
        sys.exit(f"{name} is not installed. Run:  apt-get install -y postgresql")
    return str(installed[0])


def _server_user() -> str | None:
    """Return whom to run the server as when we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def _run(folder: Path, *command: str) -> None:
    log = folder.with_suffix(".log")
    # Output goes to a file: the server inherits it, and a pipe would stay open for as long as the server lives.
    with log.open("ab") as output:
        result = subprocess.run(
            command,
            user=_server_user(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if result.returncode:
        sys.exit(f"{command[0]} failed:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(folder: Path) -> str:
    """Make a cluster in `folder`, start it, and return its URL."""
    folder.mkdir(mode=0o700, parents=True)
    user = _server_user()
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    _run(
        folder,
        program("initdb"),
        "-D",
        str(data),
        "-U",
        "penstock",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
    )
    with (data / "postgresql.conf").open("a") as config:
        config.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
    port = _free_port()
    _run(
        folder,
        program("pg_ctl"),
        "-D",
        str(data),
        "-o",
        f"-p {port}",
        "-l",
        str(folder / "server.log"),
        "-w",
        "start",
    )
    return f"postgresql://penstock@127.0.0.1:{port}/postgres"


def stop(folder: Path) -> None:
    """Stop the cluster in `folder` and remove it; does nothing when there is none."""
    data = folder / "data"
    if (data / "postmaster.pid").exists():
        _run(folder, program("pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".log").unlink(missing_ok=True)


def main() -> None:
    """Start or stop, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["start", "stop"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    if arguments.verb == "start":
        print(start(folder))
    else:
        stop(folder)


if __name__ == "__main__":
    main()
