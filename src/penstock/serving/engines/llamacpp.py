"""llama.cpp through `xllamacpp`: GGUF models, one child process per replica."""

import contextlib
import http.client
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec

from penstock.core import clock
from penstock.core.children import tail
from penstock.core.errors import Cancelled, ChildFailed, Invalid, MissingExtra
from penstock.core.suggest import did_you_mean
from penstock.serving.engines.pipe import LineReader

_KEEP_LOG_BYTES = 5_000_000
_STOP_SECONDS = 2.0
_HTTP_SECONDS = 2.0


class LlamaCppOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a deployment on llama.cpp."""

    threads: int = 1
    """CPU threads that generate."""
    context: int = 1024
    """Tokens of prompt and answer together, per request."""
    slots: int = 4
    """Requests answered at the same time; memory grows with context x slots."""
    cache: Literal["f16", "f32"] = "f16"
    """Precision of the attention cache; f32 doubles its memory and answers exactly as the weights say."""
    port: int = 0
    """Loopback port; 0 picks a free one, which is what several replicas need."""

    def __post_init__(self) -> None:
        limits = {"threads": (1, 256), "context": (16, 1_048_576), "slots": (1, 256), "port": (0, 65_535)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between {low} and {high}")


class LlamaCppProcess:
    """A running llama.cpp child."""

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
        return None if code is None else _ended(code, self._log)

    def busy(self) -> bool:
        """Whether any slot is generating; True when the server does not say."""
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=_HTTP_SECONDS)
        try:
            connection.request("GET", "/slots")
            answer = connection.getresponse()
            slots = json.loads(answer.read())
            return answer.status != 200 or any(slot["is_processing"] for slot in slots)
        except (OSError, http.client.HTTPException, ValueError):
            return self._child.poll() is None
        finally:
            connection.close()

    def stop(self) -> None:
        """Close its input, which ends it; kill it when it does not end."""
        end(self._child)


class LlamaCppEngine:
    """The engine `llamacpp`."""

    ACCEPTS: ClassVar[frozenset[str]] = frozenset({"gguf"})

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options with defaults; raises Invalid, or MissingExtra without `xllamacpp`."""
        known = LlamaCppOptions.__struct_fields__
        for name in options:
            if name not in known:
                raise Invalid(f"llamacpp has no option {name!r}.", hint=did_you_mean(name, known))
        try:
            checked = msgspec.convert(options, LlamaCppOptions)
        except msgspec.ValidationError as error:
            raise Invalid(f"The options of llamacpp are wrong: {error}.") from error
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("serve", "The engine 'llamacpp'")
        found: dict[str, Any] = msgspec.to_builtins(checked)
        return found

    def start(
        self,
        folder: Path,
        *,
        name: str,
        options: dict[str, Any],
        log: Path,
        timeout: float,
        cancelled: Callable[[], bool],
    ) -> LlamaCppProcess:
        """Start a child on the folder's .gguf file and return once it listens."""
        files = sorted(folder.glob("*.gguf"))
        if len(files) != 1:
            raise Invalid(f"{folder} holds {len(files)} .gguf files; llama.cpp needs exactly one.")
        log.parent.mkdir(parents=True, exist_ok=True)
        too_long = log.exists() and log.stat().st_size > _KEEP_LOG_BYTES
        with log.open("wb" if too_long else "ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "penstock.serving.engines.llamacpp_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        try:
            _send(child, {"model": str(files[0]), "name": name, **options})
            answer = _await_answer(child, log, timeout, cancelled)
        except BaseException:
            end(child)
            raise
        return LlamaCppProcess(child, answer, log)


def _send(child: "subprocess.Popen[bytes]", message: dict[str, Any]) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        return  # it died already; waiting for its answer says why


def _await_answer(
    child: "subprocess.Popen[bytes]", log: Path, timeout: float, cancelled: Callable[[], bool]
) -> str:
    assert child.stdout is not None
    lines, deadline = LineReader(child.stdout.fileno()), clock.monotonic() + timeout
    line = None
    while line is None:
        if cancelled():
            raise Cancelled("The start of the engine was cancelled.")
        if clock.monotonic() >= deadline:
            raise ChildFailed(
                f"llama.cpp did not load the model within {timeout:g} seconds.", hint=f"Log: {log}"
            )
        line = lines.read(0.1)
    message: dict[str, Any] = json.loads(line) if line else {}
    if "url" in message:
        return str(message["url"])
    code = child.wait(_STOP_SECONDS) if not message else 1
    reason = f"{message['error']}\n{tail(log, 1500)}" if message else _ended(code, log)
    raise ChildFailed(f"llama.cpp could not start: {reason}".rstrip(), hint=f"Log: {log}")


def _ended(code: int, log: Path) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"llama.cpp {how}. {tail(log, 1500)}".rstrip()


def end(child: "subprocess.Popen[bytes]") -> None:
    """Close the child's input and wait; kill it when it stays. Leaves no zombie and no open pipe."""
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it is dead already, which is what was wanted
            child.stdin.close()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
