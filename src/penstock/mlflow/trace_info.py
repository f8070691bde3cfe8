"""What MLflow calls TraceInfo: the client's note about a trace together with what traces knows of it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.mlflow.call import Answer, Call
from penstock.mlflow.experiments import DEFAULT_ID, own_id
from penstock.mlflow.model import (
    LOCATION,
    LOCATION_TAG,
    NAME_TAG,
    PROMPTS_TAG,
    RUN_KEY,
    SESSION_KEY,
    USER_KEY,
    Assessment,
    TraceNote,
    own_trace,
    shown_trace,
)
from penstock.mlflow.otlp import EXPERIMENT_KEY
from penstock.mlflow.store import notes
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord, TraceSummary

_STATES = {"1": "OK", "2": "ERROR", "3": "IN_PROGRESS"}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MAX_PAIRS = 200
_LONGEST = 8000
MARKED = "The client marked this trace as failed."


def _strings(value: Any, what: str) -> dict[str, str]:
    if value in (None, ""):
        return {}
    if isinstance(value, list):  # the form of MLflow's older clients
        value = {str(one.get("key")): one.get("value", "") for one in value if isinstance(one, dict)}
    if not isinstance(value, Mapping) or len(value) > _MAX_PAIRS:
        raise Invalid(f"{what} must be an object of at most {_MAX_PAIRS} texts.")
    return {str(key)[:250]: str(text)[:200_000] for key, text in value.items()}


def _moment_ms(value: Any) -> int:
    """Return milliseconds of protobuf's Timestamp (ISO 8601) or of a number."""
    if value in (None, ""):
        return clock.now_ns() // 1_000_000
    if isinstance(value, int | float) or str(value).isdecimal():
        return int(value)
    try:
        return clock.to_ns(clock.parse_iso(str(value))) // 1_000_000
    except ValueError:
        raise Invalid(f"request_time must be a moment, not {value!r}.") from None


def _duration_ms(value: Any) -> int | None:
    """Return milliseconds of protobuf's Duration (`1.5s`)."""
    if value in (None, ""):
        return None
    found = _NUMBER.match(str(value))
    if found is None:
        raise Invalid(f"execution_duration must be like 1.5s, not {value!r}.")
    return max(0, round(float(found.group()) * 1000))


def parse(call: Call, given: Mapping[str, Any]) -> TraceNote:
    """Return the note that a client's TraceInfo (version 3) makes."""
    location = given.get("trace_location") or {}
    experiment = (location.get("mlflow_experiment") or {}).get("experiment_id") or DEFAULT_ID
    state = str(given.get("state") or "STATE_UNSPECIFIED")
    return TraceNote(
        trace_id=own_trace(str(given.get("trace_id", ""))),
        experiment_id=own_id(call, str(experiment)),
        at_ms=_moment_ms(given.get("request_time")),
        duration_ms=_duration_ms(given.get("execution_duration")),
        state=_STATES.get(state, state)[:20],
        metadata=_strings(given.get("trace_metadata"), "trace_metadata"),
        tags=_strings(given.get("tags"), "tags"),
        request_preview=str(given.get("request_preview") or "")[:_LONGEST],
        response_preview=str(given.get("response_preview") or "")[:_LONGEST],
        client_request_id=str(given.get("client_request_id") or "")[:250],
    )


def blank(trace_id: str, experiment_id: str) -> TraceNote:
    """Return the note of a trace no client told about."""
    return TraceNote(trace_id=trace_id, experiment_id=experiment_id)


def complete(note: TraceNote, summary: TraceSummary | None) -> TraceNote:
    """Return the note with what traces knows in the places where the client said nothing."""
    if note.told or summary is None:
        return note
    metadata, tags = dict(note.metadata), dict(note.tags)
    if summary.user:
        metadata.setdefault(USER_KEY, summary.user)
    if summary.session:
        metadata.setdefault(SESSION_KEY, summary.session)
    if summary.input_tokens or summary.output_tokens:
        usage = {
            "input_tokens": summary.input_tokens,
            "output_tokens": summary.output_tokens,
            "total_tokens": summary.input_tokens + summary.output_tokens,
        }
        metadata.setdefault("mlflow.trace.tokenUsage", msgspec.json.encode(usage).decode())
    tags.setdefault(NAME_TAG, summary.name)
    return replace(
        note,
        at_ms=summary.start_ns // 1_000_000,
        duration_ms=summary.duration_ns // 1_000_000,
        state="ERROR" if summary.status == "error" else "OK",
        metadata=metadata,
        tags=tags,
        request_preview=summary.input_preview or "",
        response_preview=summary.output_preview or "",
    )


