"""Where the own server is: told, running, or configured."""

import json
import os
import subprocess
import sys

import pytest

from penstock.core.address import STATE, own_address
from penstock.core.errors import Invalid
from penstock.core.home import Home


def _runs(home: Home, pid: int) -> None:
    path = home.path / STATE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "url": "http://127.0.0.1:8699"}))


def _ended() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_is_told_comes_first(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    _runs(sqlite_home, os.getpid())
    monkeypatch.setenv("PENSTOCK_URL", "https://penstock.example/")
    assert own_address(sqlite_home) == "https://penstock.example"


def test_then_the_server_that_runs(sqlite_home: Home) -> None:
    _runs(sqlite_home, os.getpid())
    assert own_address(sqlite_home) == "http://127.0.0.1:8699"
    _runs(sqlite_home, _ended())
    assert own_address(sqlite_home) == "http://127.0.0.1:8600"


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:9"), ("10.1.2.3", "http://10.1.2.3:9")]
)
def test_then_the_settings(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER__HOST", host)
    monkeypatch.setenv("PENSTOCK_SERVER__PORT", "9")
    with Home.open(sqlite_home.path) as home:
        assert own_address(home) == url


def test_a_port_that_is_not_known_is_said(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER__PORT", "0")
    with Home.open(sqlite_home.path) as home, pytest.raises(Invalid, match="not fixed"):
        own_address(home)
