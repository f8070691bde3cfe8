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
_REQUEST_ID = "mlflow.traceRequestId"


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
                if _is_wrapped(span):
                    for attribute in span.attributes:
                        if attribute.value.WhichOneof("value") == "string_value":
                            _unwrap(attribute.value)
                if experiment_id:
                    added = span.attributes.add(key=METADATA_PREFIX + EXPERIMENT_KEY)
                    added.value.string_value = experiment_id
                if not span.parent_span_id:
                    roots.append(span.trace_id.hex())
    return request.SerializeToString(), roots
