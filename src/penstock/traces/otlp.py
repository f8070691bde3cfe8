"""OTLP over HTTP: bodies in and out, as protobuf or JSON.

Format: https://opentelemetry.io/docs/specs/otlp/#otlphttp and opentelemetry-proto 1.x. In JSON, ids are hex, 64-bit
integers may be text or numbers, enum values are integers, and unknown fields are ignored.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import zstandard
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from penstock.core.errors import Invalid, TooLarge
from penstock.traces import documents, wire
from penstock.traces import otlp_values as values
from penstock.traces.mapping import OtlpSpan

Encoding = Literal["protobuf", "json"]
Signal = Literal["traces", "logs", "metrics"]
CONTENT_TYPES: dict[Encoding, bytes] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """Return `data` without its content encoding (gzip, deflate, zstd or none).

    Raises TooLarge as soon as more than `limit` bytes come out, Invalid for broken or unknown encodings.
    """
    if encoding in ("", "identity"):
        return data
    if encoding == "zstd":
        return _unzstd(data, limit)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Invalid(f"The content encoding {encoding!r} is not known.", hint="Use gzip, zstd or none.")
    try:
        return _inflate(data, limit)
    except zlib.error as error:
        raise Invalid(f"The body is not valid {encoding}.") from error


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request is larger than {limit >> 20} MB unpacked.", hint="Send smaller batches.")


def _inflate(data: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while data:
        stream = zlib.decompressobj(wbits=47)
        part = stream.decompress(data, left + 1)
        if len(part) > left:
            raise _too_large(limit)
        if not stream.eof:
            raise Invalid("The compressed body ends too early.")
        parts.append(part)
        left -= len(part)
        data = stream.unused_data
    return b"".join(parts)


def _unzstd(data: bytes, limit: int) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            data, read_across_frames=True
        ) as reader:
            unpacked = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise Invalid("The body is not valid zstd.") from error
    if len(unpacked) > limit:
        raise _too_large(limit)
    return bytes(unpacked)


Decoded = Iterator[OtlpSpan | Invalid]
"""What a request holds, in order: spans, and in the place of each that cannot be read the reason."""


def decode(data: bytes, encoding: Encoding) -> Decoded:
    """Yield the spans of an ExportTraceServiceRequest; a protobuf span that is broken by itself as an Invalid.

    Raises Invalid when the message as a whole cannot be read, TooLarge when it holds too much; broken ids are the
    caller's to judge.
    """
    return _from_protobuf(data) if encoding == "protobuf" else _from_json(data)


def _from_protobuf(data: bytes) -> Decoded:
    for group in wire.groups(data, wire.SPAN):
        try:
            resource = values.attributes(Resource.FromString(group.resource).attributes)
            given = InstrumentationScope.FromString(group.scope)
        except DecodeError as error:
            raise Invalid(
                "The body is not an ExportTraceServiceRequest.", hint="Send OTLP protobuf."
            ) from error
        scope = values.scope(given.name, given.version)
        for item in group.items:
            try:
                yield _span(Span.FromString(item), resource, scope)
            except DecodeError:
                yield Invalid("A span is not valid protobuf.", hint="Text must be UTF-8.")


def _span(span: Any, resource: dict[str, Any], scope: dict[str, str]) -> OtlpSpan:
    status = span.status
    return OtlpSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status_code=status.code,
        status_message=status.message,
        attributes=values.attributes(span.attributes),
        events=[
            (event.name, event.time_unix_nano, values.attributes(event.attributes)) for event in span.events
        ],
        resource=resource,
        scope=scope,
    )


def _from_json(data: bytes) -> Decoded:
    request = values.json_request(data)
    try:
        # A message that is broken anywhere is refused as a whole, as broken protobuf is.
        return iter(list(_json_spans(request)))
    except values.BROKEN_JSON as error:
        raise Invalid(
            f"The body is not an ExportTraceServiceRequest: {error}.", hint="Send OTLP JSON."
        ) from error


def _json_spans(request: Mapping[str, Any]) -> Decoded:
    for resource, scope, spans in values.json_groups(request, "resourceSpans", "scopeSpans", "spans"):
        for span in spans:
            yield _json_span(span, resource, scope)


def _json_span(span: Mapping[str, Any], resource: dict[str, Any], scope: dict[str, str]) -> OtlpSpan:
    status = span.get("status") or {}
    return OtlpSpan(
        trace_id=str(span.get("traceId") or "").lower(),
        span_id=str(span.get("spanId") or "").lower(),
        parent_id=str(span.get("parentSpanId") or "").lower(),
        name=str(span.get("name") or ""),
        start_ns=int(span.get("startTimeUnixNano") or 0),
        end_ns=int(span.get("endTimeUnixNano") or 0),
        status_code=_status_code(status.get("code")),
        status_message=str(status.get("message") or ""),
        attributes=values.json_attributes(span.get("attributes")),
        events=[
            (
                str(event.get("name") or ""),
                int(event.get("timeUnixNano") or 0),
                values.json_attributes(event.get("attributes")),
            )
            for event in span.get("events") or ()
        ],
        resource=resource,
        scope=scope,
    )


_STATUS_NAMES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


def _status_code(value: Any) -> int:
    # The specification demands integers; some exporters send protobuf JSON's names all the same.
    return _STATUS_NAMES[value] if value in _STATUS_NAMES else int(value or 0)


_REJECTED = {"traces": "Spans", "logs": "LogRecords", "metrics": "DataPoints"}


def response(encoding: Encoding, rejected: int, message: str, signal: Signal = "traces") -> bytes:
    """Return the Export…ServiceResponse: empty when all went well, else with the partial success."""
    if encoding == "json":
        if not rejected:
            return b"{}"
        name = f"rejected{_REJECTED[signal]}"
        return documents.encode({"partialSuccess": {name: str(rejected), "errorMessage": message}})
    if not rejected:
        return b""
    text = message.encode("utf-8", "replace")
    return wire.field(1, b"\x08" + wire.varint(rejected) + wire.field(2, text))


def status(encoding: Encoding, code: int, message: str) -> bytes:
    """Return a google.rpc.Status: what the specification wants as the body of an error."""
    if encoding == "json":
        return documents.encode({"code": code, "message": message})
    text = message.encode("utf-8", "replace")
    return b"\x08" + wire.varint(code) + wire.field(2, text)
