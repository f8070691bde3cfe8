"""What is to be evaluated: the suite, from YAML, JSON or Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

REDACTED = "[redacted]"
SIGNATURES = "signatures"
"""What the record of a finished run adds to its suite: scorer → signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a row hold what; empty means: found by the usual names."""

    input: str = ""
    """A text or a list of chat messages."""
    expected: str = ""
    """The right answer: a text, a list of texts, or an object (scored as JSON)."""
    id: str = ""
    """The row's own id; without one, rows are known by a hash of their input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSpec:
    """A scorer plug-in and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A dataset, a target and the scorers to put on its answers."""

    name: str
    dataset: str
    """`name@3` or `name@latest`; a run pins the version."""
    target: Mapping[str, Any]
    """`kind` is the target plug-in's name; the rest are its options."""
    scorers: tuple[ScorerSpec, ...] = (ScorerSpec(name="exact"), ScorerSpec(name="latency"))
    split: str | None = None
    """One split; None takes all of them and reports each."""
    limit: int | None = None
    """At most so many rows of each split, the first ones."""
    system: str = ""
    """A system message put in front of every sample."""
    columns: Columns = Columns()
    concurrency: int = 8
    max_error_rate: float = 0.02
    """The run fails when the target fails on a larger share of the samples."""
    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        """Check what can be checked without looking anything up; raises Invalid."""
        if not self.name or not self.dataset:
            raise Invalid("A suite needs a name and a dataset.", hint="Write dataset: NAME@VERSION.")
        if not isinstance(self.target.get("kind"), str):
            raise Invalid(
                "A suite's target needs a kind.", hint="Write target: {kind: gateway, model: NAME}."
            )
        names = [scorer.name for scorer in self.scorers]
        if not names or len(set(names)) < len(names):
            raise Invalid("A suite needs at least one scorer, and each only once.")
        if self.concurrency < 1 or (self.limit is not None and self.limit < 1):
            raise Invalid("A suite's concurrency and limit must be at least 1.")
        if not 0 <= self.max_error_rate <= 1:
            raise Invalid("A suite's max_error_rate lies between 0 and 1.")


def scorer_spec(value: Any) -> ScorerSpec:
    """Return the scorer written as `exact`, `{name: fields, keys: [...]}` or `{fields: {keys: [...]}}`."""
    if isinstance(value, ScorerSpec):
        return value
    if isinstance(value, str):
        return ScorerSpec(name=value)
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return ScorerSpec(name=value["name"], options={k: v for k, v in value.items() if k != "name"})
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
        if isinstance(options, Mapping):
            return ScorerSpec(name=str(name), options=dict(options))
    raise Invalid(f"{value!r} is not a scorer.", hint="Write a name, or {name: fields, keys: [category]}.")


def parse_suite(data: Any) -> Suite:
    """Return the suite of a decoded YAML or JSON document; raises Invalid naming what is wrong.

    The record of a run is a suite too; the signatures in it are left aside.
    """
    if not isinstance(data, Mapping):
        raise Invalid("A suite file must hold a mapping.", hint="See docs/evals.md for an example.")
    data = {key: value for key, value in data.items() if key != SIGNATURES}
    _known(data, Suite, "a suite")
    values = dict(data)
    if "scorers" in values:
        given = values["scorers"]
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise Invalid("A suite's scorers must be a list.")
        values["scorers"] = tuple(scorer_spec(item) for item in given)
    if not isinstance(values.get("columns", Columns()), Columns):
        _known(values["columns"], Columns, "a suite's columns")
        values["columns"] = Columns(**values["columns"])
    if not isinstance(values.get("target"), Mapping):
        raise Invalid("A suite needs a target.", hint="Write target: {kind: gateway, model: NAME}.")
    missing = [name for name in ("name", "dataset") if name not in values]
    if missing:
        raise Invalid(f"The suite has no {missing[0]}.")
    try:
        return Suite(**values)
    except TypeError as error:
        raise Invalid(f"The suite has a value of the wrong type: {error}.") from error


def _known(data: Any, cls: type, what: str) -> None:
    names = [item.name for item in fields(cls)]
    if not isinstance(data, Mapping):
        raise Invalid(f"{what.capitalize()} must be a mapping.")
    for key in data:
        if key not in names:
            raise Invalid(f"Unknown key {key!r} in {what}.", hint=did_you_mean(str(key), names))


def to_spec(suite: Suite) -> dict[str, Any]:
    """Return the suite as JSON for the record: keys given in the clear are redacted."""
    target = dict(suite.target)
    if isinstance(target.get("api_key"), str):
        target["api_key"] = REDACTED
    return {
        "name": suite.name,
        "dataset": suite.dataset,
        "target": target,
        "scorers": [{"name": scorer.name, **scorer.options} for scorer in suite.scorers],
        "split": suite.split,
        "limit": suite.limit,
        "system": suite.system,
        "columns": {item.name: getattr(suite.columns, item.name) for item in fields(Columns)},
        "concurrency": suite.concurrency,
        "max_error_rate": suite.max_error_rate,
        "seed": suite.seed,
    }
