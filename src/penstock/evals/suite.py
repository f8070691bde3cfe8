"""What is to be evaluated: the suite, from YAML, JSON or Python."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

REDACTED = "[redacted]"
SIGNATURES = "signatures"
"""What the record of a finished run adds to its suite: scorer → signature."""


REDUCERS = ("mean", "max", "majority")
_PASS = re.compile(r"pass@(\d+)")


def check_reducer(name: str, epochs: int) -> int | None:
    """Return K of `pass@K`, None for another reducer; raises Invalid for an unknown one or a K above `epochs`."""
    found = _PASS.fullmatch(str(name))
    if found is None:
        if name not in REDUCERS:
            raise Invalid(
                f"There is no reducer {name!r}.", hint=f"There are {', '.join(REDUCERS)} and pass@K."
            )
        return None
    k = int(found.group(1))
    if not 1 <= k <= epochs:
        raise Invalid(f"pass@{k} needs at least {max(k, 1)} epochs, not {epochs}.")
    return k


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
    epochs: int = 1
    """How often each sample is asked; the sample stays the unit of every interval."""
    reducers: tuple[str, ...] = ("mean",)
    """How a sample's scores of several epochs become one: mean, max, majority, pass@K."""
    max_cost_usd: float | None = None
    """The run stops before its calls, judges' included, cost more; never overspent beyond the calls in flight."""
    cache: bool = False
    """Whether answers of other runs to the very same calls may be used, and theirs be this run's."""
    judge: Mapping[str, Any] = field(default_factory=dict)
    """The model that judging scorers ask unless they name their own: options as of a gateway target."""

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
        if self.max_cost_usd is not None and self.max_cost_usd <= 0:
            raise Invalid("A suite's max_cost_usd must be above 0.")
        if self.epochs < 1 or not self.reducers:
            raise Invalid("A suite needs at least one epoch and one reducer.")
        for reducer in self.reducers:
            check_reducer(reducer, self.epochs)


_LOCAL_OPTIONS = ("max_tokens", "batch_size", "threads", "prompt_style")


def aimed_at(suite: Suite, ref: str, *, kind: str = "model") -> Suite:
    """Return the suite with the version `ref` as its target; of its own target what holds for any local one stays."""
    kept = {name: suite.target[name] for name in _LOCAL_OPTIONS if name in suite.target}
    return replace(suite, target={**kept, "kind": kind, "model": ref})


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
    if "reducers" in values:
        given = values["reducers"]
        values["reducers"] = (given,) if isinstance(given, str) else tuple(given)
    if not isinstance(values.get("judge", {}), Mapping):
        raise Invalid("A suite's judge must be a mapping.", hint="Write judge: {model: NAME}.")
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


_LATER = {"epochs": 1, "reducers": ("mean",), "max_cost_usd": None, "cache": False, "judge": {}}
"""Keys that a record leaves out while they hold what they always held."""


def _without_keys(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with keys given in the clear redacted, also those of judges inside them."""
    return {
        name: REDACTED
        if name == "api_key" and isinstance(value, str)
        else _without_keys(value)
        if isinstance(value, Mapping)
        else [_without_keys(one) if isinstance(one, Mapping) else one for one in value]
        if isinstance(value, list | tuple)
        else value
        for name, value in options.items()
    }


def holds_a_key(suite: Suite) -> bool:
    """Whether a key is given in the clear, to the target or to a judge."""
    spec = to_spec(suite)
    return REDACTED in str([spec["target"], spec["scorers"], spec.get("judge")])


def to_spec(suite: Suite) -> dict[str, Any]:
    """Return the suite as JSON for the record: keys given in the clear are redacted."""
    spec = {
        "name": suite.name,
        "dataset": suite.dataset,
        "target": _without_keys(suite.target),
        "scorers": [{"name": scorer.name, **_without_keys(scorer.options)} for scorer in suite.scorers],
        "split": suite.split,
        "limit": suite.limit,
        "system": suite.system,
        "columns": {item.name: getattr(suite.columns, item.name) for item in fields(Columns)},
        "concurrency": suite.concurrency,
        "max_error_rate": suite.max_error_rate,
        "seed": suite.seed,
    }
    for name, usual in _LATER.items():
        value = getattr(suite, name)
        if value != usual:
            spec[name] = _without_keys(value) if isinstance(value, Mapping) else value
    return spec


def with_keys_of(recorded: Suite, given: Suite) -> Suite:
    """Return a recorded suite with the keys that `given` has in the clear; parts that differ stay as recorded."""
    kept, offered = to_spec(recorded), to_spec(given)
    changes: dict[str, Any] = {}
    if "api_key" in given.target:
        changes["target"] = {**recorded.target, "api_key": given.target["api_key"]}
    for name in ("judge", "scorers"):
        if kept.get(name) == offered.get(name):
            changes[name] = getattr(given, name)
    return replace(recorded, **changes)
