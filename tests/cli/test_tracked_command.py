"""A command as a tracked run: whatever it prints and starts, it is followed to its end and no further."""

import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from penstock.cli import tracked_command
from penstock.cli.tracked_command import Output, Reading, carry_out, metrics_of
from penstock.sdk.tracked_run import TrackedRun


class Run:
    """Remembers what is logged."""

    id = "r1"

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.told: dict[str, Any] = {}

    def log(self, step: int = 0, **metrics: float) -> None:
        self.logged.append((step, metrics))

    def tags(self, **tags: Any) -> None:
        self.told |= tags


def ran(folder: Path, *command: str, form: str = "json") -> tuple[int, Run, bytes]:
    run = Run()
    code = carry_out(command, cast("TrackedRun", run), form=form, output=folder / "output.log")
    return code, run, (folder / "output.log").read_bytes()


@pytest.mark.parametrize("line", ['{"a": 1' + "0" * 400 + "}", '{"a": ' + "[" * 50_000, '{"a": }'])
def test_a_line_that_cannot_be_read_is_no_metric_and_no_end(tmp_path: Path, line: str) -> None:
    assert metrics_of(line, "json") == {}
    (tmp_path / "line").write_text(line + "\n")
    # More than a pipe holds comes behind it: without a reader the command would wait for ever.
    more = 'import sys; sys.stdout.write(open("line").read() + "x" * 500_000 + "\\n{\\"loss\\": 0.5}\\n")'
    program = f"import os; os.chdir({str(tmp_path)!r}); {more}"
    code, run, kept = ran(tmp_path, sys.executable, "-c", program)
    assert code == 0
    assert run.logged[0] == (1, {"loss": 0.5})
    assert len(kept) > 500_000


def test_what_is_printed_without_an_end_is_shown_at_once() -> None:
    shown, seen = io.BytesIO(), threading.Event()

    class Source(io.RawIOBase):
        pieces = iter([b"50%", b"\r100%", b"\nloss=0.5\n", b"done"])

        def read(self, _size: int = -1) -> bytes:
            piece = next(self.pieces, b"")
            if piece == b"\r100%":
                assert shown.getvalue() == b"50%", "a progress bar is seen while it moves"
                seen.set()
            return piece

    run, file = Run(), io.BytesIO()
    Output(file, Reading(cast("TrackedRun", run), "pairs")).follow(cast("Any", Source()), shown)
    assert seen.is_set()
    assert shown.getvalue() == file.getvalue() == b"50%\r100%\nloss=0.5\ndone"
    assert run.logged == [(1, {"loss": 0.5})]


def test_a_full_disk_does_not_stop_the_command(caplog: pytest.LogCaptureFixture) -> None:
    class Full(io.BytesIO):
        def write(self, _data: Any) -> int:
            raise OSError("No space left on device")

    run = Run()
    output = Output(Full(), Reading(cast("TrackedRun", run), "pairs"))
    output.follow(io.BytesIO(b"loss=0.5\nloss=0.25\n"), io.BytesIO())
    assert [metrics for _, metrics in run.logged] == [{"loss": 0.5}, {"loss": 0.25}]
    assert "the rest of the output is not kept" in caplog.text


def test_what_a_command_leaves_running_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracked_command, "LINGER", 0.2)
    code, run, kept = ran(tmp_path, "sh", "-c", "sleep 60 & echo $!; exit 3")
    left = int(kept)
    try:
        assert code == 3
        assert run.told == {"exit_code": 3}
    finally:
        os.kill(left, signal.SIGKILL)
