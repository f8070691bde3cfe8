"""The official clients, over HTTP and gRPC, against a real server."""

import logging
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.traces import log_service, service
from penstock.traces.grpc_door import GrpcDoor
from penstock.traces.otlp_app import OtlpApp

RESOURCE = Resource.create({"service.name": "shop"})


@pytest.fixture
def ports(home: Home, free_port: int) -> Iterator[tuple[int, int]]:
    """(HTTP, gRPC) of one receiver."""
    app = OtlpApp(home)
    door = GrpcDoor(app.receiver, "127.0.0.1", 0)
    door.start()
    server = uvicorn.Server(uvicorn.Config(app, port=free_port, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield free_port, door.port
    server.should_exit = True
    thread.join()
    door.stop()
    app.close()


@pytest.fixture
def key(home: Home, actor: Actor) -> str:
    with home.begin() as uow:
        return auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]


def _exporters(protocol: str, ports: tuple[int, int], key: str) -> tuple[Any, Any, Any]:
    headers = {"authorization": f"Bearer {key}"}
    if protocol == "grpc":
        target: dict[str, Any] = {"endpoint": f"http://127.0.0.1:{ports[1]}", "insecure": True}
        return tuple(made(**target, headers=headers) for made in (GrpcSpans, GrpcLogs, GrpcMetrics))
    packing = Compression.Gzip if protocol == "http gzip" else Compression.NoCompression
    base = f"http://127.0.0.1:{ports[0]}/v1"
    return (
        OTLPSpanExporter(f"{base}/traces", headers=headers, compression=packing),
        OTLPLogExporter(f"{base}/logs", headers=headers, compression=packing),
        OTLPMetricExporter(f"{base}/metrics", headers=headers, compression=packing),
    )


@pytest.mark.parametrize("protocol", ["http", "http gzip", "grpc"])
def test_spans_logs_and_metrics_of_the_sdk(
    ports: tuple[int, int],
    home: Home,
    actor: Actor,
    key: str,
    protocol: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spans, logs, metrics = _exporters(protocol, ports, key)
    tracers = TracerProvider(resource=RESOURCE)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    loggers = LoggerProvider(resource=RESOURCE)
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
    meters = MeterProvider([PeriodicExportingMetricReader(metrics, 60_000)], resource=RESOURCE)
    logger = loggers.get_logger("tests")
    tokens = meters.get_meter("tests").create_histogram("gen_ai.client.token.usage", unit="{token}")
    with (
        caplog.at_level(logging.WARNING),
        tracers.get_tracer("tests").start_as_current_span(
            "chat", attributes={"gen_ai.operation.name": "chat"}
        ) as span,
    ):
        _emit(logger, "gen_ai.user.message", {"content": "Where is it?"})
        _emit(logger, "gen_ai.choice", {"index": 0, "message": {"content": "Bremen"}})
        tokens.record(17, {"gen_ai.token.type": "input", "gen_ai.response.model": "gpt-4o"})
        context = span.get_span_context()
    for round_of in range(2):
        tokens.record(3, {"gen_ai.token.type": "output", "gen_ai.response.model": "gpt-4o"})
        assert meters.force_flush(), round_of
    assert loggers.force_flush()
    assert tracers.force_flush()
    for provider in (loggers, tracers, meters):
        provider.shutdown()
    with home.read() as uow:
        found = service.get_span_body(
            uow, actor, trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}"
        )
        records = log_service.list_logs(uow, actor).items
        points = log_service.metric_points(uow, actor, name="gen_ai.client.token.usage", by="token_type")
    assert found.kind == "llm"
    assert b"Where is it?" in (found.input or b"")
    assert b"Bremen" in (found.output or b"")
    assert {record.service for record in records} == {"shop"}
    assert len(records) == 2
    assert [(point.group, point.count, point.sum) for point in points] == [("input", 1, 17), ("output", 2, 6)]
    assert not [record for record in caplog.records if "xport" in record.message]


def _emit(logger: Any, name: str, body: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(), severity_number=SeverityNumber.INFO, body=body, event_name=name
            )
        )
