"""The process-wide client and exporter behind `penstock.trace`, `penstock.get_prompt` and `penstock.give_feedback`."""

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.sdk import forks
from penstock.sdk.client import Client
from penstock.sdk.config import Config, from_environment
from penstock.sdk.exporter import Exporter
from penstock.sdk.otlp import Encoder
from penstock.sdk.quiet import warn_once
from penstock.sdk.spool import Spool, default_folder
from penstock.sdk.transport import HttpTransport

_NO = frozenset({"0", "no", "off", "false", "never"})


class NoExporter:
    """Where spans go when tracing is switched off."""

    dropped = 0

    def put(self, span: Any) -> None:
        """Drop the span."""

    def flush(self, timeout: float = 10.0) -> bool:  # noqa: ARG002 - the exporter's signature
        """Nothing waits, so all is sent."""
        return True

    def close(self, timeout: float = 0.0) -> None:
        """Nothing to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """How this process traces."""

    on: bool = True
    service: str = ""
    environment: str = ""
    sample_rate: float = 1.0
    capture: bool = True
    spool: str | Path | bool = True
    mask: Callable[[str], str] | None = None


@dataclass(slots=True)
class _Runtime:
    lock: threading.RLock = field(default_factory=threading.RLock)
    config: Config | None = None
    client: Client | None = None
    exporter: Exporter | NoExporter | None = None
    tracing: Tracing = field(default_factory=Tracing)


_runtime = _Runtime()


class _Forked:
    def after_fork(self) -> None:
        """Another thread may have held the lock when the parent forked."""
        _runtime.lock = threading.RLock()


_forked = _Forked()
forks.watch(_forked)


def configure(
    url: str | None = None,
    api_key: str | None = None,
    *,
    project: str | None = None,
    service: str = "",
    environment: str = "",
    tracing: bool = True,
    sample_rate: float = 1.0,
    capture: bool = True,
    spool: str | Path | bool = True,
    mask: Callable[[str], str] | None = None,
) -> None:
    """Set the server, key and project of this process; what is left out comes from PENSTOCK_URL, …_API_KEY, …_PROJECT.

    `service` and `environment` name the program and where it runs in its traces; `tracing=False` switches tracing
    off, `sample_rate` sends only that share of the traces (0 to 1, whole traces), `capture=False` keeps the contents
    out that decorators and wrapped clients would record, `mask` is given every captured text before it leaves the
    process and returns what may. `spool` is the folder in which spans wait while the server is away; True for one in
    the user's cache, False for memory alone. Waiting spans go to the old server.

    The environment speaks where an argument does not: PENSTOCK_TRACING, PENSTOCK_CAPTURE, PENSTOCK_SPOOL (`off`, or a
    folder), PENSTOCK_SAMPLE_RATE, PENSTOCK_ENVIRONMENT, OTEL_SERVICE_NAME. Raises ConfigError for a malformed address.
    """
    config = from_environment(url, api_key, project)
    chosen = Tracing(
        on=tracing,
        service=service,
        environment=environment,
        sample_rate=sample_rate,
        capture=capture,
        spool=spool,
        mask=mask,
    )
    with _runtime.lock:
        old = _runtime.exporter
        _runtime.config, _runtime.tracing = config, _with_environment(chosen)
        _runtime.client = _runtime.exporter = None
    if old is not None:
        old.close()


def client() -> Client:
    """Return the process-wide client, made on first use."""
    with _runtime.lock:
        if _runtime.client is None:
            _runtime.client = Client(config=config())
        return _runtime.client


def config() -> Config:
    """Return where the server is and who calls. Raises ConfigError for a malformed PENSTOCK_URL."""
    if _runtime.config is None:
        _runtime.config = from_environment()
        _runtime.tracing = _with_environment(_runtime.tracing)
    return _runtime.config


def settings() -> Tracing:
    """Return how this process traces."""
    return _runtime.tracing


def exporter() -> Exporter | NoExporter:
    """Return the process-wide exporter, made on first use. Never raises: a wrong setting switches tracing off."""
    found = _runtime.exporter
    if found is not None:
        return found
    with _runtime.lock:
        if _runtime.exporter is None:
            try:
                _runtime.exporter = _make_exporter()
            except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
                warn_once("configuration", "tracing is off: %s", error)
                _runtime.exporter = NoExporter()
        return _runtime.exporter


def flush(timeout: float = 10.0) -> bool:
    """Wait until the spans recorded so far are with the server; return whether that happened in `timeout` seconds."""
    return exporter().flush(timeout)


def dropped() -> int:
    """Return how many spans this process has lost: too many waited, or the server refused them."""
    return exporter().dropped


def resource() -> dict[str, str]:
    """Return what every span of this process says of the program: its name, and where it runs."""
    chosen = _runtime.tracing
    named = {"service.name": chosen.service or os.environ.get("OTEL_SERVICE_NAME") or "python"}
    if chosen.environment:
        named["deployment.environment.name"] = chosen.environment
    return named


def _make_exporter() -> Exporter | NoExporter:
    # The exporter keeps and repeats its batches itself.
    address = dataclasses.replace(config(), max_retries=0, timeout=10.0)
    chosen = _runtime.tracing
    if not chosen.on:
        return NoExporter()
    encoder = Encoder(resource(), mask=chosen.mask)
    return Exporter(HttpTransport(address), encoder=encoder, spool=_spool(chosen.spool, address))


def _spool(wanted: str | Path | bool, address: Config) -> Spool | None:
    if wanted is False:
        return None
    folder = default_folder(address.url, address.api_key, address.project)
    return Spool(folder if wanted is True else Path(wanted) / folder.name)


def _with_environment(chosen: Tracing) -> Tracing:
    read = os.environ.get
    spool: str | Path | bool = chosen.spool
    if spool is True and (said := read("PENSTOCK_SPOOL")):
        spool = said if said.lower() not in _NO else False
    rate = chosen.sample_rate
    with contextlib.suppress(ValueError):
        rate = float(read("PENSTOCK_SAMPLE_RATE", "1")) if rate == 1.0 else rate
    return dataclasses.replace(
        chosen,
        on=chosen.on and read("PENSTOCK_TRACING", "").lower() not in _NO,
        capture=chosen.capture and read("PENSTOCK_CAPTURE", "").lower() not in _NO,
        environment=chosen.environment or read("PENSTOCK_ENVIRONMENT", ""),
        sample_rate=min(1.0, max(0.0, rate)),
        spool=spool,
    )
