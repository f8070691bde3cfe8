"""Tool calls against what was wanted."""

import asyncio
from typing import Any

import pytest
from tests.evals.judging_bench import MemoryBench, output, sample

from penstock.evals.scorers.tools import Tools
from penstock.traces.model import SpanRecord


def calls(*made: tuple[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in made]}


def scored(made: Any, wanted: Any, **options: Any) -> dict[str, float]:
    given = sample(**({} if wanted is None else {"tools": wanted}))
    scorer = Tools(**options)
    scores, _ = asyncio.run(scorer.judge(given, output(extra=made), MemoryBench()))
    assert all(scorer.measure(metric) is not None for metric in scores)
    return scores


@pytest.mark.parametrize(
    ("made", "wanted", "recall", "precision", "exact"),
    [
        (calls(("search", {"q": "a"})), ["search"], 1, 1, 1),
        (calls(("search", {"q": "a"})), "search", 1, 1, 1),
        (calls(("search", '{"q": "a"}')), [{"name": "search", "arguments": {"q": "a"}}], 1, 1, 1),
        (calls(("search", {"q": "b"})), [{"name": "search", "arguments": {"q": "a"}}], 0, 0, 0),
        (calls(("search", {}), ("mail", {})), ["search"], 1, 0.5, 0),
        (calls(("search", {})), ["search", "mail"], 0.5, 1, 0),
        (calls(("b", {}), ("a", {})), ["a", "b"], 1, 1, 1),
        (calls(("a", {"x": 1}), ("a", {"x": 2})), ["a", {"name": "a", "arguments": {"x": 1}}], 1, 1, 1),
        ({}, [], 1, 1, 1),
        ({}, ["a"], 0, 0, 0),
        (calls(("a", {})), [], 0, 0, 0),
    ],
)
def test_choice(made: Any, wanted: Any, recall: float, precision: float, exact: float) -> None:
    found = scored(made, wanted)
    assert (found["tools_recall"], found["tools_precision"], found["tools_exact"]) == (
        recall,
        precision,
        exact,
    )


def test_order_counts_when_it_is_asked_for() -> None:
    made = calls(("b", {}), ("a", {}))
    assert scored(made, ["a", "b"], ordered=True)["tools_exact"] == 0.0
    assert scored(made, ["b", "a"], ordered=True)["tools_exact"] == 1.0


def test_loops_are_found_without_anything_expected() -> None:
    assert scored(calls(*[("search", {"q": "a"})] * 3), None) == {"tool_calls": 3.0, "tool_loop": 1.0}
    assert scored(calls(*[("search", {"q": str(i)}) for i in range(9)]), None)["tool_loop"] == 0.0


def test_a_trace_tells_more_than_the_answer() -> None:
    def span(name: str, start: int, status: str = "ok", kind: str = "tool") -> SpanRecord:
        return SpanRecord(
            trace_id="ab" * 16,
            span_id=f"{start:016x}",
            name=name,
            kind=kind,  # type: ignore[arg-type]
            status=status,  # type: ignore[arg-type]
            start_ns=start,
            end_ns=start + 1,
            input=b'{"q":"a"}',
        )

    bench = MemoryBench(spans=[span("mail", 2, "error"), span("search", 1), span("model", 0, kind="llm")])
    wanted = [{"name": "search", "arguments": {"q": "a"}}, "mail"]
    answer = output(trace_id="ab" * 16)
    scores, note = asyncio.run(Tools(ordered=True).judge(sample(tools=wanted), answer, bench))
    assert scores["tools_exact"] == 1.0
    assert scores["tool_errors"] == 1.0
    assert [call["name"] for call in note["calls"]] == ["search", "mail"]
