"""A model, or several, as judges of an answer against a rubric."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.judging import verdict
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench

_VIEWS = ("answer", "conversation")
Verdict = dict[str, dict[str, Any]]
"""Criterion → {"reason", "score"}."""


class LlmJudge:
    """`judge` and `judge.<criterion>`: an answer's grade by a rubric, from 0 to 1, with reasons.

    `criteria` maps name → what is wanted (or is one text). `scale` ([1, 5]) is what the judge grades in; `rubric`
    maps grades to what they mean. `reference` (false) shows the expected answer; `context` names a column to show;
    `view` is `answer`, or `conversation` for all messages of an output. `judges` is a panel: the grade is their mean,
    `judge.agreement` the share that gave the most frequent grade. `passes` (a grade) adds `judge.pass`, 1 when the
    mean grade reaches it. Source: Zheng et al., Judging LLM-as-a-Judge (2023), arXiv:2306.05685; panels: Verga et
    al. (2024), arXiv:2404.18796.
    """

    name = "judge"
    calibrated = True

    def __init__(
        self,
        *,
        criteria: str | Mapping[str, str],
        judge: Mapping[str, Any] | None = None,
        judges: Sequence[Mapping[str, Any]] = (),
        scale: Sequence[float] = (1, 5),
        rubric: Mapping[Any, str] | None = None,
        reference: bool = False,
        context: str = "",
        view: str = "answer",
        passes: float | None = None,
    ) -> None:
        if not criteria:
            raise Invalid("The judge needs criteria.", hint="Write criteria: {helpful: Does it help?}.")
        if len(scale) != 2 or not scale[0] < scale[1]:
            raise Invalid("The judge's scale must be [lowest, highest].")
        if view not in _VIEWS:
            raise Invalid(f"The judge's view is {' or '.join(_VIEWS)}, not {view!r}.")
        self._criteria = {"overall": criteria} if isinstance(criteria, str) else dict(criteria)
        self._judges = [dict(one) for one in judges] or [dict(judge or {})]
        self._low, self._high = float(scale[0]), float(scale[1])
        self._rubric, self._reference = dict(rubric or {}), reference
        self._context, self._view, self._passes = context, view, passes

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: every figure needs the judge."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return means from 0 to 1, and the share that passes."""
        if metric == "judge.pass":
            return Measure(kind=MetricKind.PROPORTION)
        known = {"judge", "judge.agreement", *(f"judge.{name}" for name in self._criteria)}
        return Measure(kind=MetricKind.MEAN) if metric in known else None

    def _content(self, sample: Sample, output: Output) -> str:
        wanted = "\n".join(f"- {name}: {text}" for name, text in self._criteria.items())
        grades = "".join(f"\n{grade}: {text}" for grade, text in self._rubric.items())
        example = ", ".join(f'"{name}": {{"reason": "…", "score": N}}' for name in self._criteria)
        parts = [
            f"Grade the answer by each criterion from {self._low:g} (worst) to {self._high:g} (best).{grades}",
            f"Criteria:\n{wanted}",
            f"Reply as {{{example}}}.",
        ]
        if self._context:
            parts += [
                verdict.section("context", text)
                for text in verdict.contexts_of(sample, output, self._context)
            ]
        if self._reference and sample.references:
            parts.append("A right answer, which others may equal in other words:")
            parts += [verdict.section("expected", reference) for reference in sample.references]
        if self._view == "conversation":
            messages = output.extra.get("messages") or [
                *sample.messages,
                {"role": "assistant", "content": output.text},
            ]
            return "\n\n".join([*parts, verdict.section("conversation", verdict.conversation(messages))])
        asked = verdict.section("question", verdict.question(sample))
        return "\n\n".join([*parts, asked, verdict.section("answer", output.text)])

    def _understand(self, found: Mapping[str, Any]) -> Verdict:
        return {
            name: {
                "reason": str(found[name].get("reason", "")),
                "score": verdict.number(found[name]["score"], self._low, self._high),
            }
            for name in self._criteria
        }

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return the grades and each judge's reasons."""
        content = self._content(sample, output)
        panel = await asyncio.gather(
            *(verdict.ask(bench, one, content, self._understand) for one in self._judges)
        )
        scores = {
            f"judge.{name}": fmean(self._share(one[name]["score"]) for one in panel)
            for name in self._criteria
        }
        overall = fmean(scores.values())
        scores["judge"] = overall
        if len(panel) > 1:
            scores["judge.agreement"] = fmean(
                max(Counter(one[name]["score"] for one in panel).values()) / len(panel)
                for name in self._criteria
            )
        if self._passes is not None:
            scores["judge.pass"] = float(overall >= self._share(self._passes) - 1e-12)
        return scores, list(panel) if len(panel) > 1 else panel[0]

    def _share(self, grade: float) -> float:
        return (grade - self._low) / (self._high - self._low)
