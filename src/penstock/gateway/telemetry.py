"""What a finished call leaves behind: its span, and what it adds to the metrics."""

from penstock.core.errors import LimitExceeded
from penstock.gateway import metrics
from penstock.gateway.call import Call
from penstock.gateway.dividing.journal import ArmJournal
from penstock.gateway.model import Usage
from penstock.gateway.tracing import Recorder, span_of

NS = 1e-9


class Telemetry:
    """Tells of the calls of one process."""

    def __init__(self, recorder: Recorder, *, capture: bool, journal: ArmJournal) -> None:
        """`capture` keeps bodies in traces; `journal` takes the calls that a release divides."""
        self._recorder = recorder
        self._journal = journal
        self._capture = capture

    def record(self, call: Call) -> None:
        """Write the span of a call that got as far as to say what it wants and for whom."""
        if call.scope is not None and call.operation is not None:
            self._recorder.record(call.scope, span_of(call, capture=self._capture))
            if call.arm is not None:
                self._journal.add(call)

    def ended(self, call: Call) -> None:
        """Record a call and count it."""
        self.record(call)
        if call.scope is None or call.operation is None:
            return
        scope, route = call.scope, call.route
        target = call.target.label if call.target is not None else ""
        metrics.ended(
            scope,
            route,
            target,
            call.operation,
            status=call.status,
            seconds=(call.end_ns - call.start_ns) * NS,
            cache=call.cache,
            first_seconds=(call.first_ns - call.start_ns) * NS if call.first_ns else None,
            attempts=call.attempts,
        )
        cost = call.cost.usd if call.cost is not None else None
        metrics.spent(scope, route, target, call.usage or Usage(), cost)
        for event in call.events:
            found = event.attributes
            metrics.VERDICTS.inc(
                scope.tenant, scope.project, found["guard"], found["stage"], found["verdict"]
            )

    @staticmethod
    def refused(call: Call, error: LimitExceeded) -> None:
        """Count a call that a limit or budget refused."""
        limit = str(
            error.details.get("budget") or error.details.get("limit") or error.details.get("type", "")
        )
        place = (call.scope.tenant, call.scope.project) if call.scope is not None else ("", "")
        metrics.REFUSED.inc(*place, limit)
