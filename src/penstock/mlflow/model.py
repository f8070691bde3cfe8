"""Nouns that only MLflow has: what its clients say about traces, prompts and models beyond Penstock's own slices."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.core.errors import NotFound

TRACE_PREFIX = "tr-"
RUN_KEY = "mlflow.sourceRun"
USER_KEY, SESSION_KEY = "mlflow.trace.user", "mlflow.trace.session"
NAME_TAG, PROMPTS_TAG = "mlflow.traceName", "mlflow.linkedPrompts"
LOCATION_TAG, LOCATION = "mlflow.trace.spansLocation", "TRACKING_STORE"
"""Without this tag in our answer, clients upload the spans a second time as an artifact."""
_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceNote:
    """What a client told about a trace; its spans are in traces."""

    trace_id: str
    """32 hex digits, as in traces."""
    experiment_id: str
    at_ms: int = 0
    duration_ms: int | None = None
    state: str = ""
    """OK, ERROR, IN_PROGRESS; "" while only the experiment is known."""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    request_preview: str = ""
    response_preview: str = ""
    client_request_id: str = ""
    applied: dict[str, Any] = field(default_factory=dict)
    """What of it stands on the root span now: {"tags": [...], "metadata": [keys]}."""

    @property
    def told(self) -> bool:
        """Whether the client has told more than the experiment."""
        return bool(self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A judgement as the client sent it; `feedback_id` is its twin in the feedback slice, when it has one."""

    id: str
    trace_id: str
    name: str
    body: dict[str, Any]
    feedback_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A prompt or registered model: MLflow's name for it, ours, and what only MLflow keeps."""

    kind: str
    """`prompt` or `model`."""
    name: str
    target: str
    """The name in the prompts or registry slice."""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    hidden: bool = False
    """Deleted through MLflow; what it is made of stays in its slice."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionNote:
    """What only MLflow keeps about a version."""

    kind: str
    target: str
    number: int
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    source: str = ""
    run_id: str = ""
    model_id: str = ""
    hidden: bool = False
    """Deleted through MLflow; versions are immutable, so it only disappears from MLflow's lists."""
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    """An evaluation dataset as MLflow has it: its records change."""

    id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    schema: str = ""
    profile: str = ""
    experiments: list[str] = field(default_factory=list)
    created_by: str = ""
    updated_by: str = ""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRecord:
    """One example, known by its inputs."""

    id: str
    hash: str
    """SHA-256 (hex) of the canonical JSON of the inputs."""
    body: dict[str, Any]


def own_trace(shown: str) -> str:
    """Return the trace id of traces for MLflow's `tr-…`; raises NotFound for what is none."""
    found = shown.removeprefix(TRACE_PREFIX).lower()
    if not _HEX.fullmatch(found):
        raise NotFound(f"Trace with ID '{shown}' not found.")
    return found


def shown_trace(trace_id: str) -> str:
    """Return MLflow's id for a trace."""
    return TRACE_PREFIX + trace_id
