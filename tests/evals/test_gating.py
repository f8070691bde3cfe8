"""Gate rules on made-up figures."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.evals.gating import Against, evaluate, parse_rule
from penstock.evals.model import Comparison, Difference, EvalRun, Metric, MetricKind, RunState

METRICS = (
    Metric(name="exact", value=0.8, low=0.75, high=0.84, n=400, method="wilson", kind=MetricKind.PROPORTION),
    Metric(
        name="latency_s.p95",
        value=0.2,
        low=0.18,
        high=None,
        n=400,
        method="order_statistic",
        kind=MetricKind.DISTRIBUTION,
        higher_is_better=False,
        unit="s",
    ),
)


def a_run(state: RunState = RunState.SUCCEEDED) -> EvalRun:
    return EvalRun(
        id="evr_1",
        suite="s",
        spec={},
        dataset="d@1",
        dataset_version="dsv_1",
        dataset_hash="h",
        target="gateway",
        model="m",
        state=state,
        error="the line is dead" if state is RunState.FAILED else "",
        metrics=METRICS,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def difference(name: str = "exact", **changes: Any) -> Difference:
    values: dict[str, Any] = {
        "name": name,
        "split": "",
        "baseline": 0.78,
        "candidate": 0.80,
        "difference": 0.02,
        "low": -0.01,
        "high": 0.05,
        "n": 400,
        "p_value": 0.03,
        "p_adjusted": 0.06,
        "test": "mcnemar_exact",
        "interval": "tango",
        "higher_is_better": True,
        "unit": "fraction",
        "kind": MetricKind.PROPORTION,
        "detectable": 0.04,
    }
    return Difference(**{**values, **changes})


def compared(*differences: Difference) -> Comparison:
    return Comparison(
        baseline_id="evr_0",
        candidate_id="evr_1",
        shared=400,
        only_baseline=0,
        only_candidate=0,
        changed=0,
        failed=0,
        differences=differences,
    )


def against(*differences: Difference) -> Against:
    return Against(comparison=compared(*differences)) if differences else Against()


def check(rule: dict[str, Any], *differences: Difference) -> tuple[bool, str]:
    (found,) = evaluate([parse_rule(rule)], a_run(), against(*differences))
    return found.passed, found.reason


@pytest.mark.parametrize(
    ("rule", "passed", "words"),
    [
        ({"metric": "exact", "min": 0.8}, True, "is at least 80.0%"),
        ({"metric": "exact", "min": 0.81}, False, "is not at least 81.0%"),
        ({"metric": "exact", "min": 0.78, "bound": "low"}, False, "the low end 75.0%"),
        ({"metric": "latency_s.p95", "max": 0.25}, True, "at most 0.25"),
        ({"metric": "latency_s.p95", "max": 0.25, "bound": "high"}, False, "unbounded"),
        ({"metric": "exakt", "min": 0.1}, False, "was not measured"),
        ({"metric": "exact", "min": 0.1, "split": "test"}, False, "in the split 'test'"),
        ({"metric": "exact", "better_than": "baseline"}, False, "no baseline"),
    ],
)
def test_absolute_rules(rule: dict[str, Any], passed: bool, words: str) -> None:
    found, reason = check(rule)
    assert found is passed
    assert words in reason


@pytest.mark.parametrize(
    ("margin", "low", "passed"),
    [(0.02, -0.01, True), (0.005, -0.01, False), (0.0, 0.001, True), (0.02, None, False)],
)
def test_not_worse_rests_on_the_interval(margin: float, low: float | None, passed: bool) -> None:
    rule = {"metric": "exact", "not_worse_than": "baseline", "margin": margin}
    assert check(rule, difference(low=low))[0] is passed


def test_not_worse_when_lower_is_better() -> None:
    slower = difference("latency_s", higher_is_better=False, unit="s", difference=0.01, low=-0.01, high=0.03)
    rule = {"metric": "latency_s", "not_worse_than": "baseline", "margin": 0.05}
    assert check(rule, slower)[0]
    assert not check({**rule, "margin": 0.02}, slower)[0]


def test_better_needs_a_gain_that_is_not_chance() -> None:
    rule = {"metric": "exact", "better_than": "baseline"}
    assert check(rule, difference())[0]
    passed, reason = check(rule, difference(p_value=0.2))
    assert not passed
    assert "may be chance" in reason
    assert "4.0 points" in reason
    passed, reason = check(rule, difference(difference=-0.3, p_value=1e-9))
    assert not passed
    assert "no gain" in reason


def test_several_better_rules_are_corrected_together() -> None:
    rules = [parse_rule({"metric": name, "better_than": "baseline"}) for name in ("exact", "fields")]
    found = evaluate(rules, a_run(), against(difference(), difference("fields", p_value=0.04)))
    assert [one.passed for one in found] == [False, False], "0.03 alone would pass; of two it is 0.06"


def test_a_failed_run_fails_at_once() -> None:
    (found,) = evaluate([parse_rule({"metric": "exact", "min": 0})], a_run(RunState.FAILED), Against())
    assert not found.passed
    assert found.reason == "The run evr_1 is failed: the line is dead"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"min": 1}, "needs a metric"),
        ({"metric": "exact"}, "exactly one"),
        ({"metric": "exact", "min": 0, "max": 1}, "exactly one"),
        ({"metric": "exact", "minimum": 0}, "Unknown key 'minimum'"),
        ({"metric": "exact", "better_than": "yesterday"}, "baseline"),
        ({"metric": "exact", "min": 0, "bound": "middle"}, "bound"),
        ({"metric": "exact", "better_than": "baseline", "alpha": 0}, "alpha"),
        ({"metric": "exact", "no_regression": "baseline"}, "margin above 0"),
        ({"metric": "exact", "no_regression": "baseline", "margin": 0.1, "power": 1}, "power"),
        ({"metric": "exact", "max_ratio": 0}, "max_ratio"),
        ("exact >= 1", "needs a metric"),
    ],
)
def test_rules_that_make_no_sense(rule: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_rule(rule)


@pytest.mark.parametrize(
    ("changes", "margin", "passed", "words"),
    [
        (
            {"n": 2000, "p_value": 0.6, "difference": -0.005, "discordant": 0.1},
            0.03,
            True,
            "no loss is shown",
        ),
        ({"n": 100, "p_value": 0.6, "difference": -0.005, "discordant": 0.1}, 0.03, False, "more samples"),
        ({"n": 2000, "p_value": 0.001, "difference": -0.02, "discordant": 0.1}, 0.03, False, "not by chance"),
        ({"n": 50, "p_value": 0.001, "difference": 0.3, "discordant": 0.4}, 0.5, True, "no loss"),
        ({"n": 34, "p_value": 0.5, "sd": 1.0}, 0.5, True, "80.8%"),
        ({"n": 33, "p_value": 0.5, "sd": 1.0}, 0.5, False, "79."),
        ({"n": 330, "p_value": 0.5, "sd": 1.0, "clusters": 33}, 0.5, False, "79."),
        ({"n": 30, "p_value": 1.0, "difference": 0.0, "sd": 0.0}, 0.1, True, "100.0%"),
        ({"n": 9000, "p_value": 0.5}, 0.1, False, "not known"),
    ],
)
def test_no_regression_at_a_stated_power(
    changes: dict[str, Any], margin: float, passed: bool, words: str
) -> None:
    rule = {"metric": "exact", "no_regression": "baseline", "margin": margin}
    found, reason = check(rule, difference(**changes))
    assert found is passed
    assert words in reason


def test_more_power_asks_for_more_samples() -> None:
    rule = {"metric": "exact", "no_regression": "baseline", "margin": 0.5}
    enough = difference(n=34, p_value=0.5, sd=1.0)
    assert check({**rule, "power": 0.8}, enough)[0]
    assert not check({**rule, "power": 0.9}, enough)[0]


def test_cost_and_latency_as_a_ratio() -> None:
    cost = Metric(
        name="cost_usd", value=0.010, low=0.009, high=0.011, n=9, method="t", kind=MetricKind.MEAN, unit="usd"
    )
    free = replace(cost, value=0.0, low=0.0)
    now, before = (replace(a_run(), metrics=(m,)) for m in (replace(cost, value=0.012, high=0.014), cost))
    told = Against(baseline=before, comparison=compared())

    def ratio(against: Against = told, **rule: Any) -> tuple[bool, str]:
        (found,) = evaluate([parse_rule({"metric": "cost_usd", **rule})], now, against)
        return found.passed, found.reason

    assert ratio(max_ratio=1.25) == (
        True,
        "cost_usd 0.01 -> 0.012: 1.2 times the baseline's, allowed are 1.25.",
    )
    assert not ratio(max_ratio=1.1)[0]
    assert ratio(max_ratio=1.5, bound="high")[0] is False, "0.014 / 0.009 is 1.56"
    assert "not measured" in ratio(max_ratio=1.1, split="test")[1]
    assert "no baseline" in ratio(Against(), max_ratio=1.1)[1]
    nothing = Against(baseline=replace(before, metrics=(free,)), comparison=compared())
    passed, reason = ratio(nothing, max_ratio=2)
    assert not passed
    assert "no ratio" in reason


def test_the_first_run_may_pass_only_what_needs_a_baseline() -> None:
    rules = [{"metric": "exact", "max_ratio": 1}, {"metric": "exact", "min": 0.9}]
    found = evaluate([parse_rule(rule) for rule in rules], a_run(), Against(first=True))
    assert [one.passed for one in found] == [True, False]
    assert "nothing to compare with yet" in found[0].reason
