"""What releases can be judged by: the measures of a call, and scores that somebody gives later."""

import math
import re
from collections.abc import Callable, Mapping

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.gateway.model import ArmOutcome
from penstock.release.model import Metric

MEASURES: Mapping[str, Callable[[ArmOutcome], float | None]] = {
    "errors": lambda call: float(call.failed),
    "guard_hits": lambda call: float(call.guarded),
    "latency": lambda call: call.latency_s,
    "first_token": lambda call: call.first_token_s,
    "cost": lambda call: call.cost_usd,
    "output_tokens": lambda call: call.output_tokens,
}
"""Metric → what a call says of it; None where it says nothing. Times are in seconds, costs in US dollars."""
BINARY = ("errors", "guard_hits")
GIVEN = ("feedback", "score")
"""`feedback:NAME` is what people said of answers, `score:NAME` what evaluations did."""
LONGEST_SECONDS = 120.0
"""Times count as this at most: one call that hung must not hide what the others say."""
DEFAULTS = ("errors", "latency", "cost", "guard_hits")
_DEFAULT_HARM = {"errors": 0.02, "guard_hits": 0.02}
_GIVEN_NAME = re.compile(r"(feedback|score):[^\x00-\x1f]{1,64}")


def metric(name: str, direction: str = "", harm: float | None = None) -> Metric:
    """Return the metric `name`; raises Invalid with a suggestion."""
    given = _GIVEN_NAME.fullmatch(name) is not None
    if name not in MEASURES and not given:
        known = [*MEASURES, "feedback:NAME", "score:NAME"]
        raise Invalid(f"There is no metric {name!r}.", hint=did_you_mean(name, known))
    if direction not in ("", "up", "down"):
        raise Invalid(f"The direction of {name!r} is up or down, not {direction!r}.")
    relative = not given and name not in BINARY
    usual = 0.05 if given else _DEFAULT_HARM.get(name, 0.2)
    harm = usual if harm is None else harm
    if not 0 < harm <= 10:
        raise Invalid(f"The harm of {name!r} must be above 0 and at most 10.")
    direction = direction or ("up" if given else "down")
    return Metric(name=name, direction=direction, harm=harm, relative=relative, binary=name in BINARY)


def measured(call: ArmOutcome, wanted: tuple[Metric, ...]) -> dict[str, float]:
    """Return what a call says of the metrics `wanted`."""
    found: dict[str, float] = {}
    for each in wanted:
        measure = MEASURES.get(each.name)
        value = measure(call) if measure is not None else None
        if value is not None:
            found[each.name] = (
                min(value, LONGEST_SECONDS) if each.name in ("latency", "first_token") else value
            )
    return found


def has_scores(wanted: tuple[Metric, ...]) -> bool:
    """Return whether something of it is said after the call."""
    return any(each.name not in MEASURES for each in wanted)


def possible(wanted: Metric) -> tuple[float, float]:
    """Return the least and the most that a mean of the metric can be."""
    if wanted.binary:
        return 0.0, 1.0
    return (0.0 if wanted.name in MEASURES else -math.inf), math.inf
