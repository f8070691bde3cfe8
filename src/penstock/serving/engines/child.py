"""Engine processes: started with one JSON line, ended by closing their input, asked over loopback HTTP."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from penstock.core import clock
from penstock.core.children import tail
from penstock.core.errors import Cancelled, ChildFailed, Invalid
from penstock.serving.engines.pipe import LineReader
from penstock.serving.ports import Launch, Load

_KEEP_LOG_BYTES = 5_000_000
_STOP_SECONDS = 2.0
_HTTP_SECONDS = 2.0
_ADAPTER_SECONDS = 60.0
_MAX_ANSWER = 1_000_000


class EngineChild:
    """A running child process that serves on loopback. Engines that say more about themselves extend it."""

    WHAT = "The engine"
    LOAD_PATH = "/load"

    def __init__(self, child: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
        self._child = child
        self._url = url
        self._log = log

    @property
    def url(self) -> str:
        """Address without path."""
        return self._url

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._child.pid

    def exit_reason(self) -> str | None:
        """None while it runs, else how it ended with the end of its log."""
        code = self._child.poll()
        return None if code is None else ended(self.WHAT, code, self._log)

    def load(self) -> Load | None:
        """How busy it is; None when it does not say."""
        try:
            status, text = ask(self._url, "GET", self.LOAD_PATH, timeout=_HTTP_SECONDS)
            return self.read_load(text) if status == 200 else None
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return None

    def read_load(self, text: bytes) -> Load:
        """Read the answer of `LOAD_PATH`; raises ValueError, KeyError or TypeError for another one."""
        found = json.loads(text)
        return Load(running=found["running"], waiting=found["waiting"], done=found["done"])

    def busy(self) -> bool:
        """Whether it is answering somebody; True when it runs and does not say."""
        load = self.load()
        return self._child.poll() is None if load is None else load.running + load.waiting > 0

    def add_adapter(self, name: str, folder: Path) -> None:  # noqa: ARG002 - the port's shape
        """Raise Invalid: this engine cannot swap adapters."""
        raise Invalid(f"{self.WHAT} cannot load adapters while it runs.", hint="Deploy a merged model.")

    def remove_adapter(self, name: str) -> None:
        """Do nothing: it has none."""

    def stop(self) -> None:
        """Close its input, which ends it; kill it when it does not end."""
        end(self._child)


class Swapping(EngineChild):
    """A child of ours that swaps adapters: POST and DELETE of /adapters."""

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load the adapter; raises ChildFailed when the engine refuses it."""
        body = {"name": name, "folder": str(folder)}
        checked_ask(self.WHAT, self._url, "POST", "/adapters", body)

    def remove_adapter(self, name: str) -> None:
        """Unload the adapter."""
        checked_ask(self.WHAT, self._url, "DELETE", f"/adapters?name={quote(name, safe='')}", None)


def ask(
    url: str, method: str, path: str, body: dict[str, Any] | None = None, *, timeout: float = _HTTP_SECONDS
) -> tuple[int, bytes]:
    """Ask an engine; returns status and body. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"content-type": "application/json"})
        with connection.getresponse() as answer:
            return answer.status, answer.read(_MAX_ANSWER)
    finally:
        connection.close()


def checked_ask(what: str, url: str, method: str, path: str, body: dict[str, Any] | None) -> None:
    """Ask for a change; raises ChildFailed unless the engine says that it is done."""
    try:
        status, text = ask(url, method, path, body, timeout=_ADAPTER_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise ChildFailed(f"{what} does not answer: {error or type(error).__name__}.") from error
    if status not in (200, 204):
        raise ChildFailed(f"{what} refused the adapter ({status}): {text[:500].decode(errors='replace')}")


def spawn(module: str, launch: Launch) -> "subprocess.Popen[bytes]":
    """Start `python -m penstock.serving.engines.MODULE` with its output going to the launch's log."""
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    too_long = launch.log.exists() and launch.log.stat().st_size > _KEEP_LOG_BYTES
    with launch.log.open("wb" if too_long else "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"penstock.serving.engines.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **launch.environment()},
        )


def begin(
    module: str, message: dict[str, Any], launch: Launch, what: str
) -> tuple["subprocess.Popen[bytes]", str]:
    """Start a child of ours with its start message; returns it with its address once it listens."""
    child = spawn(module, launch)
    try:
        send(child, message)
        return child, await_answer(child, launch, what)
    except BaseException:
        end(child)
        raise


def send(child: "subprocess.Popen[bytes]", message: dict[str, Any]) -> None:
    """Write the start message."""
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        return  # it died already; waiting for its answer says why


def await_answer(child: "subprocess.Popen[bytes]", launch: Launch, what: str) -> str:
    """Return the address that the child says; raises ChildFailed or Cancelled."""
    assert child.stdout is not None
    lines, deadline = LineReader(child.stdout.fileno()), clock.monotonic() + launch.timeout
    line = None
    while line is None:
        if launch.cancelled():
            raise Cancelled("The start of the engine was cancelled.")
        if clock.monotonic() >= deadline:
            raise ChildFailed(
                f"{what} did not load the model within {launch.timeout:g} seconds.",
                hint=f"Log: {launch.log}",
            )
        line = lines.read(0.1)
    message: dict[str, Any] = json.loads(line) if line else {}
    if "url" in message:
        return str(message["url"])
    if message:
        # What the engine wrote is whole once it has ended: its log has a thread of its own.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_SECONDS)
        reason = f"{message['error']}\n{tail(launch.log, 1500)}"
    else:
        reason = ended(what, child.wait(_STOP_SECONDS), launch.log)
    raise ChildFailed(f"{what} could not start: {reason}".rstrip(), hint=f"Log: {launch.log}")


def ended(what: str, code: int, log: Path) -> str:
    """Return one sentence on how a child ended, with the end of its log."""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"{what} {how}. {tail(log, 1500)}".rstrip()


def end(child: "subprocess.Popen[bytes]") -> None:
    """Close the child's input and wait; kill it, and what it started, when it stays. Leaves no zombie and no pipe."""
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it is dead already, which is what was wanted
            child.stdin.close()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody of its session is left
        os.killpg(child.pid, signal.SIGKILL)
    if child.stdout is not None:
        child.stdout.close()
