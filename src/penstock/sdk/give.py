"""`penstock.give_feedback`: people's judgement of an answer, tied to its trace."""

from typing import Any

from penstock.sdk import runtime
from penstock.sdk.spans import Span


def give_feedback(
    trace: str | Span,
    value: Any = None,
    *,
    name: str = "thumb",
    comment: str | None = None,
    source: str | None = None,
) -> dict[str, Any]:
    """Attach feedback to a trace (its id, or a span of it) and return the record.

    `name` is `thumb`, `rating`, `correction`, `demonstration`, `comment`, `preference` or a score's own. Sends the
    spans recorded so far first, so that the trace is there. Raises ApiError and ConnectionFailed: unlike tracing,
    feedback is the program's own act.
    """
    runtime.flush()
    trace_id = trace.trace_id if isinstance(trace, Span) else trace
    return runtime.client().feedback.give(trace_id, name=name, value=value, comment=comment, source=source)
