"""The process-wide client and exporter behind `penstock.trace`, `penstock.get_prompt` and `penstock.give_feedback`."""

import dataclasses
import threading
from dataclasses import dataclass, field

from penstock.sdk.client import Client
from penstock.sdk.config import Config, from_environment
from penstock.sdk.exporter import Exporter
from penstock.sdk.spans import Span
from penstock.sdk.transport import HttpTransport


class NoExporter:
    """Where spans go when tracing is switched off."""

    def put(self, span: Span) -> None:
        """Drop the span."""

    def flush(self, timeout: float = 10.0) -> bool:  # noqa: ARG002 - the exporter's signature
        """Nothing waits, so all is sent."""
        return True

    def close(self, timeout: float = 0.0) -> None:
        """Nothing to stop."""


@dataclass(slots=True)
class _Runtime:
    lock: threading.Lock = field(default_factory=threading.Lock)
    config: Config | None = None
    client: Client | None = None
    exporter: Exporter | NoExporter | None = None
    service: str = ""
    tracing: bool = True


_runtime = _Runtime()


def configure(
    url: str | None = None,
    api_key: str | None = None,
    *,
    project: str | None = None,
    service: str = "",
    tracing: bool = True,
) -> None:
    """Set the server, key and project of this process; what is left out comes from PENSTOCK_URL, …_API_KEY, …_PROJECT.

    `service` names the program in its traces; `tracing=False` switches tracing off. Waiting spans go to the old server.
    """
    config = from_environment(url, api_key, project)
    with _runtime.lock:
        old = _runtime.exporter
        _runtime.config, _runtime.service, _runtime.tracing = config, service, tracing
        _runtime.client = _runtime.exporter = None
    if old is not None:
        old.close()


def client() -> Client:
    """Return the process-wide client, made on first use."""
    with _runtime.lock:
        if _runtime.client is None:
            _runtime.client = Client(config=_config())
        return _runtime.client


def exporter() -> Exporter | NoExporter:
    """Return the process-wide exporter, made on first use."""
    if _runtime.exporter is not None:
        return _runtime.exporter
    with _runtime.lock:
        if _runtime.exporter is None:
            _runtime.exporter = _make_exporter()
        return _runtime.exporter


def flush(timeout: float = 10.0) -> bool:
    """Wait until the spans recorded so far are with the server; return whether that happened in `timeout` seconds."""
    return exporter().flush(timeout)


def _make_exporter() -> Exporter | NoExporter:
    if not _runtime.tracing:
        return NoExporter()
    # The exporter keeps and repeats its batches itself.
    config = dataclasses.replace(_config(), max_retries=0, timeout=10.0)
    return Exporter(HttpTransport(config), service=_runtime.service)


def _config() -> Config:
    if _runtime.config is None:
        _runtime.config = from_environment()
    return _runtime.config
