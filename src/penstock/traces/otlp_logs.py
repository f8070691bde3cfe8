"""Log records of an ExportLogsServiceRequest, as protobuf or JSON (opentelemetry-proto 1.x, logs.proto)."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from penstock.core.errors import Invalid
from penstock.traces import otlp_values as values
from penstock.traces import wire
from penstock.traces.otlp import Encoding


class OtlpLog(msgspec.Struct, frozen=True, kw_only=True):
    """A log record as OTLP carries it, with ids in hex ("" without) and values as plain Python."""

    trace_id: str
    span_id: str
    at_ns: int
    observed_ns: int
    severity: int
    event: str
    """Name of an event; "" for a plain line."""
    body: Any
    attributes: dict[str, Any]
    resource: Mapping[str, Any]
    scope: Mapping[str, Any]


Decoded = Iterator[OtlpLog | Invalid]


def decode(data: bytes, encoding: Encoding) -> Decoded:
    """Yield the records of a request; a protobuf record that is broken by itself as an Invalid.

    Raises Invalid when the message as a whole cannot be read, TooLarge when it holds too much.
    """
    return _from_protobuf(data) if encoding == "protobuf" else _from_json(data)


def _from_protobuf(data: bytes) -> Decoded:
    for group in wire.groups(data, wire.LOG):
        try:
            resource = values.attributes(Resource.FromString(group.resource).attributes)
            given = InstrumentationScope.FromString(group.scope)
        except DecodeError as error:
            raise Invalid(
                "The body is not an ExportLogsServiceRequest.", hint="Send OTLP protobuf."
            ) from error
        scope = values.scope(given.name, given.version)
        for item in group.items:
            try:
                yield _record(LogRecord.FromString(item), resource, scope)
            except DecodeError:
                yield Invalid("A log record is not valid protobuf.", hint="Text must be UTF-8.")


def _record(record: Any, resource: dict[str, Any], scope: dict[str, str]) -> OtlpLog:
    attributes = values.attributes(record.attributes)
    return OtlpLog(
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        at_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity=record.severity_number,
        event=_event(record.event_name, attributes),
        body=values.value(record.body),
        attributes=attributes,
        resource=resource,
        scope=scope,
    )


def _event(name: str, attributes: dict[str, Any]) -> str:
    # Before logs had a field for it, the name was an attribute.
    old = attributes.pop("event.name", None)
    return name or (old if isinstance(old, str) else "")


def _from_json(data: bytes) -> Decoded:
    request = values.json_request(data)
    try:
        return iter(list(_json_records(request)))
    except values.BROKEN_JSON as error:
        raise Invalid(
            f"The body is not an ExportLogsServiceRequest: {error}.", hint="Send OTLP JSON."
        ) from error


def _json_records(request: Mapping[str, Any]) -> Decoded:
    for resource, scope, records in values.json_groups(request, "resourceLogs", "scopeLogs", "logRecords"):
        for record in records:
            attributes = values.json_attributes(record.get("attributes"))
            yield OtlpLog(
                trace_id=str(record.get("traceId") or "").lower(),
                span_id=str(record.get("spanId") or "").lower(),
                at_ns=int(record.get("timeUnixNano") or 0),
                observed_ns=int(record.get("observedTimeUnixNano") or 0),
                severity=_severity(record.get("severityNumber")),
                event=_event(str(record.get("eventName") or ""), attributes),
                body=values.json_value(record.get("body")),
                attributes=attributes,
                resource=resource,
                scope=scope,
            )


_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}


def _severity(given: Any) -> int:
    # As with a span's status, some exporters send protobuf JSON's names.
    if isinstance(given, str) and given.startswith("SEVERITY_NUMBER_"):
        name = given.removeprefix("SEVERITY_NUMBER_")
        step = int(name[-1]) - 1 if name[-1:].isdigit() else 0
        return _SEVERITIES.get(name.rstrip("234"), 0) + step
    return int(given or 0)
