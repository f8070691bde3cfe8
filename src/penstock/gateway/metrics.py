"""What the gateway counts. Every function is for the event loop's thread and costs a few microseconds at most."""

from penstock.core import metrics
from penstock.core.scope import Scope
from penstock.gateway.model import Usage

CALLS = metrics.counter(
    "penstock_gateway_calls_total",
    "Calls that ended.",
    ("tenant", "project", "route", "target", "operation", "status", "cache"),
)
SECONDS = metrics.histogram(
    "penstock_gateway_call_seconds",
    "Time from the request to the end of the answer.",
    ("tenant", "project", "route", "target"),
)
FIRST_SECONDS = metrics.histogram(
    "penstock_gateway_first_byte_seconds",
    "Time from the request to the first byte of a stream.",
    ("tenant", "project", "route", "target"),
)
TOKENS = metrics.counter(
    "penstock_gateway_tokens_total",
    "Tokens of calls that ended, by kind; the finer kinds are parts of input and output.",
    ("tenant", "project", "route", "target", "kind"),
)
COST = metrics.counter(
    "penstock_gateway_cost_usd_total",
    "Cost of calls that ended, in US dollars.",
    ("tenant", "project", "route", "target"),
)
ASIDE = metrics.counter(
    "penstock_gateway_aside_cost_usd_total",
    "Cost beside callers' answers, in US dollars: copies, the cache's embedder, losers of hedged calls.",
    ("tenant", "project", "route", "target", "kind"),
)
RETRIES = metrics.counter(
    "penstock_gateway_attempts_beyond_first_total",
    "Attempts that calls needed after their first.",
    ("tenant", "project", "route"),
)
VERDICTS = metrics.counter(
    "penstock_gateway_guard_verdicts_total",
    "Verdicts of guards.",
    ("tenant", "project", "guard", "stage", "verdict"),
)
REFUSED = metrics.counter(
    "penstock_gateway_limits_refused_total",
    "Calls refused by a limit or budget.",
    ("tenant", "project", "limit"),
)
ALERTS = metrics.counter(
    "penstock_gateway_budget_alerts_total",
    "Alerts of budgets, by the fraction that was spent; 1 when nothing was left.",
    ("tenant", "project", "budget", "fraction"),
)
BUDGET_SPENT = metrics.gauge(
    "penstock_gateway_budget_spent_usd",
    "Spent of a budget for one subject, in US dollars, as the processes that spend know it.",
    ("tenant", "project", "budget", "subject", "period"),
    merge="max",
)
BUDGET_LIMIT = metrics.gauge(
    "penstock_gateway_budget_limit_usd",
    "The amount of a budget for one subject, in US dollars.",
    ("tenant", "project", "budget", "subject", "period"),
    merge="max",
)
BREAKER = metrics.gauge(
    "penstock_gateway_breaker_state",
    "A target's circuit breaker: 0 closed, 1 half open, 2 open; the worst of all processes.",
    ("tenant", "project", "target"),
    merge="max",
)
TARGET_IN_FLIGHT = metrics.gauge(
    "penstock_gateway_target_in_flight",
    "Calls a target is working on, all processes together.",
    ("tenant", "project", "target"),
)
TARGET_LATENCY = metrics.gauge(
    "penstock_gateway_target_latency_seconds",
    "A target's time to the first byte (peak EWMA); the slowest of all processes.",
    ("tenant", "project", "target"),
    merge="max",
)
_WRITTEN = ("cache_write", "cache_write_1h")
_RARER = (*_WRITTEN, "audio_input", "image_input", "audio_output", "image_output")
IN_FLIGHT = metrics.gauge("penstock_gateway_calls_in_flight", "Calls being carried now.")


def ended(
    scope: Scope,
    route: str,
    target: str,
    operation: str,
    *,
    status: int,
    seconds: float,
    cache: str = "",
    first_seconds: float | None = None,
    attempts: int = 1,
) -> None:
    """Count a call that ended; names are empty where the call did not get so far."""
    place = scope.tenant, scope.project
    CALLS.inc(*place, route, target, operation, str(status), cache)
    SECONDS.observe(seconds, *place, route, target)
    if first_seconds is not None:
        FIRST_SECONDS.observe(first_seconds, *place, route, target)
    if attempts > 1:
        RETRIES.inc(*place, route, by=attempts - 1)


def spent(scope: Scope, route: str, target: str, usage: Usage, cost_usd: float | None) -> None:
    """Count the tokens and cost of a call."""
    place = scope.tenant, scope.project
    if usage.input:
        TOKENS.inc(*place, route, target, "input", by=usage.input)
    if usage.output:
        TOKENS.inc(*place, route, target, "output", by=usage.output)
    if usage.cached:
        TOKENS.inc(*place, route, target, "cached", by=usage.cached)
    if usage.reasoning:
        TOKENS.inc(*place, route, target, "reasoning", by=usage.reasoning)
    if (
        usage.cache_write
        or usage.cache_write_1h
        or usage.audio_input
        or usage.image_input
        or usage.audio_output
        or usage.image_output
    ):
        _count_rarer(usage, *place, route, target)
    if cost_usd:
        COST.inc(*place, route, target, by=cost_usd)


def _count_rarer(usage: Usage, *labels: str) -> None:
    for kind in _RARER:
        if tokens := getattr(usage, kind):
            TOKENS.inc(*labels, "cache_write" if kind in _WRITTEN else kind, by=tokens)
