"""Runs, comparisons and gates as Markdown for people and JUnit XML for build servers."""

from collections.abc import Sequence
from xml.etree import ElementTree

from penstock.evals.model import Comparison, Difference, EvalRun, GateDecision, Metric
from penstock.evals.row_diff import RowDifference
from penstock.evals.suite import SIGNATURES

NAMED = 10
"""So many ids of samples that were not compared are named in a report."""
SHOWN_CHARACTERS = 160


def figure(value: float | None, unit: str) -> str:
    """Return a value as text: fractions in percent, times in milliseconds below a second."""
    if value is None:
        return "–"
    if unit == "fraction":
        return f"{100 * value:.1f} %"
    if unit == "s" and abs(value) < 1:
        return f"{1000 * value:.1f} ms"
    return f"{value:.2f} {unit}".strip() if unit != "points" else f"{value:.1f}"


def interval(metric: Metric) -> str:
    """Return `low – high` of a metric."""
    return f"{figure(metric.low, metric.unit)} to {figure(metric.high, metric.unit)}"


def change(difference: Difference, value: float | None) -> str:
    """Return a difference with its sign: fractions in percentage points."""
    if value is None:
        return "–"
    if difference.unit == "fraction":
        return f"{100 * value:+.1f}"
    if difference.unit == "s":
        return f"{1000 * value:+.1f} ms"
    return f"{value:+.2f}"


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def run_rows(run: EvalRun) -> list[tuple[str, str, str, str, int]]:
    """Return (metric, split, value, interval, n) of each metric as text."""
    return [(m.name, m.split or "all", figure(m.value, m.unit), interval(m), m.n) for m in run.metrics]


def run_markdown(run: EvalRun) -> str:
    """Return a run as a Markdown section."""
    head = f"## Evaluation {run.suite}\n\n{run.target} `{run.model}` on `{run.dataset}`: **{run.state}**"
    counts = f"{run.done} of {run.total} samples, {run.errors} failed. Run `{run.id}`."
    table = _table(["metric", "split", "value", "95 % interval", "n"], run_rows(run))
    signed = [f"`{text}` ({name})" for name, text in run.spec.get(SIGNATURES, {}).items()]
    parts = [head, run.error, counts, table, f"Signatures: {', '.join(signed)}." if signed else ""]
    return "\n\n".join(filter(None, parts)) + "\n"


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return (metric, split, baseline, candidate, difference, interval, p, verdict) as text."""
    return [
        (
            d.name,
            d.split or "all",
            figure(d.baseline, d.unit),
            figure(d.candidate, d.unit),
            change(d, d.difference),
            f"{change(d, d.low)} to {change(d, d.high)}",
            f"{d.p_adjusted:.2g}",
            d.verdict(),
        )
        for d in comparison.differences
    ]


COMPARISON_HEAD = (
    "metric",
    "split",
    "baseline",
    "candidate",
    "difference",
    "95 % interval",
    "p (Holm)",
    "verdict",
)


def comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as a Markdown section, with what could not be paired."""
    head = f"## {comparison.candidate_id} against {comparison.baseline_id}"
    said = f"{comparison.shared} samples in common"
    left = {
        "only in the baseline": comparison.only_baseline,
        "only in the candidate": comparison.only_candidate,
        "with changed content": comparison.changed,
        "failed in one of them": comparison.failed,
    }
    said += "".join(f"; {count} {what}" for what, count in left.items() if count) + "."
    parts = [head, said, _left_out(comparison), _table(COMPARISON_HEAD, comparison_rows(comparison))]
    return "\n\n".join(filter(None, parts)) + "\n"


def _left_out(comparison: Comparison) -> str:
    left = comparison.left_out
    kinds = {
        "Only in the baseline": left.only_baseline,
        "Only in the candidate": left.only_candidate,
        "Changed content": left.changed,
        "Failed in one of them": left.failed,
    }
    lines = []
    for what, names in kinds.items():
        if names:
            shown = ", ".join(f"`{name}`" for name in names[:NAMED])
            lines.append(f"- {what}: {shown}{' …' if len(names) > NAMED else ''}")
    return "\n".join(lines)


def rows_markdown(rows: Sequence[RowDifference], limit: int) -> str:
    """Return the `limit` worst rows as a Markdown table: loss and the answers side by side."""
    worse = [row for row in rows if row.status == "failed" or (row.regression or 0.0) > 0]
    if not worse:
        return "No sample got worse.\n"
    count = len(worse[0].sides)
    head = ["sample", "loss", "expected", "baseline", *(["candidate"] * (count - 1))]
    lines = [
        (
            row.sample_id,
            "failed" if row.regression is None else f"{row.regression:.3g}",
            _short(row.references[0] if row.references else ""),
            *(_short(side.error or side.text) if side else "–" for side in row.sides),
        )
        for row in worse[:limit]
    ]
    said = f"{len(worse)} of {len(rows)} samples got worse; the first {len(lines)}:"
    return f"{said}\n\n{_table(head, lines)}\n"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def gate_markdown(decision: GateDecision) -> str:
    """Return a gate's decision as a Markdown section."""
    head = f"## Gate {'passed' if decision.passed else 'refused'}: {decision.run_id}"
    rows = [("passed" if c.passed else "**failed**", c.rule, c.reason) for c in decision.checks]
    return f"{head}\n\n{_table(['', 'rule', 'reason'], rows)}\n"


def gate_junit(decision: GateDecision) -> str:
    """Return a gate's decision as JUnit XML: one test case per rule.

    Format: the `testsuite`/`testcase`/`failure` elements that Jenkins and GitLab read.
    """
    failures = sum(not check.passed for check in decision.checks)
    suite = ElementTree.Element(
        "testsuite",
        name=f"penstock gate {decision.run_id}",
        tests=str(len(decision.checks)),
        failures=str(failures),
        errors="0",
        timestamp=decision.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    for check in decision.checks:
        case = ElementTree.SubElement(suite, "testcase", classname="penstock.gate", name=check.rule)
        if check.passed:
            ElementTree.SubElement(case, "system-out").text = check.reason
        else:
            ElementTree.SubElement(case, "failure", message=check.reason, type="gate").text = check.reason
    root = ElementTree.Element("testsuites", tests=suite.get("tests", ""), failures=str(failures))
    root.append(suite)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
