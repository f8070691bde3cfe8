"""OTLP over HTTP: bodies in and out, as protobuf or JSON.

Format: https://opentelemetry.io/docs/specs/otlp/#otlphttp and opentelemetry-proto 1.x. In JSON, ids are hex, 64-bit
integers may be text or numbers, enum values are integers, and unknown fields are ignored.
"""

import base64
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
import zstandard
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from penstock.core.errors import Invalid, TooLarge
from penstock.traces.mapping import OtlpSpan

Encoding = Literal["protobuf", "json"]
CONTENT_TYPES: dict[Encoding, bytes] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}
_INT64 = 1 << 63


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


def decode(data: bytes, encoding: Encoding) -> Iterator[OtlpSpan]:
    """Yield the spans of an ExportTraceServiceRequest.

    Raises Invalid when the message as a whole cannot be read; broken ids are the caller's to judge.
    """
    return _from_protobuf(data) if encoding == "protobuf" else _from_json(data)


def _from_protobuf(data: bytes) -> Iterator[OtlpSpan]:
    try:
        request = ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise Invalid("The body is not an ExportTraceServiceRequest.", hint="Send OTLP protobuf.") from error
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = _scope(scope_spans.scope.name, scope_spans.scope.version)
            for span in scope_spans.spans:
                status = span.status
                yield OtlpSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    status_code=status.code,
                    status_message=status.message,
                    attributes=_attributes(span.attributes),
                    events=[
                        (event.name, event.time_unix_nano, _attributes(event.attributes))
                        for event in span.events
                    ],
                    resource=resource,
                    scope=scope,
                )


def _scope(name: str, version: str) -> dict[str, str]:
    return {key: value for key, value in (("name", name), ("version", version)) if value}


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        # Text is by far the most common: it goes first.
        found[pair.key] = value.string_value if kind == "string_value" else _value(value, kind)
    return found


def _value(value: Any, kind: str | None) -> Any:
    if kind is None:
        return None
    if kind in ("int_value", "double_value", "bool_value", "string_value"):
        return getattr(value, kind)
    if kind == "array_value":
        return [_value(item, item.WhichOneof("value")) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None


def _from_json(data: bytes) -> Iterator[OtlpSpan]:
    try:
        request = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON: {error}.") from error
    try:
        # A message that is broken anywhere is refused as a whole, as broken protobuf is.
        return iter(list(_json_spans(request)))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise Invalid(
            f"The body is not an ExportTraceServiceRequest: {error}.", hint="Send OTLP JSON."
        ) from error


def _json_spans(request: Mapping[str, Any]) -> Iterator[OtlpSpan]:
    for resource_spans in request.get("resourceSpans") or ():
        resource = _json_attributes((resource_spans.get("resource") or {}).get("attributes"))
        for scope_spans in resource_spans.get("scopeSpans") or ():
            given = scope_spans.get("scope") or {}
            scope = _scope(str(given.get("name") or ""), str(given.get("version") or ""))
            for span in scope_spans.get("spans") or ():
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
        attributes=_json_attributes(span.get("attributes")),
        events=[
            (
                str(event.get("name") or ""),
                int(event.get("timeUnixNano") or 0),
                _json_attributes(event.get("attributes")),
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


def _json_attributes(pairs: Any) -> dict[str, Any]:
    return {str(pair["key"]): _json_value(pair.get("value")) for pair in pairs or ()}


def _json_value(value: Any) -> Any:
    if not value:
        return None
    kind, held = next(iter(value.items()))
    if kind == "stringValue":
        return str(held)
    if kind == "intValue":
        number = int(held)
        return number if -_INT64 <= number < _INT64 else str(number)
    if kind == "doubleValue":
        return float(held)
    if kind == "arrayValue":
        return [_json_value(item) for item in held.get("values") or ()]
    if kind == "kvlistValue":
        return _json_attributes(held.get("values"))
    return bool(held) if kind == "boolValue" else held


def response(encoding: Encoding, rejected: int, message: str) -> bytes:
    """Return the ExportTraceServiceResponse: empty when all went well, else with the partial success."""
    if encoding == "json":
        if not rejected:
            return b"{}"
        return msgspec.json.encode(
            {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}}
        )
    if not rejected:
        return b""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())


def status(encoding: Encoding, code: int, message: str) -> bytes:
    """Return a google.rpc.Status: what the specification wants as the body of an error."""
    if encoding == "json":
        return msgspec.json.encode({"code": code, "message": message})
    text = message.encode("utf-8", "replace")
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
