"""What a red-team run showed: success rates by risk, source and mutator, with honest intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from penstock.core.errors import Invalid
from penstock.core.statistics import clopper_pearson, clustered_difference, clustered_interval
from penstock.core.suggest import did_you_mean
from penstock.evals.model import SampleResult
from penstock.evals.redteam.attacks import CONTROL, OWASP
from penstock.evals.redteam.rules import ATTACK, Expectation, expectation_of, refuses

Judged = tuple[Expectation, float, SampleResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often the attacks of one group worked."""

    group: str
    title: str = ""
    other_id: str = ""
    """For risks: the id of 2025."""
    attempts: int
    attacks: int
    """Different attacks, whatever their disguise."""
    succeeded: int
    rate: float
    low: float
    high: float
    method: str
    """clopper_pearson, or clustered where attacks were tried in several disguises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The sources that nobody tuned against, beside the others."""

    sources: tuple[str, ...]
    tuned: Rate
    held_out: Rate
    difference: float
    """Held-out rate minus the rate of the others."""
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """An attack that worked."""

    sample_id: str
    owasp: str
    title: str
    mutator: str
    answer: str
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A red-team run in figures."""

    run_id: str
    overall: Rate
    by_owasp: tuple[Rate, ...]
    by_source: tuple[Rate, ...]
    by_mutator: tuple[Rate, ...]
    held_out: HeldOut | None
    over_refusal: Rate | None
    """How often harmless questions were refused."""
    errors: int
    """Attempts the target gave no answer to: they count nowhere."""
    breaches: tuple[Breach, ...]


def report_of(
    run_id: str, results: Sequence[SampleResult], *, held_out: Sequence[str] = (), breaches: int = 20
) -> Report:
    """Return the report of a run whose rows are attacks; raises Invalid when none is, or for an unknown source.

    Disguises of one attack succeed together, so intervals take the attack as the unit: exact ones where every
    attack was tried once or where all went the same way, clustered ones otherwise.
    """
    judged, controls, errors = _judged(results)
    if not judged:
        raise Invalid(f"{run_id} holds no judged attacks.", hint="Use a run of `penstock evals redteam`.")
    sources = sorted({expected.source for expected, _, _ in judged})
    for source in held_out:
        if source not in sources:
            raise Invalid(
                f"{run_id} has no attacks of the source {source!r}.", hint=did_you_mean(source, sources)
            )
    return Report(
        run_id=run_id,
        overall=_rate("all", judged),
        by_owasp=_grouped(judged, lambda e: e.owasp),
        by_source=_grouped(judged, lambda e: e.source),
        by_mutator=_grouped(judged, lambda e: e.mutator),
        held_out=_held_out(judged, tuple(held_out)) if held_out else None,
        over_refusal=_rate(CONTROL, controls) if controls else None,
        errors=errors,
        breaches=tuple(_breach(one) for one in judged if one[1])[:breaches],
    )


def _judged(results: Sequence[SampleResult]) -> tuple[list[Judged], list[Judged], int]:
    judged: list[Judged] = []
    controls: list[Judged] = []
    errors = 0
    for result in results:
        expected = expectation_of(result.references[0]) if result.references else None
        if expected is None:
            continue
        if result.output.error is not None:
            errors += 1
        elif expected.source == CONTROL:
            controls.append((expected, float(refuses(result.output.text)), result))
        elif ATTACK in result.scores:
            judged.append((expected, result.scores[ATTACK], result))
    return judged, controls, errors


def _grouped(judged: Sequence[Judged], key: Callable[[Expectation], str]) -> tuple[Rate, ...]:
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(key(one[0]) or "other", []).append(one)
    return tuple(_rate(name, members) for name, members in sorted(groups.items()))


def _rate(name: str, judged: Sequence[Judged]) -> Rate:
    values = [value for _, value, _ in judged]
    attacks = [expected.attack for expected, _, _ in judged]
    count, worked = len(set(attacks)), int(sum(values))
    if count == len(values):
        found = clopper_pearson(worked, count)
    elif worked in (0, len(values)):
        # Without any spread a clustered interval has no width; the attacks are what was really tried.
        found = clopper_pearson(count if worked else 0, count)
    else:
        found = clustered_interval(values, attacks)
    title, other = OWASP.get(name, ("", ""))
    return Rate(
        group=name,
        title=title,
        other_id=other,
        attempts=len(values),
        attacks=count,
        succeeded=worked,
        rate=worked / len(values),
        low=max(0.0, found.low),
        high=min(1.0, found.high),
        method=found.method,
    )


def _held_out(judged: Sequence[Judged], sources: tuple[str, ...]) -> HeldOut:
    out = [one for one in judged if one[0].source in sources]
    rest = [one for one in judged if one[0].source not in sources]
    if not rest:
        raise Invalid("Every source is held out, so there is nothing to hold them against.")
    sides = [([v for _, v, _ in side], [e.attack for e, _, _ in side]) for side in (rest, out)]
    found = clustered_difference(
        sides[0][0], sides[1][0], baseline_clusters=sides[0][1], candidate_clusters=sides[1][1]
    )
    bounded = bool(np.isfinite(found.low))
    return HeldOut(
        sources=sources,
        tuned=_rate("others", rest),
        held_out=_rate("held out", out),
        difference=found.value,
        low=max(-1.0, found.low) if bounded else None,
        high=min(1.0, found.high) if bounded else None,
    )


def _breach(one: Judged) -> Breach:
    expected, _, result = one
    return Breach(
        sample_id=result.sample_id,
        owasp=expected.owasp,
        title=expected.title,
        mutator=expected.mutator,
        answer=result.output.text[:300],
        trace_id=result.output.trace_id,
    )


def _line(rate: Rate) -> str:
    name = f"{rate.group} {rate.title} ({rate.other_id})" if rate.title else rate.group
    interval = f"{rate.low:.1%} to {rate.high:.1%}"
    return f"| {name} | {rate.succeeded} of {rate.attempts} | {rate.rate:.1%} | {interval} | {rate.attacks} |"


def markdown(report: Report) -> str:
    """Return the report as Markdown."""
    head = "| {} | succeeded | rate | 95 % interval | attacks |\n| --- | --- | --- | --- | --- |"
    parts = [f"## Red team: {report.run_id}"]
    overall = [report.overall, *([report.over_refusal] if report.over_refusal else [])]
    tables: Mapping[str, Sequence[Rate]] = {
        "": overall,
        "risk": report.by_owasp,
        "source": report.by_source,
        "mutator": report.by_mutator,
    }
    for name, rates in tables.items():
        parts.append("\n".join([head.format(name), *(_line(rate) for rate in rates)]))
    if report.over_refusal:
        parts.append("The row `control` says how often harmless questions were refused.")
    if report.held_out:
        parts.append(_held_out_text(report.held_out))
    if report.errors:
        parts.append(f"{report.errors} attempts got no answer and count nowhere.")
    if report.breaches:
        parts.append(
            "\n".join(f"- `{b.sample_id}` {b.owasp} {b.title}: {b.answer!r}" for b in report.breaches)
        )
    return "\n\n".join(parts) + "\n"


def _held_out_text(found: HeldOut) -> str:
    bounds = "" if found.low is None or found.high is None else f" ({found.low:+.1%} to {found.high:+.1%})"
    return (
        f"Held out ({', '.join(found.sources)}): {found.held_out.rate:.1%} of {found.held_out.attempts} worked, "
        f"of the others {found.tuned.rate:.1%}; difference {found.difference:+.1%}{bounds}."
    )
