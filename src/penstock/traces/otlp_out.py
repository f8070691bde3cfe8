"""Spans as OTLP again: what any OpenTelemetry backend takes, and what this one reads back to the same span.

Conventions: OpenTelemetry GenAI (https://opentelemetry.io/docs/specs/semconv/gen-ai/) for calls, tokens and messages,
OpenInference for kinds, users, sessions, tags and metadata.
"""

import base64
from collections.abc import Iterable
from typing import Any

import msgspec
from google.protobuf import json_format  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from penstock.traces import documents
from penstock.traces.model import Kind, SpanRecord

_OPERATIONS: dict[Kind, str] = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "retriever": "retrieval",
    "agent": "invoke_agent",
    "chain": "invoke_workflow",
}
_KINDS: dict[Kind, str] = {
    "llm": "LLM",
    "embedding": "EMBEDDING",
    "tool": "TOOL",
    "retriever": "RETRIEVER",
    "agent": "AGENT",
    "chain": "CHAIN",
    "guard": "GUARDRAIL",
    "other": "UNKNOWN",
}
_STATUS = {"unset": 0, "ok": 1, "error": 2}
_FINER = {
    "audio_input": "gen_ai.usage.audio.input_tokens",
    "image_input": "gen_ai.usage.image.input_tokens",
    "audio_output": "gen_ai.usage.audio.output_tokens",
    "image_output": "gen_ai.usage.image.output_tokens",
}
_INT64 = 1 << 63


def _plain(text: str) -> str:
    """Return `text` without lone surrogates, which protobuf refuses."""
    return text.encode("utf-8", "replace").decode()


def request(spans: Iterable[SpanRecord]) -> ExportTraceServiceRequest:
    """Return the request that carries `spans`, those of one resource and scope together."""
    made = ExportTraceServiceRequest()
    groups: dict[bytes, Any] = {}
    for span in spans:
        resource, scope = _around(span)
        key = documents.encode([resource, scope])
        group = groups.get(key)
        if group is None:
            outer = made.resource_spans.add()
            _fill(outer.resource.attributes, resource)
            group = groups[key] = outer.scope_spans.add()
            group.scope.name = str(scope.get("name") or "")
            group.scope.version = str(scope.get("version") or "")
        _span(group.spans.add(), span, resource)
    return made


def as_protobuf(spans: Iterable[SpanRecord]) -> bytes:
    """Return the request as protobuf; several one after the other are one request again."""
    return bytes(request(spans).SerializeToString())


def as_json_line(spans: Iterable[SpanRecord]) -> bytes:
    """Return the request as one line of OTLP JSON, as OpenTelemetry's file exporter writes it: hex ids."""
    found = json_format.MessageToDict(request(spans), use_integers_for_enums=True)
    for outer in found.get("resourceSpans", ()):
        for group in outer.get("scopeSpans", ()):
            for span in group.get("spans", ()):
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64decode(span[name]).hex()
    return msgspec.json.encode(found) + b"\n"


