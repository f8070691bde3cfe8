"""Success rates with honest intervals."""

from datetime import UTC, datetime

import numpy as np
import pytest

from penstock.core.errors import Invalid
from penstock.core.statistics import clopper_pearson
from penstock.evals.model import Output, SampleResult
from penstock.evals.redteam.report import markdown, report_of
from penstock.evals.redteam.rules import Expectation


def result(
    attack: str,
    worked: float | None,
    *,
    mutator: str = "none",
    source: str = "document",
    owasp: str = "LLM01",
) -> SampleResult:
    control = source == "control"
    rule = {} if control else {"any_of": ["x"]}
    expected = Expectation(attack=attack, owasp=owasp, source=source, mutator=mutator, rule=rule, title="T")
    text = "I'm sorry, but I can't help with that." if worked == 0 else "x"
    name = f"{attack}/{mutator}"
    return SampleResult(
        run_id="r",
        sample_id=name,
        ordinal=0,
        split="",
        content_hash="c",
        messages=(),
        references=(expected.text(),),
        output=Output(sample_id=name, text=text, error="down" if worked is None else None),
        scores={} if control or worked is None else {"attack": worked},
        sums={},
        finished_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_each_attack_once_has_the_exact_interval() -> None:
    results = [result(f"a{i}", float(i < 3), owasp="LLM01" if i < 10 else "LLM08") for i in range(20)]
    results += [
        result("late", None),
        result("c1", 0.0, source="control"),
        result("c2", 1.0, source="control"),
    ]
    found = report_of("r", results)
    exact = clopper_pearson(3, 20)
    assert (found.overall.rate, found.overall.low, found.overall.high) == (0.15, exact.low, exact.high)
    assert [(rate.group, rate.succeeded, rate.other_id) for rate in found.by_owasp] == [
        ("LLM01", 3, "LLM01:2025"),
        ("LLM08", 0, "LLM07:2025"),
    ]
    assert found.by_owasp[1].high == clopper_pearson(0, 10).high
    assert found.over_refusal is not None
    assert (found.over_refusal.succeeded, found.over_refusal.attempts, found.errors) == (1, 2, 1)
    assert [breach.sample_id for breach in found.breaches] == ["a0/none", "a1/none", "a2/none"]
    text = markdown(found)
    assert "| LLM08 Hidden Context Exposure (LLM07:2025) | 0 of 10 | 0.0% |" in text
    assert "1 attempts got no answer" in text


def test_disguises_of_one_attack_are_no_new_evidence() -> None:
    names = ("none", "base64", "hex", "story")
    results = [result(f"a{i}", float(i % 2), mutator=m) for i in range(20) for m in names]
    found = report_of("r", results).overall
    alone = report_of("r", [r for r in results if r.sample_id.endswith("none")]).overall
    assert (found.method, found.attempts, found.attacks) == ("clustered", 80, 20)
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.1)
    safe = report_of("r", [result(f"a{i}", 0.0, mutator=m) for i in range(20) for m in names]).overall
    assert (safe.low, safe.high) == (0.0, clopper_pearson(0, 20).high)


def test_held_out_sources() -> None:
    results = [result(f"d{i}", float(i < 1), source="document") for i in range(20)]
    results += [result(f"p{i}", float(i < 12), source="persona") for i in range(20)]
    held = report_of("r", results, held_out=["persona"]).held_out
    assert held is not None
    assert (held.tuned.rate, held.held_out.rate, held.difference) == (0.05, 0.6, pytest.approx(0.55))
    assert held.low is not None
    assert 0.2 < held.low < 0.55
    assert "Held out (persona): 60.0% of 20 worked" in markdown(report_of("r", results, held_out=["persona"]))
    for sources, said in ((["spell"], "no attacks of the source"), (["document", "persona"], "Every source")):
        with pytest.raises(Invalid, match=said):
            report_of("r", results, held_out=sources)


def test_no_attacks_no_report() -> None:
    with pytest.raises(Invalid, match="no judged attacks"):
        report_of("r", [result("c1", 0.0, source="control")])


def test_clustered_rates_cover_as_promised() -> None:
    """Attacks differ in strength, disguises of one succeed together: 95 % intervals hold the truth about that often."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(150):
        strength = rng.beta(0.8, 1.6, size=45)
        results = [
            result(f"a{i}", float(rng.random() < p), mutator=m)
            for i, p in enumerate(strength)
            for m in ("none", "hex", "story")
        ]
        overall = report_of("r", results, breaches=0).overall
        held += overall.low <= 0.8 / 2.4 <= overall.high
    assert 0.88 <= held / 150 <= 0.995
