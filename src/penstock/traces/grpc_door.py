"""OTLP over gRPC: the same requests as over HTTP, on a port of its own (extra `grpc`).

Protocol: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc. The services are registered by name and take bytes, so
that nothing is generated. What may be sent again says so with google.rpc.RetryInfo.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc

from penstock.core import log
from penstock.core.errors import Invalid, PenstockError, Unavailable
from penstock.traces import otlp, wire
from penstock.traces.otlp import Signal
from penstock.traces.receiver import Receiver, refusal, secret_of
from penstock.traces.tls import Certificate

logger = log.get("traces.grpc")
_SERVICES: dict[Signal, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_THREADS, _GRACE_SECONDS = 8, 5.0
_INTERNAL = 13
_RETRYABLE = frozenset({8, 14})
"""RESOURCE_EXHAUSTED (only with RetryInfo) and UNAVAILABLE."""
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcDoor:
    """A gRPC server before `receiver`; several processes may share its port."""

    def __init__(
        self, receiver: Receiver, host: str, port: int, *, certificate: tuple[str, str] | None = None
    ) -> None:
        """Listen on `host`:`port` once started, with TLS when there is a `certificate` (files of chain and key).

        Raises Invalid when that cannot be had.
        """
        tls = None if certificate is None else Certificate(*map(Path, certificate)).credentials()
        self._receiver = receiver
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="penstock-grpc")
        self._server = grpc.server(
            self._threads,
            options=[
                ("grpc.max_receive_message_length", receiver.limit),
                ("grpc.max_metadata_size", 16 * 1024),
                ("grpc.so_reuseport", 1),
            ],
        )
        for signal, name in _SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(partial(self._export, signal))
            handler = grpc.method_handlers_generic_handler(name, {"Export": method})
            self._server.add_generic_rpc_handlers((handler,))
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port: int = (
                self._server.add_insecure_port(shown)
                if tls is None
                else self._server.add_secure_port(shown, tls)
            )
        except RuntimeError as error:
            self._threads.shutdown()
            raise Invalid(
                f"OTLP over gRPC cannot listen on {shown}.", hint="Choose another [traces] grpc_port."
            ) from error

    def start(self) -> None:
        """Take requests."""
        self._server.start()
        logger.info("OTLP over gRPC is ready", extra={"port": self.port})

    def stop(self) -> None:
        """Take no more, finish what was begun within five seconds, and stop."""
        self._server.stop(_GRACE_SECONDS).wait()
        self._threads.shutdown(wait=True)

    def _export(self, signal: Signal, data: bytes, context: grpc.ServicerContext) -> bytes:
        error: PenstockError
        try:
            return self._answer(signal, data, context)
        except PenstockError as refused:
            error = refused
        except Exception:
            logger.exception("an OTLP request failed", extra={"signal": signal})
            error = Unavailable("This failed inside Penstock.", retry_after=5)
        _, code, retry = refusal(error)
        if retry is not None and code in _RETRYABLE:
            details = _status_with_retry(code, str(error), retry)
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(_CODES.get(code, _CODES[_INTERNAL]), str(error))
        raise AssertionError("abort raises")

    def _answer(self, signal: Signal, data: bytes, context: grpc.ServicerContext) -> bytes:
        receiver = self._receiver
        headers = {
            key.encode(): value if isinstance(value, bytes) else value.encode()
            for key, value in context.invocation_metadata()
        }
        project = headers.get(b"x-penstock-project", b"").decode("latin-1") or None
        scope = receiver.scope(secret_of(headers), project)
        receiver.admit(len(data))
        receiver.room.take(len(data))
        try:
            work = receiver.work(signal, scope, data, "protobuf")
            if work.batch:
                finished = threading.Event()
                failures: list[BaseException] = []

                def done(error: BaseException | None) -> None:
                    if error is not None:
                        failures.append(error)
                    finished.set()

                receiver.submit(work.batch, done)
                finished.wait()
                if failures:
                    raise failures[0]
        finally:
            receiver.room.give(len(data))
        return otlp.response("protobuf", *work.outcome(), signal)


def _status_with_retry(code: int, message: str, seconds: float) -> bytes:
    """Return a google.rpc.Status with a RetryInfo, as `grpc-status-details-bin` carries it."""
    whole, nanos = int(seconds), round(seconds % 1 * 1e9)
    duration = b"\x08" + wire.varint(whole) + (b"\x10" + wire.varint(nanos) if nanos else b"")
    info = wire.field(1, b"type.googleapis.com/google.rpc.RetryInfo") + wire.field(2, wire.field(1, duration))
    return otlp.status("protobuf", code, message) + wire.field(3, info)