def render(note: TraceNote, default: str, assessments: list[Assessment]) -> Answer:
    """Return a TraceInfo (version 3) as MLflow writes it; `default` is the default experiment's own id."""
    experiment = DEFAULT_ID if note.experiment_id in (default, "") else note.experiment_id
    seconds, ms = divmod(note.duration_ms or 0, 1000)
    return {
        "trace_id": shown_trace(note.trace_id),
        "client_request_id": note.client_request_id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": experiment},
        },
        "request_preview": note.request_preview,
        "response_preview": note.response_preview,
        "request_time": clock.iso(clock.from_ns(note.at_ms * 1_000_000)),
        "execution_duration": f"{seconds}.{ms:03d}s",
        "state": note.state or "STATE_UNSPECIFIED",
        "trace_metadata": note.metadata,
        "tags": {LOCATION_TAG: LOCATION} | note.tags,
        "assessments": [one.body for one in assessments],
    }


def _prompt(tags: Mapping[str, str]) -> str | None:
    """Return `name@version` of the prompt that the trace used, when it is one."""
    try:
        linked = msgspec.json.decode(tags.get(PROMPTS_TAG, "[]"), type=list[dict[str, Any]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    found = {f"{one.get('name')}@{one.get('version')}" for one in linked}
    return found.pop() if len(found) == 1 else None


def _own(note: TraceNote) -> tuple[list[str], dict[str, str]]:
    """Return (tags, metadata) that the note puts onto the root span."""
    metadata = {key: text for key, text in note.metadata.items() if not key.startswith("mlflow.")}
    if run := note.metadata.get(RUN_KEY):
        metadata["mlflow.run"] = run
    if note.client_request_id:
        metadata["mlflow.client_request_id"] = note.client_request_id
    metadata[EXPERIMENT_KEY] = note.experiment_id
    return [f"{key}={text}" for key, text in note.tags.items() if not key.startswith("mlflow.")], metadata


def to_apply(note: TraceNote, before: TraceNote | None) -> TraceNote:
    """Return the note with all it ever put onto the root span, so that the next one can take it off again."""
    tags, metadata = _own(note)
    held = before.applied if before is not None else {}
    return replace(
        note,
        applied={
            "tags": sorted({*held.get("tags", ()), *tags}),
            "metadata": sorted({*held.get("metadata", ()), *metadata}),
        },
    )


def _enriched(root: SpanRecord, note: TraceNote) -> SpanRecord:
    """Return the root span with the client's user, session, tags and metadata."""
    old_tags, old_keys = set(note.applied.get("tags", ())), set(note.applied.get("metadata", ()))
    tags, own = _own(note)
    if note.state == "ERROR" and root.status != "error":
        root = msgspec.structs.replace(root, status="error", error=root.error or MARKED)
    return msgspec.structs.replace(
        root,
        user=note.metadata.get(USER_KEY) or root.user,
        session=note.metadata.get(SESSION_KEY) or root.session,
        prompt=root.prompt or _prompt(note.tags),
        tags=tuple(dict.fromkeys([*(tag for tag in root.tags if tag not in old_tags), *tags])),
        metadata={key: text for key, text in root.metadata.items() if key not in old_keys} | own,
    )


def enrich(home: Home, actor: Actor, trace_id: str) -> None:
    """Bring the client's note onto the root span, so that traces can be found by it; nothing when one is missing.

    Whichever of note and root span arrives last calls this, so no order loses anything.
    """
    with home.read() as uow:
        note = notes.notes_of(uow.conn, actor.scope, [trace_id]).get(trace_id)
        if note is None or not note.told:
            return
        try:
            span_id = traces.root_of(uow, actor, trace_id=trace_id)
        except NotFound:
            return  # the spans are still on their way
        if span_id is None:
            return
        root = traces.get_span_body(uow, actor, trace_id=trace_id, span_id=span_id)
    changed = _enriched(root, note)
    if changed != root:
        traces.ingest(home, actor.scope, [changed])


__all__ = ["blank", "complete", "enrich", "parse", "render", "to_apply"]
