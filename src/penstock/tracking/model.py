"""Nouns and pure rules of experiment tracking. The filter language is in `search`."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.errors import Invalid

DEFAULT_EXPERIMENT = "Default"
"""Runs that name no experiment go here; it comes into being with the first of them."""
MAX_NAME, MAX_KEY, MAX_PARAM, MAX_TAG, MAX_PATH = 500, 250, 8000, 200_000, 1000
MAX_METRICS, MAX_PAIRS = 10_000, 1000
"""Most metrics, and most parameters or tags, in one batch."""
NOTE_TAG = "mlflow.note.content"
"""The tag that holds what people wrote about an experiment or a run, as in MLflow."""
HEARTBEAT_TAG = "penstock.heartbeat"
"""When a run's program last said that it is there."""
SILENT_TAG = "penstock.silent"
"""Why the server failed a run of which nothing was heard any more."""
OWN_DATA = "penstock"
"""The source type of an input that is a dataset version here: its source is `name@number`."""
_OWN_VERSION = re.compile(r"[^@\s]+@[0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class State(StrEnum):
    """Whether a thing is in use; what is deleted can be restored."""

    ACTIVE = "active"
    DELETED = "deleted"


class RunStatus(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    SCHEDULED = "scheduled"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


class ModelStatus(StrEnum):
    """How far the upload of a logged model is."""

    UNSPECIFIED = "unspecified"
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured value; `value` may be infinite or not a number."""

    key: str
    value: float
    step: int = 0
    at_ms: int = 0
    """Milliseconds since the Unix epoch."""
    run_id: str = ""
    """The run that measured it, for metrics of a logged model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A named group of runs."""

    id: str
    name: str
    state: State
    created_at: datetime
    updated_at: datetime
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """How much goes on in an experiment."""

    runs: int = 0
    running: int = 0
    last_run_at: datetime | None = None
    """When the newest run was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """A name that the runs of an experiment use."""

    key: str
    runs: int
    """How many have it."""
    values: int
    """How many different values it has; of metrics, among their last values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKeys:
    """The names that the runs of an experiment use, by the alphabet."""

    params: tuple[RunKey, ...]
    metrics: tuple[RunKey, ...]
    tags: tuple[RunKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """A dataset that a run read, as the client describes it."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The dataset version here (`name@number`) that was read; empty for data from elsewhere."""
        own = self.source_type == OWN_DATA and _OWN_VERSION.fullmatch(self.source)
        return self.source if own else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """A logged model that a run read (`input`) or wrote (`output`)."""

    model_id: str
    role: str
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution, with what it was given and the last value of what it measured."""

    id: str
    experiment_id: str
    name: str
    status: RunStatus
    user: str
    state: State
    started_at: datetime
    ended_at: datetime | None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    inputs: tuple[DatasetInput, ...] = ()
    models: tuple[ModelUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModel:
    """A model that a run saved: its files are artifacts under its id."""

    id: str
    experiment_id: str
    run_id: str
    name: str
    type: str
    status: ModelStatus
    state: State
    created_at: datetime
    updated_at: datetime
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    """The last value of each metric, per run that measured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file, or (when it has no digest) a folder, below the artifacts of a run or model."""

    path: str
    size: int = 0
    sha256: str = ""

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return not self.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of a search; `next` is the offset to go on from, or None at the end."""

    items: tuple[Any, ...]
    next: int | None = None


def check_experiment_name(name: str) -> str:
    """Return `name` if it may name an experiment, or raise Invalid."""
    if not name.strip() or len(name) > MAX_NAME or "\0" in name:
        raise Invalid(f"An experiment needs a name of 1 to {MAX_NAME} characters.")
    return name


def check_key(what: str, key: str) -> str:
    """Return `key` if it may name a parameter, metric or tag, or raise Invalid."""
    if not key or len(key) > MAX_KEY or _CONTROL.search(key):
        raise Invalid(
            f"{key[:60]!r} is not a name for a {what}.", hint=f"Use 1 to {MAX_KEY} plain characters."
        )
    return key


def check_pairs(what: str, pairs: dict[str, str], longest: int) -> dict[str, str]:
    """Return the pairs if every key and value is acceptable, or raise Invalid."""
    if len(pairs) > MAX_PAIRS:
        raise Invalid(f"One request may carry {MAX_PAIRS} {what}s; this one has {len(pairs)}.")
    for key, value in pairs.items():
        check_key(what, key)
        if len(value) > longest:
            raise Invalid(f"The value of the {what} {key!r} is longer than {longest} characters.")
    return pairs


def check_path(path: str) -> str:
    """Return the artifact's path if it stays below its root, or raise Invalid."""
    parts = path.split("/")
    if not path or len(path) > MAX_PATH or _CONTROL.search(path) or any(p in ("", ".", "..") for p in parts):
        raise Invalid(
            f"{path[:100]!r} is not a path for an artifact.", hint="Use names joined by `/`, without `..`."
        )
    return path
