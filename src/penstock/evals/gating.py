"""Gates: rules in, a decision with its reasons out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from penstock.core.deferred import deferred
from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.evals.model import Comparison, Difference, EvalRun, GateCheck, GateRule, Metric, RunState

if TYPE_CHECKING:
    from penstock.core import statistics
else:
    # It brings numpy, which only a decision needs.
    statistics = deferred("penstock.core.statistics")

_AGAINST = ("not_worse_than", "no_regression", "better_than")
_CONDITIONS = ("min", "max", "max_ratio", *_AGAINST)
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
    if any(getattr(rule, name) not in (None, "baseline") for name in _AGAINST):
        raise Invalid("A gate compares with 'baseline' only.", hint="Name the run as the gate's baseline.")
    _check_numbers(rule)
    return rule


def _check_numbers(rule: GateRule) -> None:
    if rule.bound not in ("value", "low", "high"):
        raise Invalid("A gate rule's bound is value, low or high.")
    if not 0 < rule.alpha < 1 or rule.margin < 0:
        raise Invalid("A gate rule's alpha lies between 0 and 1, its margin is not negative.")
    if not 0 < rule.power < 1 or (rule.no_regression and rule.margin == 0):
        raise Invalid(
            "A no_regression rule needs the loss to look for (margin above 0) and a power between 0 and 1.",
            hint="Write {metric: exact, no_regression: baseline, margin: 0.02, power: 0.8}.",
        )
    if rule.max_ratio is not None and rule.max_ratio <= 0:
        raise Invalid("A gate rule's max_ratio is above 0.", hint="1.1 allows ten per cent more.")


def needs_baseline(rules: Sequence[GateRule]) -> bool:
    """Whether any rule compares with a baseline."""
    return any(rule.max_ratio is not None or any(getattr(rule, name) for name in _AGAINST) for rule in rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a run is held against besides fixed figures."""

    baseline: EvalRun | None = None
    comparison: Comparison | None = None
    first: bool = False
    """There is nothing to compare with yet, and that is allowed."""


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
    if rule.max_ratio is not None:
        return f"{name} at most {rule.max_ratio:g} times the baseline's{end}"
    if rule.no_regression:
        return f"{name} without a loss of {rule.margin:g} (power {rule.power:g}, alpha {rule.alpha:g})"
    if rule.not_worse_than:
        return f"{name} not worse than the baseline by more than {rule.margin:g}"
    return f"{name} better than the baseline (alpha {rule.alpha:g})"


def evaluate(rules: Sequence[GateRule], run: EvalRun, against: Against) -> tuple[GateCheck, ...]:
    """Return one check per rule, or a single one when the run itself did not succeed.

    A rule whose metric is missing fails. The p-values of all `better_than` rules are corrected together
    by Holm's method, so that a gate with many rules does not pass by chance; those of `no_regression` are not,
    since there the correction would hide losses.
    """
    if run.state is not RunState.SUCCEEDED:
        why = f": {run.error}" if run.error else "."
        return (
            GateCheck(rule="run succeeded", passed=False, reason=f"The run {run.id} is {run.state}{why}"),
        )
    adjusted = _adjusted(rules, against.comparison)
    return tuple(_check(rule, run, against, adjusted.get(index)) for index, rule in enumerate(rules))


def _check(rule: GateRule, run: EvalRun, against: Against, p_adjusted: float | None) -> GateCheck:
    if rule.min is not None or rule.max is not None:
        return _absolute(rule, run)
    if against.first:
        reason = "There is no earlier run that passed, so there is nothing to compare with yet."
        return GateCheck(rule=describe(rule), passed=True, reason=reason)
    if rule.max_ratio is not None:
        return _ratio(rule, run, against.baseline)
    return _relative(rule, against.comparison, p_adjusted)


def without_unfit(
    rules: Sequence[GateRule], checks: Sequence[GateCheck], unfit: Mapping[str, str]
) -> tuple[GateCheck, ...]:
    """Return the checks with those refused that rest on a judge who may not gate; `unfit` is metric → reason."""
    return tuple(
        GateCheck(rule=check.rule, passed=False, reason=unfit[rule.metric]) if rule.metric in unfit else check
        for rule, check in zip(rules, checks, strict=True)
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


def _ratio(rule: GateRule, run: EvalRun, baseline: EvalRun | None) -> GateCheck:
    said = describe(rule)
    if baseline is None:
        return GateCheck(rule=said, passed=False, reason="The gate was given no baseline to compare with.")
    mine, theirs = (one.metric(rule.metric, rule.split) for one in (run, baseline))
    if mine is None or theirs is None:
        return _missing(rule, [m.name for m in (run if mine is None else baseline).metrics])
    # The cautious end of a ratio takes the far ends of both intervals.
    top, bottom = (mine.high, theirs.low) if rule.bound == "high" else (mine.value, theirs.value)
    style = _style(mine.unit)
    figures = f"{mine.name} {style.number(theirs.value)} -> {style.number(mine.value)}"
    if top is None or bottom is None:
        return GateCheck(rule=said, passed=False, reason=f"{figures}: too few samples to bound the ratio.")
    if bottom <= 0:
        passed, end = top <= 0, "the baseline's figure is not above 0, so there is no ratio"
    else:
        passed = top / bottom <= (rule.max_ratio or 0.0)
        far = " at the far ends of both intervals" if rule.bound == "high" else ""
        end = f"{top / bottom:.3g} times the baseline's{far}, allowed are {rule.max_ratio:g}"
    return GateCheck(rule=said, passed=passed, reason=f"{figures}: {end}.")


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
    if rule.no_regression:
        return _no_regression(rule, difference)
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
            least = _style(difference.unit).change(difference.detectable).lstrip("+")
            end += f": this many pairs show {least} or more"
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


def _no_regression(rule: GateRule, difference: Difference) -> GateCheck:
    style = _style(difference.unit)
    allowed = style.change(rule.margin).lstrip("+")
    power = _power(rule, difference)
    if difference.loss > 0 and difference.p_value < rule.alpha:
        passed, end = False, "this is a loss, and not by chance"
    elif power is None:
        passed, end = False, "the chance to see a loss is not known for this metric; use not_worse_than"
    elif power < rule.power:
        passed = False
        end = f"no loss is shown, but one of {allowed} would have been with a chance of {power:.1%} only"
        end += f" where {rule.power:.0%} are asked for: take more samples"
    else:
        passed, end = (
            True,
            f"no loss is shown, and one of {allowed} would have been with a chance of {power:.1%}",
        )
    reason = f"{_move(difference)}, p {difference.p_value:.2g}): {end}."
    return GateCheck(rule=describe(rule), passed=passed, reason=reason)


def _power(rule: GateRule, difference: Difference) -> float | None:
    """Return the chance that these pairs show a true loss of the rule's margin; None when it is not known."""
    if difference.discordant is not None:
        margin = min(1.0, rule.margin)
        share = max(difference.discordant, margin)
        return statistics.paired_power(margin, share, difference.n, alpha=rule.alpha)
    if difference.sd is None:
        return None
    if difference.sd == 0:
        return 1.0
    return statistics.mean_power(rule.margin, difference.sd, difference.units, alpha=rule.alpha)
