"""Spans of MLflow's clients on their way into traces: OTLP, with the experiment in a header.

They take the same way as `/v1/traces`, with its policies and its promise: this only adds the experiment to each span
and unwraps values that an exporter encoded as JSON a second time (mlflow/tracing/utils/otlp.py).
"""

import json
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from penstock.core.errors import Invalid

EXPERIMENT_HEADER = "x-mlflow-experiment-id"
METADATA_PREFIX = "mlflow.traceTag."
EXPERIMENT_KEY = "mlflow.experiment"
"""Key of the span metadata that says in which experiment a trace is."""
SENT = {"mlflow.spanInputs": "mlflow.sentInputs", "mlflow.spanOutputs": "mlflow.sentOutputs"}
"""Where inputs and outputs stand as they were sent, for the types of spans that traces brings into one shape."""
_REQUEST_ID, _TYPE = "mlflow.traceRequestId", "mlflow.spanType"
_RESHAPED = frozenset({"LLM", "CHAT_MODEL", "RETRIEVER", "RERANKER"})


def _unwrap(value: Any) -> None:
    """Replace a JSON text by what it says; objects and lists stay text, which the mapping reads."""
    try:
        found = json.loads(value.string_value)
    except ValueError:
        return
    if isinstance(found, str):
        value.string_value = found
    elif isinstance(found, bool):
        value.bool_value = found
    elif isinstance(found, int) and -(1 << 63) <= found < 1 << 63:
        value.int_value = found
    elif isinstance(found, float):
        value.double_value = found


def _plain(value: Any) -> Any:
    """Return an AnyValue as JSON has it."""
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return None if kind is None else getattr(value, kind)


def _keep_sent(span: Any, wrapped: bool) -> None:
    """Put inputs and outputs beside what traces will make of them."""
    found = {one.key: one.value for one in span.attributes if one.key == _TYPE or one.key in SENT}
    if _TYPE not in found or found[_TYPE].string_value.strip('"') not in _RESHAPED:
        return
    for key, name in SENT.items():
        if key in found:
            said = found[key]
            text = said.string_value if wrapped else json.dumps(_plain(said), ensure_ascii=False)
            span.attributes.add(key=name).value.string_value = text


def _is_wrapped(span: Any) -> bool:
    """MLflow's own exporter writes every value as JSON: its request id then has quotes."""
    return any(a.key == _REQUEST_ID and a.value.string_value[:1] == '"' for a in span.attributes)


def prepared(body: bytes, experiment_id: str) -> tuple[bytes, list[str]]:
    """Return the request with the experiment in every span, and the ids of the traces whose root it holds."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Invalid(f"The request is not an OTLP trace export: {error}.") from error
    roots = []
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                wrapped = _is_wrapped(span)
                _keep_sent(span, wrapped)
                if wrapped:
                    for attribute in span.attributes:
                        if attribute.key not in SENT.values() and attribute.value.HasField("string_value"):
                            _unwrap(attribute.value)
                if experiment_id:
                    added = span.attributes.add(key=METADATA_PREFIX + EXPERIMENT_KEY)
                    added.value.string_value = experiment_id
                if not span.parent_span_id:
                    roots.append(span.trace_id.hex())
    return request.SerializeToString(), roots
