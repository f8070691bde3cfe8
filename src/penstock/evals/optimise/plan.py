"""What is to be optimised, by what measure and within which budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.evals.suite import Columns, ScorerSpec, Suite, parse_suite, to_spec

METHODS = ("few_shot", "rewrite")
OF_SUITE = ("dataset", "target", "scorers", "columns", "judge", "concurrency", "max_error_rate", "seed")
"""Keys that a plan has in common with a suite, and reads as a suite does."""


_LEAST = {
    "rows": 4,
    "held_out_rows": 2,
    "shots": 1,
    "demo_sets": 1,
    "rewrites": 1,
    "minibatch": 1,
    "finalists": 1,
    "max_calls": 1,
    "concurrency": 1,
    "seed": 0,
}
_TYPES: dict[str, tuple[Any, str]] = {
    "version": (int | None, "a number"),
    "label": (str | None, "a text"),
    "split": (str | None, "a text"),
    "held_out": (str | float | int | None, "a split's name, or a share between 0 and 1"),
    "target": (Mapping, "a mapping of options"),
    "judge": (Mapping, "a mapping of options"),
    "rewriter": (Mapping, "a mapping of options"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One search, as YAML, JSON or keyword arguments describe it."""

    prompt: str
    dataset: str
    """`name@3` or `name@latest`."""
    metric: str
    """The per-row metric of one of the scorers that is to be improved."""
    scorers: tuple[ScorerSpec, ...] = (ScorerSpec(name="exact"),)
    version: int | None = None
    label: str | None = None
    models: tuple[str, ...] = ()
    """Models to try the prompt on; empty: the target's, or the one in the prompt's settings."""
    target: Mapping[str, Any] = field(default_factory=dict)
    """Options of the prompt target: base_url, api_key, variables, max_tokens …"""
    judge: Mapping[str, Any] = field(default_factory=dict)
    rewriter: Mapping[str, Any] = field(default_factory=dict)
    """The model that rewrites instructions; empty: the judge, else the first of the models."""
    columns: Columns = field(default_factory=Columns)
    methods: tuple[str, ...] = METHODS
    split: str | None = None
    """The split to learn and choose by; None: `train`, or all rows where there are no splits."""
    held_out: str | float | None = None
    """The split for the reported figures, or a share of the rows of `split`; None: `test`, or a share of 0.4."""
    rows: int = 80
    """At most so many rows to learn and choose by: half for each."""
    held_out_rows: int = 200
    shots: int = 4
    """Examples in a prompt, at most."""
    demo_sets: int = 4
    """How many sets of examples are drawn."""
    rewrites: int = 6
    minibatch: int = 4
    """Rows that a rewriting looks at, and must do better on."""
    finalists: int = 3
    """Candidates, besides the original, that are measured on the held-out rows."""
    max_calls: int = 1000
    max_cost_usd: float | None = None
    concurrency: int = 8
    max_error_rate: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what can be checked without looking anything up; raises Invalid."""
        if not self.prompt or not self.metric:
            raise Invalid("An optimisation needs a prompt, a dataset and the metric to improve.")
        self._check_types()
        if self.version is not None and self.label is not None:
            raise Invalid("Give a version or a label of the prompt, not both.")
        if not self.methods or any(name not in METHODS for name in self.methods):
            raise Invalid(f"The methods are {', '.join(METHODS)}.")
        share = self.held_out
        if isinstance(share, float | int) and not 0 < share < 1:
            raise Invalid("held_out is a split's name, or a share between 0 and 1.")
        self.suite()

    def _check_types(self) -> None:
        for name, low in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise Invalid(f"{name} must be a whole number of at least {low}.")
        for name, (kind, wanted) in _TYPES.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise Invalid(f"{name} must be {wanted}.")
        if any(not isinstance(name, str) or not name for name in self.models):
            raise Invalid("Models are named by texts.")
        columns = self.target.get("variables") or {}
        if not isinstance(columns, Mapping) or any(not isinstance(one, str) for one in columns.values()):
            raise Invalid("The target's variables map a variable to the name of a column.")

    def suite(self) -> Suite:
        """Return the suite that the plan's scorers, judge and dataset make."""
        return Suite(
            name=f"optimise {self.prompt}",
            dataset=self.dataset,
            target={**self.target, "kind": "prompt", "prompt": self.prompt},
            scorers=self.scorers,
            columns=self.columns,
            judge=self.judge,
            concurrency=self.concurrency,
            max_error_rate=self.max_error_rate,
            max_cost_usd=self.max_cost_usd,
            seed=self.seed,
        )


def parse_plan(data: Any) -> Plan:
    """Return the plan of a decoded YAML or JSON document; raises Invalid naming what is wrong."""
    if not isinstance(data, Mapping):
        raise Invalid("An optimisation must be a mapping.", hint="See docs/prompt-optimisation.md.")
    known = [item.name for item in fields(Plan)]
    for key in data:
        if key not in known:
            raise Invalid(f"Unknown key {key!r} in an optimisation.", hint=did_you_mean(str(key), known))
    for name in ("prompt", "dataset", "metric"):
        if not isinstance(data.get(name), str):
            raise Invalid(f"The optimisation has no {name}.")
    shared = {name: data[name] for name in OF_SUITE if name in data}
    target = shared.get("target", {})
    if not isinstance(target, Mapping):
        raise Invalid("The target must be a mapping of the prompt target's options.")
    given = {"scorers": ["exact"], **shared, "name": "plan", "target": {**target, "kind": "prompt"}}
    suite = parse_suite(given)
    values = {
        **data,
        **{name: getattr(suite, name) for name in OF_SUITE},
        "max_error_rate": data.get("max_error_rate", 0.1),
        "target": dict(target),
    }
    values |= {name: _names(name, values[name]) for name in ("models", "methods") if name in values}
    try:
        return Plan(**values)
    except TypeError as error:
        raise Invalid(f"The optimisation has a value of the wrong type: {error}.") from error


def _names(what: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list | tuple):
        raise Invalid(f"The {what} must be a list of names.")
    return tuple(given)


def plan_spec(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON for the record: keys given in the clear are redacted."""
    suite = to_spec(plan.suite())
    hidden = to_spec(replace(plan.suite(), judge=plan.rewriter)).get("judge", {})
    target = {name: value for name, value in suite["target"].items() if name not in ("kind", "prompt")}
    own = {item.name: getattr(plan, item.name) for item in fields(Plan) if item.name not in OF_SUITE}
    shared = {name: suite[name] for name in OF_SUITE if name in suite}
    return {
        **shared,
        **own,
        "target": target,
        "rewriter": hidden,
        "models": [*plan.models],
        "methods": [*plan.methods],
    }


def with_keys(recorded: Plan, given: Plan) -> Plan:
    """Return the recorded plan with the keys that `given` has in the clear."""
    names = ("target", "judge", "rewriter", "scorers")
    kept, offered = plan_spec(recorded), plan_spec(given)
    return replace(
        recorded, **{name: getattr(given, name) for name in names if kept.get(name) == offered.get(name)}
    )
