"""Langfuse's exports: traces with their observations inside, or rows of the tables traces, observations and scores.

Fields as in its public API (https://api.reference.langfuse.com: trace, observation; camelCase) and in its blob storage
export (https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields; snake_case; enriched
observations carry what belongs to their trace).
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Any

from penstock.core.errors import Invalid
from penstock.traces import documents
from penstock.traces.importing.values import moment, pick, span_id, trace_id
from penstock.traces.mapping import OtlpSpan
from penstock.traces.model import TraceScore

_TYPES = frozenset(
    {
        "generation",
        "span",
        "event",
        "agent",
        "tool",
        "chain",
        "retriever",
        "evaluator",
        "embedding",
        "guardrail",
    }
)
_ROOT = "trace"
"""What the id of the span that stands for a trace is made of."""


def read(row: dict[str, Any]) -> Iterator[OtlpSpan]:
    """Yield the spans of one trace or observation."""
    if _is_observation(row):
        yield _observation(row, row, None if _has(row, "trace_name", "traceName", "user_id") else _ROOT)
        return
    yield _trace(row)
    observations = row.get("observations")
    if isinstance(observations, list):
        for item in observations:
            if isinstance(item, dict):  # the API's short form of a trace lists ids only
                yield _observation(item | {"traceId": row.get("id")}, row, _ROOT)


def is_score(row: dict[str, Any]) -> bool:
    """Whether the row is of the table of scores, which every blob storage export has."""
    told = _has(row, "value", "stringValue", "string_value") and _has(row, "dataType", "data_type", "source")
    return told and not _is_observation(row)


def score(row: dict[str, Any]) -> TraceScore:
    """Return the score of a trace; raises Invalid for one without a number, and for those of sessions and runs."""
    if pick(row, "traceId", "trace_id") in (None, ""):
        raise Invalid("a score of a session or a dataset run, not of a trace")
    name, value = row.get("name"), row.get("value")
    if not name or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid("a score without a name or a number")
    trace = trace_id(pick(row, "traceId", "trace_id"))
    own = hashlib.sha256(str(row.get("id") or name).encode("utf-8", "replace")).hexdigest()[:32]
    return TraceScore(
        trace_id=trace, ref=f"langfuse:{own}", origin="langfuse", name=str(name), value=float(value)
    )


def _has(row: dict[str, Any], *names: str) -> bool:
    return any(name in row for name in names)


def _is_observation(row: dict[str, Any]) -> bool:
    return _has(row, "traceId", "trace_id") and str(row.get("type", "")).lower() in _TYPES


def _shared(row: dict[str, Any]) -> dict[str, Any]:
    """Return what belongs to a whole trace."""
    return {
        "langfuse.session.id": pick(row, "sessionId", "session_id"),
        "langfuse.user.id": pick(row, "userId", "user_id"),
        "langfuse.environment": row.get("environment"),
        "langfuse.release": row.get("release"),
        "langfuse.version": row.get("version"),
        "langfuse.trace.tags": row.get("tags"),
    }


def _trace(row: dict[str, Any]) -> OtlpSpan:
    trace = trace_id(row.get("id"))
    start = moment(pick(row, "timestamp", "createdAt", "created_at"))
    if start is None:
        raise Invalid("a trace without a timestamp")
    attributes = _shared(row) | {
        "langfuse.observation.type": "chain",
        "langfuse.observation.input": row.get("input"),
        "langfuse.observation.output": row.get("output"),
    }
    attributes |= _metadata("langfuse.trace.metadata.", row.get("metadata"))
    latency = row.get("latency")
    took = latency * 10**9 if isinstance(latency, int | float) and 0 <= latency < 1e8 else 0
    return _span(
        trace,
        span_id(_ROOT, trace),
        "",
        name=row.get("name") or "trace",
        times=(start, start + int(took)),
        attributes=attributes,
        row=row,
    )


def _observation(row: dict[str, Any], around: dict[str, Any], root: str | None) -> OtlpSpan:
    trace = trace_id(pick(row, "traceId", "trace_id"))
    start = moment(pick(row, "startTime", "start_time"))
    if start is None:
        raise Invalid("an observation without a start time")
    end = moment(pick(row, "endTime", "end_time"))
    above = pick(row, "parentObservationId", "parent_observation_id") or root
    usage, costs = _usage(row), _costs(row)
    version = pick(row, "promptVersion", "prompt_version")
    attributes = _shared(around) | {
        "langfuse.observation.type": str(row.get("type", "span")).lower(),
        "langfuse.observation.model.name": pick(
            row, "model", "providedModelName", "provided_model_name", "internal_model"
        ),
        "langfuse.observation.model.parameters": pick(row, "modelParameters", "model_parameters"),
        "langfuse.observation.usage_details": usage or None,
        "langfuse.observation.cost_details": costs or None,
        "langfuse.observation.completion_start_time": pick(
            row, "completionStartTime", "completion_start_time"
        ),
        "langfuse.observation.input": row.get("input"),
        "langfuse.observation.output": row.get("output"),
        "langfuse.observation.prompt.name": pick(row, "promptName", "prompt_name"),
        "langfuse.observation.prompt.version": None if version is None else str(version),
        "langfuse.observation.level": row.get("level"),
    }
    attributes |= _metadata("langfuse.observation.metadata.", row.get("metadata"))
    times = (start, start if end is None else end)
    parent = span_id(above, trace) if above else ""
    name = row.get("name") or ""
    own = span_id(row.get("id"), trace)
    return _span(trace, own, parent, name=name, times=times, attributes=attributes, row=row)


def _span(
    trace: str,
    span: str,
    parent: str,
    *,
    name: str,
    times: tuple[int, int],
    attributes: dict[str, Any],
    row: dict[str, Any],
) -> OtlpSpan:
    failed = str(row.get("level", "")).upper() == "ERROR"
    return OtlpSpan(
        trace_id=trace,
        span_id=span,
        parent_id=parent,
        name=str(name),
        start_ns=times[0],
        end_ns=times[1],
        status_code=2 if failed else 0,
        status_message=str(pick(row, "statusMessage", "status_message") or ""),
        attributes={
            key: _attribute(value) for key, value in attributes.items() if value not in (None, "", [])
        },
        events=[("gen_ai.evaluation.result", times[1], score) for score in _scores(row)],
        resource={},
        scope={"name": "import/langfuse"},
    )


def _attribute(value: Any) -> Any:
    """Return a value as the SDK would have sent it: objects as JSON text."""
    return documents.encode(value).decode() if isinstance(value, dict | list) else value


def _metadata(prefix: str, given: Any) -> dict[str, Any]:
    found = documents.parsed(given)
    if isinstance(found, dict):
        return {
            prefix + str(key): documents.as_text(value) for key, value in found.items() if value is not None
        }
    return {prefix + "metadata": documents.as_text(found)} if found not in (None, "", []) else {}


def _numbers(given: Any) -> dict[str, float]:
    found = documents.parsed(given)
    if not isinstance(found, dict):
        return {}
    return {
        str(key): float(value)
        for key, value in found.items()
        if isinstance(value, int | float) and value >= 0
    }


def _usage(row: dict[str, Any]) -> dict[str, float]:
    """Return the counts under Langfuse's names, which the mapping of its SDK's spans knows."""
    given = _numbers(pick(row, "usageDetails", "usage_details")) or _numbers(row.get("usage"))
    for name, keys in (
        ("input", ("promptTokens", "prompt_tokens", "inputUsage")),
        ("output", ("completionTokens", "completion_tokens", "outputUsage")),
    ):
        flat = pick(row, *keys)
        if name not in given and isinstance(flat, int | float):
            given[name] = flat
    return given if any(given.values()) else {}


def _costs(row: dict[str, Any]) -> dict[str, float]:
    found = _numbers(pick(row, "costDetails", "cost_details"))
    total = pick(row, "calculatedTotalCost", "totalCost", "total_cost")
    if "total" not in found and isinstance(total, int | float) and total >= 0:
        found["total"] = float(total)
    elif "total" not in found and found:
        found["total"] = sum(found.values())
    return found


def _scores(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    scores = row.get("scores")
    for score in scores if isinstance(scores, list) else ():
        if isinstance(score, dict) and score.get("name"):
            yield {
                f"gen_ai.evaluation.{key}": value
                for key, value in (
                    ("name", score["name"]),
                    ("score.value", score.get("value")),
                    ("score.label", pick(score, "stringValue", "string_value")),
                    ("explanation", score.get("comment")),
                )
                if value is not None
            }
