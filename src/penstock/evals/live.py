"""Scoring answers that were given to real callers: scorers that need no reference and ask nobody."""

from collections.abc import Sequence
from typing import Any

from penstock.core import log
from penstock.core.errors import Invalid, PenstockError
from penstock.evals.model import Output, Sample
from penstock.evals.ports import JudgingScorer
from penstock.evals.runner import build_scorers
from penstock.evals.suite import scorer_spec
from penstock.feedback import service as feedback
from penstock.traces.model import SpanRecord

logger = log.get("evals")
NS = 1e-9


def asked(span: SpanRecord) -> tuple[Sample, Output] | None:
    """Return a call as what was asked and what was answered; None when it has no text of an answer."""
    text = feedback.text_of(span.output)
    if text is None or span.status == "error":
        return None
    sample = Sample(id=span.span_id, ordinal=0, messages=feedback.messages_of(span.input))
    return sample, Output(
        sample_id=span.span_id,
        text=text,
        latency_s=(span.end_ns - span.start_ns) * NS,
        input_tokens=span.input_tokens,
        output_tokens=span.output_tokens,
        cost_usd=span.cost_usd,
    )


class LiveScorers:
    """Some scorers, written as in a suite, for calls as traces hold them."""

    def __init__(self, specs: Sequence[Any]) -> None:
        """Raise Invalid for an unknown scorer, unknown options, or one that has to ask a judge."""
        self._scorers = build_scorers([scorer_spec(spec) for spec in specs])
        for scorer in self._scorers:
            if isinstance(scorer, JudgingScorer):
                raise Invalid(
                    f"The scorer {scorer.name!r} asks a judge.", hint="See `LiveJudges` for those that do."
                )

    def scores(self, span: SpanRecord) -> dict[str, float]:
        """Return metric name → value of the call's answer; nothing where it has no text, or a scorer cannot say."""
        if (answer := asked(span)) is None:
            return {}
        found: dict[str, float] = {}
        for scorer in self._scorers:
            try:
                found |= scorer.score(*answer)
            except PenstockError:
                continue  # it does not apply to this answer: as good as no score
            except Exception:
                logger.exception("a scorer failed on a live answer", extra={"scorer": scorer.name})
        return found
