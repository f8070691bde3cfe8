"""What guards said about a call, for its trace and for the counters: each verdict once."""

from collections.abc import Callable, Iterable

from penstock.core import clock
from penstock.guardrails.model import Verdict
from penstock.guardrails.tally import Tally
from penstock.traces.model import SpanEvent

Count = Callable[[str, str], None]
"""Told (guard, verdict) of each verdict."""
EVENT = "guardrail"


def gathered(tallies: Iterable[Tally]) -> list[Verdict]:
    """Return the verdicts of several tallies of one side of a call; what more than one says counts once."""
    found: dict[tuple[str, str, str, str], Verdict] = {}
    for tally in tallies:
        for verdict in tally.verdicts():
            found.setdefault((verdict.policy, verdict.guard, verdict.rule, str(verdict.outcome)), verdict)
    return list(found.values())


def told(verdicts: Iterable[Verdict], count: Count) -> list[SpanEvent]:
    """Count the verdicts; returns them as events of the call's span."""
    events = []
    for verdict in verdicts:
        count(verdict.guard, str(verdict.outcome))
        events.append(SpanEvent(name=EVENT, at_ns=clock.now_ns(), attributes=verdict.attributes()))
    return events
