"""Shared fixtures: homes on both engines, an owner, a signed-in client, and a closed network."""

import logging
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from starlette.testclient import TestClient

from penstock.app.server import Penstock
from penstock.core.auth import service as auth
from penstock.core.db import Database, sqlite_url
from penstock.core.home import Home
from penstock.core.http.dependencies import SESSION_COOKIE
from penstock.core.log import JsonFormatter, LineFormatter
from penstock.core.migrate import migrate
from penstock.core.scope import Actor
from tests.databases import Recycled, new_database
from tests.schedule import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.sockets import named_sockets as named_sockets

POSTGRES = "PENSTOCK_TEST_POSTGRES"
"""URL of a PostgreSQL server on which the tests may create databases."""

# Machines are shared: slow is not wrong. Repeatable, so that a change is not refused for what it did not do;
# `HYPOTHESIS_PROFILE=search` looks for new failures.
hypothesis.settings.register_profile("penstock", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "penstock"))

_connect = socket.socket.connect


def _loopback_only(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        host = address[0]
        if not (host.startswith("127.") or host in ("::1", "localhost")):
            raise RuntimeError(f"tests must not connect to {host}")
    _connect(self, address)


@pytest.fixture(autouse=True, scope="session")
def closed_network() -> Iterator[None]:
    """Block every connection that leaves the machine."""
    socket.socket.connect = _loopback_only  # type: ignore[method-assign]
    yield
    socket.socket.connect = _connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own settings and home out of the tests."""
    for name in list(os.environ):
        if name.startswith("PENSTOCK_") and not name.startswith("PENSTOCK_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "default-home"))
    # A server that a slow or halted machine makes late would turn calls away, and rightly; the tests of that set it.
    monkeypatch.setenv("PENSTOCK_SERVER__SHED_LAG_MS", "0")


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Undo what a test's command or server set up for logs: its standard error is closed when the test is over."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    ours = (JsonFormatter, LineFormatter)
    root.handlers[:] = [each for each in root.handlers if not isinstance(each.formatter, ours)]


def _engines() -> list[str]:
    return ["sqlite", "postgresql"] if os.environ.get(POSTGRES) else ["sqlite"]


def _server() -> str:
    server = os.environ.get(POSTGRES)
    if not server:
        pytest.skip(f"set {POSTGRES} to a PostgreSQL URL to run this")
    return server


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A fresh, empty PostgreSQL database, dropped afterwards; skips when no server is configured."""
    with new_database(_server()) as url:
        yield url


# Bringing a new database up to date costs a quarter of a second, and most tests want one: copies cost a hundredth.
@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an up-to-date, empty SQLite database."""
    path = tmp_path_factory.mktemp("template") / "penstock.db"
    db = Database(sqlite_url(path))
    migrate(db)
    db.close()
    return path


@pytest.fixture(scope="session")
def recycled() -> Iterator[Recycled]:
    """The PostgreSQL database that the tests of this process use one after the other."""
    database = Recycled(_server())
    yield database
    database.close()


def _folder(tmp_path: Path, template: Path) -> Path:
    folder = tmp_path / "home"
    if not folder.exists():  # a home on PostgreSQL may be there already, and this one more hold on it
        folder.mkdir(mode=0o700)
        shutil.copy(template, folder / "penstock.db")
    return folder


@pytest.fixture
def sqlite_home(tmp_path: Path, sqlite_template: Path) -> Iterator[Home]:
    """An empty home on SQLite."""
    with Home.open(_folder(tmp_path, sqlite_template)) as home:
        yield home


@pytest.fixture(params=_engines())
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """An empty home, on SQLite and (when a server is configured) on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_home")
        return
    recycled: Recycled = request.getfixturevalue("recycled")
    monkeypatch.setenv("PENSTOCK_CORE__DATABASE_URL", recycled.url)
    with Home.open(tmp_path / "home") as opened:
        yield opened
    recycled.clear()


def owner_of(home: Home) -> Actor:
    """Return the home's owner, made if need be."""
    with home.begin() as uow:
        person, _ = auth.ensure_owner(uow)
    return person.actor()


@pytest.fixture
def actor(home: Home) -> Actor:
    """The owner of `home`, in the default project."""
    return owner_of(home)


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def client(home: Home, actor: Actor) -> Iterator[TestClient]:
    """A browser signed in as the owner, talking to the whole app."""
    with home.begin() as uow:
        owner, _ = auth.ensure_owner(uow)
        session = auth.sign_in(uow, auth.create_sign_in(uow, owner))
    with TestClient(Penstock(home), cookies={SESSION_COOKIE: session}) as opened:
        yield opened
