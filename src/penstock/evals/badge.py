"""A gate's verdict as a small picture."""

from xml.sax.saxutils import escape

from penstock.core.errors import NotFound
from penstock.core.suggest import did_you_mean
from penstock.evals.model import EvalRun, GateDecision
from penstock.evals.report import figure

# Contrast with white text is at least 4.5 (WCAG AA).
_GREEN, _RED, _GREY, _LABEL = "#1a7f37", "#c5221f", "#59636e", "#3d444d"
_NARROW, _WIDE = frozenset("fijlrtI.,:;|!'()[]{} "), frozenset("mwMW%@")


def _width(text: str) -> int:
    """Return about how many pixels `text` takes in 11 px Verdana."""
    return round(sum(4.4 if c in _NARROW else 10.6 if c in _WIDE else 7.0 for c in text))


def draw(label: str, value: str, colour: str) -> str:
    """Return a badge of two fields as SVG: self-contained, readable by screen readers."""
    left, right = _width(label) + 12, _width(value) + 12
    whole, said = left + right, escape(f"{label}: {value}", {'"': "&quot;"})
    texts = "".join(
        f'<text x="{x}" y="14" text-anchor="middle">{escape(text)}</text>'
        for x, text in ((left / 2, label), (left + right / 2, value))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<clipPath id="r"><rect width="{whole}" height="20" rx="3"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="20" fill="{_LABEL}"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )


def of_run(run: EvalRun, decision: GateDecision | None, metric: str | None = None) -> str:
    """Return the badge of a run: the gate's verdict, or a metric's value in the verdict's colour.

    Raises NotFound for a metric the run does not have.
    """
    colour = _GREY if decision is None else _GREEN if decision.passed else _RED
    if metric is not None:
        found = run.metric(metric)
        if found is None:
            hint = did_you_mean(metric, sorted({m.name for m in run.metrics}))
            raise NotFound(f"{run.id} has no metric {metric!r}.", hint=hint)
        return draw(metric, figure(found.value, found.unit), colour)
    return draw(run.suite, of_decision(decision), colour)


def of_decision(decision: GateDecision | None) -> str:
    """Return a gate's verdict in one or two words."""
    if decision is None:
        return "not gated"
    failed = sum(not check.passed for check in decision.checks)
    return "passed" if decision.passed else f"{failed} of {len(decision.checks)} failed"
