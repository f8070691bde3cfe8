"""Which tools an agent chose, and whether it went round in circles."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench

Call = tuple[str, str]
"""Name and canonical arguments, empty where nobody asks for them."""


def _arguments(value: Any) -> str:
    if isinstance(value, str | bytes):
        with suppress(msgspec.DecodeError, UnicodeError):
            value = msgspec.json.decode(value)
    return msgspec.json.encode(value, order="deterministic").decode()


def expected_calls(value: Any) -> list[tuple[str, str | None]]:
    """Return the wanted calls of a column: names, or {name, arguments}; None means any arguments."""
    items = [value] if isinstance(value, str | Mapping) else list(value or ())
    return [
        (one, None)
        if isinstance(one, str)
        else (str(one["name"]), _arguments(one["arguments"]) if "arguments" in one else None)
        for one in items
    ]


def matched(wanted: Sequence[tuple[str, str | None]], made: Sequence[Call]) -> int:
    """Return how many wanted calls were made, each call counting once; exact arguments are matched first."""
    left = Counter(made)
    found = 0
    for name, arguments in sorted(wanted, key=lambda one: one[1] is None):
        call = next((c for c in left if left[c] and c[0] == name and arguments in (None, c[1])), None)
        if call is not None:
            left[call] -= 1
            found += 1
    return found


class Tools:
    """`tools_recall`, `tools_precision`, `tools_exact`: the calls made against those in the row's column `tools`.

    The column lists names, or `{name, arguments}`; `ordered` asks `tools_exact` for the same order too. Further:
    `tool_calls` (how many), `tool_loop` (1 when the same call with the same arguments was made more than `repeats`
    times; lower is better) and `tool_errors` (calls that failed, where a trace says so). Calls are read from the
    trace's spans of kind `tool` when the answer has a trace with such, else from the answer itself.
    """

    name = "tools"

    def __init__(self, *, column: str = "tools", ordered: bool = False, repeats: int = 2) -> None:
        self._column, self._ordered, self._repeats = column, ordered, repeats

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: the trace must be looked up."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return shares, proportions and counts."""
        if metric in ("tools_recall", "tools_precision"):
            return Measure(kind=MetricKind.MEAN)
        if metric in ("tools_exact", "tool_loop"):
            return Measure(kind=MetricKind.PROPORTION, higher_is_better=metric == "tools_exact")
        if metric in ("tool_calls", "tool_errors"):
            return Measure(kind=MetricKind.MEAN, higher_is_better=False, unit="calls")
        return None

    async def _made(self, output: Output, bench: Bench) -> tuple[list[Call], int | None]:
        spans = await bench.spans(output.trace_id) if output.trace_id else ()
        tools = sorted((span for span in spans if span.kind == "tool"), key=lambda span: span.start_ns)
        if tools:
            calls = [(span.name, _arguments(span.input if span.input is not None else {})) for span in tools]
            return calls, sum(span.status == "error" for span in tools)
        made = output.extra.get("tool_calls") or ()
        return [(str(one.get("name", "")), _arguments(one.get("arguments", {}))) for one in made], None

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return the figures and the calls that were made."""
        made, errors = await self._made(output, bench)
        scores = {
            "tool_calls": float(len(made)),
            "tool_loop": float(any(count > self._repeats for count in Counter(made).values())),
        }
        if errors is not None:
            scores["tool_errors"] = float(errors)
        if self._column in sample.row:
            scores |= self._against(expected_calls(sample.row[self._column]), made)
        return scores, {"calls": [{"name": name, "arguments": arguments} for name, arguments in made]}

    def _against(self, wanted: Sequence[tuple[str, str | None]], made: Sequence[Call]) -> dict[str, float]:
        right = matched(wanted, made)
        exact = right == len(wanted) == len(made)
        if exact and self._ordered:
            pairs = zip(wanted, made, strict=True)
            exact = all(w[0] == m[0] and w[1] in (None, m[1]) for w, m in pairs)
        return {
            "tools_recall": right / len(wanted) if wanted else float(not made),
            "tools_precision": right / len(made) if made else float(not wanted),
            "tools_exact": float(exact),
        }
