"""Child processes: results come back, deaths are told, cancel stops them."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from penstock.core import children
from penstock.core.children import run_child
from penstock.core.errors import Cancelled, ChildFailed, Invalid

CHILD = """
import os, signal, sys, time
sys.path.insert(0, os.environ["CHILD_SRC"])
from penstock.core import child, plugins
from penstock.core.errors import Invalid

class Plugin:
    @staticmethod
    def run(spec, report):
        print("printed by a library")
        report({"at": 1})
        what = spec["what"]
        if what == "invalid": raise Invalid("Row 3 is empty.", hint="Fix it.")
        if what == "crash": raise RuntimeError("boom")
        if what == "kill": os.kill(os.getpid(), signal.SIGKILL)
        if what == "sleep": time.sleep(60)
        return {"said": what}

plugins.load = lambda group, name: Plugin
sys.exit(child.main(*sys.argv[1:]))
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    script = tmp_path / "child_main.py"
    script.write_text(CHILD)
    monkeypatch.setenv("CHILD_SRC", str(Path(children.__file__).parents[2]))
    start = children.subprocess.Popen

    def popen(arguments: list[str], **options: Any) -> Any:
        return start([sys.executable, str(script), *arguments[3:]], **options)

    monkeypatch.setattr(children.subprocess, "Popen", popen)

    def call(what: str, **options: Any) -> dict[str, Any]:
        return run_child("trainers", "test", {"what": what}, workdir=tmp_path / "work", **options)

    return call


def test_progress_and_the_result_come_back_and_prints_go_to_the_log(run: Any, tmp_path: Path) -> None:
    reports: list[dict[str, Any]] = []
    assert run("hello", on_progress=reports.append) == {"said": "hello"}
    assert reports == [{"at": 1}]
    assert children.tail(tmp_path / "work" / "child.log") == "printed by a library"


def test_a_deliberate_error_keeps_its_kind_and_hint(run: Any) -> None:
    with pytest.raises(Invalid) as told:
        run("invalid")
    assert (told.value.message, told.value.hint) == ("Row 3 is empty.", "Fix it.")


def test_a_crash_shows_the_end_of_the_log(run: Any) -> None:
    with pytest.raises(ChildFailed, match="RuntimeError: boom"):
        run("crash")


def test_a_kill_is_named(run: Any) -> None:
    with pytest.raises(ChildFailed, match=r"was killed by SIGKILL \(out of memory\?\)"):
        run("kill")


def test_cancel_ends_the_child(run: Any) -> None:
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run("sleep", cancelled=lambda: time.monotonic() - began > 1)
    assert time.monotonic() - began < 30


def test_a_listener_that_raises_fails_the_run(run: Any) -> None:
    def broken(_: dict[str, Any]) -> None:
        raise Invalid("no place to store progress")

    with pytest.raises(Invalid, match="no place"):
        run("hello", on_progress=broken)
