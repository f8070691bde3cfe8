"""OTLP requests for the tests, built by the official protobuf classes."""

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from penstock.core import clock, ids


def any_value(value: Any) -> AnyValue:
    """Return `value` as OTLP's AnyValue."""
    found = AnyValue()
    if isinstance(value, bool):
        found.bool_value = value
    elif isinstance(value, int):
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    elif isinstance(value, str):
        found.string_value = value
    elif isinstance(value, bytes):
        found.bytes_value = value
    elif isinstance(value, list):
        found.array_value.values.extend(any_value(item) for item in value)
        found.array_value.SetInParent()
    elif isinstance(value, dict):
        found.kvlist_value.SetInParent()
        for key, item in value.items():
            found.kvlist_value.values.add(key=key).value.CopyFrom(any_value(item))
    return found


def request(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> ExportTraceServiceRequest:
    """Return a request with one resource and scope; each span is `attributes` plus optional fields."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for key, value in (resource or {"service.name": "shop"}).items():
        group.resource.attributes.add(key=key).value.CopyFrom(any_value(value))
    scope = group.scope_spans.add()
    scope.scope.name = "tests"
    for given in spans:
        span = scope.spans.add()
        span.trace_id = bytes.fromhex(given.get("trace_id") or ids.new_trace_id())
        span.span_id = bytes.fromhex(given.get("span_id") or ids.new_span_id())
        span.parent_span_id = bytes.fromhex(given.get("parent_id", ""))
        span.name = given.get("name", "chat")
        span.start_time_unix_nano = given.get("start_ns") or clock.now_ns()
        span.end_time_unix_nano = given.get("end_ns") or span.start_time_unix_nano + 10**9
        span.status.code = given.get("status", 0)
        span.status.message = given.get("message", "")
        for key, value in given.get("attributes", {}).items():
            span.attributes.add(key=key).value.CopyFrom(any_value(value))
        for name, at, attributes in given.get("events", ()):
            event = span.events.add(name=name, time_unix_nano=at)
            for key, value in attributes.items():
                event.attributes.add(key=key).value.CopyFrom(any_value(value))
    return message


def as_json(message: ExportTraceServiceRequest) -> bytes:
    """Return the request in OTLP's JSON: like protobuf's, but with ids in hex."""
    found = MessageToDict(message)
    for group in found.get("resourceSpans", ()):
        for scope in group.get("scopeSpans", ()):
            for span, original in zip(
                scope.get("spans", ()), message.resource_spans[0].scope_spans[0].spans, strict=True
            ):
                span["traceId"], span["spanId"] = original.trace_id.hex(), original.span_id.hex()
                if original.parent_span_id:
                    span["parentSpanId"] = original.parent_span_id.hex()
                if "status" in span:
                    span["status"]["code"] = original.status.code
    return json.dumps(found).encode()


def logs_request(
    *records: dict[str, Any], resource: dict[str, Any] | None = None
) -> ExportLogsServiceRequest:
    """Return a request for `/v1/logs`; each record is `event`, `body`, `attributes` and optional ids and times."""
    message = ExportLogsServiceRequest()
    group = message.resource_logs.add()
    for key, value in (resource or {"service.name": "shop"}).items():
        group.resource.attributes.add(key=key).value.CopyFrom(any_value(value))
    scope = group.scope_logs.add()
    scope.scope.name = "tests"
    for given in records:
        record = scope.log_records.add()
        record.trace_id = bytes.fromhex(given.get("trace_id", ""))
        record.span_id = bytes.fromhex(given.get("span_id", ""))
        record.time_unix_nano = given.get("at_ns", clock.now_ns())
        record.observed_time_unix_nano = given.get("observed_ns", 0)
        record.severity_number = given.get("severity", 9)
        record.event_name = given.get("event", "")
        if given.get("body") is not None:
            record.body.CopyFrom(any_value(given["body"]))
        for key, value in given.get("attributes", {}).items():
            record.attributes.add(key=key).value.CopyFrom(any_value(value))
    return message


def logs_as_json(message: ExportLogsServiceRequest) -> bytes:
    """Return the request in OTLP's JSON."""
    found = MessageToDict(message, use_integers_for_enums=True)
    for group, original in zip(found.get("resourceLogs", ()), message.resource_logs, strict=True):
        for scope, held in zip(group.get("scopeLogs", ()), original.scope_logs, strict=True):
            for record, given in zip(scope.get("logRecords", ()), held.log_records, strict=True):
                record["traceId"], record["spanId"] = given.trace_id.hex(), given.span_id.hex()
    return json.dumps(found).encode()
