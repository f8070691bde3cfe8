"""Gates: rules in, a decision with its reasons out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from penstock.core.deferred import deferred
from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.evals.model import Comparison, Difference, EvalRun, GateCheck, GateRule, Metric, RunState

if TYPE_CHECKING:
    from penstock.evals import statistics
else:
    # It brings numpy, which only a decision needs.
    statistics = deferred("penstock.evals.statistics")

_CONDITIONS = ("min", "max", "not_worse_than", "better_than")
_RULE_KEYS = [item.name for item in fields(GateRule)]


def parse_rule(data: Any) -> GateRule:
    """Return the rule of a mapping such as `{metric: exact, min: 0.7}`; raises Invalid."""
    if not isinstance(data, Mapping) or not isinstance(data.get("metric"), str):
        raise Invalid("A gate rule needs a metric.", hint="Write {metric: exact, min: 0.7}.")
    for key in data:
        if key not in _RULE_KEYS:
            raise Invalid(f"Unknown key {key!r} in a gate rule.", hint=did_you_mean(str(key), _RULE_KEYS))
    rule = GateRule(**data)
    if sum(getattr(rule, name) is not None for name in _CONDITIONS) != 1:
        raise Invalid(f"The gate rule for {rule.metric} needs exactly one of {', '.join(_CONDITIONS)}.")
    for value in (rule.not_worse_than, rule.better_than):
        if value not in (None, "baseline"):
            raise Invalid(
                "A gate compares with 'baseline' only.", hint="Name the run as the gate's baseline."
            )
    if rule.bound not in ("value", "low", "high"):
        raise Invalid("A gate rule's bound is value, low or high.")
    if not 0 < rule.alpha < 1 or rule.margin < 0:
        raise Invalid("A gate rule's alpha lies between 0 and 1, its margin is not negative.")
    return rule


def needs_baseline(rules: Sequence[GateRule]) -> bool:
    """Whether any rule compares with a baseline."""
    return any(rule.not_worse_than or rule.better_than for rule in rules)


@dataclass(frozen=True, slots=True)
class _Style:
    """How figures of one unit are written."""

    percent: bool

    def number(self, value: float | None) -> str:
        if value is None:
            return "unbounded"
        return f"{value:.1%}" if self.percent else f"{value:.4g}"

    def change(self, value: float | None) -> str:
        if value is None:
            return "unbounded"
        return f"{100 * value:+.1f} points" if self.percent else f"{value:+.4g}"


def _style(unit: str) -> _Style:
    return _Style(unit == "fraction")


def describe(rule: GateRule) -> str:
    """Return the rule as one short text."""
    name = rule.metric + (f" [{rule.split}]" if rule.split else "")
    end = "" if rule.bound == "value" else f" ({rule.bound} end of the interval)"
    if rule.min is not None:
        return f"{name} >= {rule.min:g}{end}"
    if rule.max is not None:
        return f"{name} <= {rule.max:g}{end}"
    if rule.not_worse_than:
        return f"{name} not worse than the baseline by more than {rule.margin:g}"
    return f"{name} better than the baseline (alpha {rule.alpha:g})"


def evaluate(rules: Sequence[GateRule], run: EvalRun, comparison: Comparison | None) -> tuple[GateCheck, ...]:
    """Return one check per rule, after one that the run itself succeeded.

    A rule whose metric is missing fails. The p-values of all `better_than` rules are corrected together
    by Holm's method, so that a gate with many rules does not pass by chance.
    """
    if run.state is not RunState.SUCCEEDED:
        why = f": {run.error}" if run.error else "."
        return (
            GateCheck(rule="run succeeded", passed=False, reason=f"The run {run.id} is {run.state}{why}"),
        )
    adjusted = _adjusted(rules, comparison)
    return tuple(
        _absolute(rule, run)
        if rule.min is not None or rule.max is not None
        else _relative(rule, comparison, adjusted.get(index))
        for index, rule in enumerate(rules)
    )


def _adjusted(rules: Sequence[GateRule], comparison: Comparison | None) -> dict[int, float]:
    found = {}
    for index, rule in enumerate(rules):
        difference = (
            comparison.difference(rule.metric, rule.split) if comparison and rule.better_than else None
        )
        if difference is not None:
            found[index] = difference.p_value
    return dict(zip(found, statistics.holm(list(found.values())), strict=True))


def _absolute(rule: GateRule, run: EvalRun) -> GateCheck:
    metric = run.metric(rule.metric, rule.split)
    if metric is None:
        return _missing(rule, [m.name for m in run.metrics])
    measured: float | None = {"value": metric.value, "low": metric.low, "high": metric.high}[rule.bound]
    wanted = rule.min if rule.min is not None else rule.max
    style = _style(metric.unit)
    if measured is None or wanted is None:
        passed = False
    else:
        passed = measured >= wanted if rule.min is not None else measured <= wanted
    side = "at least" if rule.min is not None else "at most"
    reason = (
        f"{_figure(metric)}: {'the value' if rule.bound == 'value' else f'the {rule.bound} end'} "
        f"{style.number(measured)} is {'' if passed else 'not '}{side} {style.number(wanted)}."
    )
    return GateCheck(rule=describe(rule), passed=passed, reason=reason)


def _figure(metric: Metric) -> str:
    style = _style(metric.unit)
    name = metric.name + (f" [{metric.split}]" if metric.split else "")
    interval = f"{style.number(metric.low)} to {style.number(metric.high)}"
    return f"{name} {style.number(metric.value)} (95 % interval {interval}, n {metric.n})"


def _missing(rule: GateRule, names: Sequence[str]) -> GateCheck:
    hint = did_you_mean(rule.metric, sorted(set(names)))
    where = f" in the split {rule.split!r}" if rule.split else ""
    reason = f"The metric {rule.metric!r} was not measured{where}. {hint}".strip()
    return GateCheck(rule=describe(rule), passed=False, reason=reason)


def _relative(rule: GateRule, comparison: Comparison | None, p_adjusted: float | None) -> GateCheck:
    if comparison is None:
        return GateCheck(
            rule=describe(rule), passed=False, reason="The gate was given no baseline to compare with."
        )
    difference = comparison.difference(rule.metric, rule.split)
    if difference is None:
        return _missing(rule, [d.name for d in comparison.differences])
    if rule.better_than:
        return _better(rule, difference, 1.0 if p_adjusted is None else p_adjusted)
    return _not_worse(rule, difference)


def _move(difference: Difference) -> str:
    style = _style(difference.unit)
    return (
        f"{difference.name}{f' [{difference.split}]' if difference.split else ''} "
        f"{style.number(difference.baseline)} -> {style.number(difference.candidate)}, "
        f"difference {style.change(difference.difference)} "
        f"(95 % interval {style.change(difference.low)} to {style.change(difference.high)}, "
        f"{difference.n} pairs"
    )


def _better(rule: GateRule, difference: Difference, p_adjusted: float) -> GateCheck:
    gain = difference.difference if difference.higher_is_better else -difference.difference
    passed = gain > 0 and p_adjusted < rule.alpha
    if passed:
        end = "a significant gain"
    elif gain > 0:
        end = "a gain, but it may be chance"
        if difference.detectable is not None:
            end += f": this many pairs show {100 * difference.detectable:.1f} points or more"
    else:
        end = "no gain"
    reason = f"{_move(difference)}, p {p_adjusted:.2g}): {end}."
    return GateCheck(rule=describe(rule), passed=passed, reason=reason)


def _not_worse(rule: GateRule, difference: Difference) -> GateCheck:
    worst = difference.low if difference.higher_is_better else difference.high
    loss = None if worst is None else (-worst if difference.higher_is_better else worst)
    passed = loss is not None and loss <= rule.margin
    style = _style(difference.unit)
    allowed = style.change(rule.margin).lstrip("+")
    if passed:
        end = f"a loss beyond {allowed} is excluded"
    elif loss is None:
        end = "too few pairs to say"
    else:
        end = f"a loss of up to {style.change(loss).lstrip('+')} is not excluded, allowed are {allowed}"
    return GateCheck(rule=describe(rule), passed=passed, reason=f"{_move(difference)}): {end}.")