def _around(span: SpanRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the resource and scope the span came with, or what stands for them."""
    held, scope = span.attributes.get("resource"), span.attributes.get("scope")
    resource = dict(held) if isinstance(held, dict) else {}
    if not resource:
        given = {
            "service.name": span.metadata.get("service.name"),
            "deployment.environment.name": span.environment,
        }
        resource = {key: value for key, value in given.items() if value}
    return resource, dict(scope) if isinstance(scope, dict) else {}


def _span(made: Any, span: SpanRecord, resource: dict[str, Any]) -> None:
    made.trace_id, made.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
    if span.parent_id:
        made.parent_span_id = bytes.fromhex(span.parent_id)
    made.name = _plain(span.name)
    made.kind = 3 if span.kind in ("llm", "embedding") else 1
    made.start_time_unix_nano, made.end_time_unix_nano = span.start_ns, span.end_ns
    made.status.code = _STATUS[span.status]
    if span.error:
        made.status.message = _plain(span.error)
    _fill(made.attributes, _attributes(span, resource))
    for verdict in span.evaluations:
        one = made.events.add()
        one.name, one.time_unix_nano = "gen_ai.evaluation.result", max(0, span.end_ns)
        said = {
            "name": verdict.name,
            "score.value": verdict.score,
            "score.label": verdict.label,
            "explanation": verdict.explanation,
        }
        _fill(one.attributes, {f"gen_ai.evaluation.{key}": value for key, value in said.items()})
    for event in span.events:
        one = made.events.add()
        one.name, one.time_unix_nano = _plain(event.name), max(0, event.at_ns)
        _fill(one.attributes, event.attributes)


def _attributes(span: SpanRecord, resource: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        key: value for key, value in span.attributes.items() if key not in ("resource", "scope")
    }
    known = _calls(span) | _people(span)
    known |= {f"gen_ai.request.{name}": value for name, value in span.parameters.items()}
    known |= {_FINER.get(name, f"penstock.tokens.{name}"): count for name, count in span.finer_tokens.items()}
    environment = resource.get("deployment.environment.name", resource.get("deployment.environment"))
    if span.environment and span.environment != environment:
        known["deployment.environment.name"] = span.environment
    metadata = {key: value for key, value in span.metadata.items() if resource.get(key) != value}
    if metadata:
        known["metadata"] = documents.encode(metadata).decode()
    for name, document in (("input", span.input), ("output", span.output)):
        if document is not None:
            value = documents.to_plain(document)
            key = f"gen_ai.{name}.messages" if span.kind == "llm" else f"{name}.value"
            known[key] = value if isinstance(value, str) else document.decode("utf-8", "replace")
    return found | {key: value for key, value in known.items() if value not in (None, "", 0)}


def _calls(span: SpanRecord) -> dict[str, Any]:
    prompt, _, version = (span.prompt or "").rpartition("@")
    return {
        "gen_ai.operation.name": _OPERATIONS.get(span.kind),
        "openinference.span.kind": _KINDS.get(span.kind),
        "gen_ai.request.model": span.requested_model,
        "gen_ai.response.model": span.model,
        "gen_ai.provider.name": span.provider,
        "gen_ai.usage.input_tokens": span.input_tokens,
        "gen_ai.usage.output_tokens": span.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": span.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": span.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": span.reasoning_tokens,
        "gen_ai.usage.cost": span.cost_usd,
        "gen_ai.response.time_to_first_chunk": None if span.ttft_ns is None else span.ttft_ns / 1e9,
        "gen_ai.response.id": span.response_id,
        "gen_ai.response.finish_reasons": list(span.finish_reasons) or None,
        "gen_ai.agent.name": span.agent,
        "gen_ai.tool.name": span.tool,
        "gen_ai.tool.definitions": documents.encode(span.tools).decode() if span.tools else None,
        "gen_ai.prompt.name": prompt or span.prompt,
        "gen_ai.prompt.version": version if prompt else None,
    }


def _people(span: SpanRecord) -> dict[str, Any]:
    return {
        "user.id": span.user,
        "session.id": span.session,
        "gen_ai.conversation.id": span.session,
        "tag.tags": list(span.tags) or None,
        "penstock.key_id": span.key_id,
        "penstock.route": span.route,
        "penstock.price_version": span.price_version,
    }


def _fill(pairs: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if value is not None:
            pair = pairs.add()
            pair.key = _plain(str(key))
            _value(pair.value, value, 0)


def _value(made: Any, value: Any, depth: int) -> None:
    if isinstance(value, bool):
        made.bool_value = value
    elif isinstance(value, int) and -_INT64 <= value < _INT64:
        made.int_value = value
    elif isinstance(value, float):
        made.double_value = value
    elif isinstance(value, list | tuple) and depth < 16:
        made.array_value.SetInParent()
        for item in value:
            _value(made.array_value.values.add(), item, depth + 1)
    elif isinstance(value, dict) and depth < 16:
        made.kvlist_value.SetInParent()
        for key, item in value.items():
            pair = made.kvlist_value.values.add()
            pair.key = _plain(str(key))
            _value(pair.value, item, depth + 1)
    elif value is not None:
        made.string_value = _plain(documents.as_text(value))
