"""Whether an answer's program does what its tests ask."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from penstock.core.errors import Invalid, Unprocessable
from penstock.core.ids import new_secret
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench
from penstock.evals.sandbox.run import Limits, Ran, run_python

_FENCE = re.compile(r"```(?:python|py|python3)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_SHOWN = 2000
"""Characters of an error that are noted."""


def program_of(text: str) -> str:
    """Return the code of an answer: its fenced blocks together, else all of it."""
    blocks = _FENCE.findall(text)
    return "\n".join(blocks) if blocks else text


class Code:
    """`code`: 1 when the answer's Python passes the row's tests in a child process without network.

    The column `tests` holds Python that fails with an exception (HumanEval, MBPP), or a list of such, or a list of
    `{input, output}` for programs that read standard input. With a list, `code.share` is the part that passes.
    `entry_point` names a column with the function that tests call `candidate` (HumanEval). `prefix` names a column
    that goes in front of the answer. `seconds` (5, of CPU), `memory_mb` (512); `allow_weak` runs it
    also where the platform cannot take network and files away. `code_runs` says whether the program itself ran.
    Source: Chen et al. (2021), arXiv:2107.03374.
    """

    name = "code"

    def __init__(
        self,
        *,
        tests: str = "tests",
        entry_point: str = "",
        prefix: str = "",
        seconds: float = 5.0,
        memory_mb: int = 512,
        allow_weak: bool = False,
    ) -> None:
        if seconds <= 0 or memory_mb < 64:
            raise Invalid("code's seconds must be above 0, its memory_mb at least 64.")
        self._tests, self._entry, self._prefix = tests, entry_point, prefix
        self._limits = Limits(seconds=seconds, memory_mb=memory_mb, allow_weak=allow_weak)

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: the code runs beside the event loop."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return proportions, and the mean share of tests."""
        if metric in ("code", "code_runs"):
            return Measure(kind=MetricKind.PROPORTION)
        return Measure(kind=MetricKind.MEAN) if metric == "code.share" else None

    async def judge(
        self,
        sample: Sample,
        output: Output,
        bench: Bench,  # noqa: ARG002 - the port's signature
    ) -> tuple[dict[str, float], Any]:
        """Return whether all tests pass, and the first failure."""
        given = sample.row.get(self._tests)
        tests: Sequence[Any] = [given] if isinstance(given, str) else list(given or ())
        if not tests:
            raise Unprocessable(f"The row has no tests in {self._tests!r}.")
        program = f"{sample.row.get(self._prefix, '') if self._prefix else ''}{program_of(output.text)}\n"
        passed: list[bool] = []
        note: dict[str, Any] = {}
        for number, test in enumerate(tests):
            ran, good = await self._try(program, test, sample)
            passed.append(good)
            if not good and not note:
                note = {"test": number, "timed_out": ran.timed_out, "error": ran.stderr[-_SHOWN:]}
        alone = await asyncio.to_thread(run_python, program, self._limits) if not all(passed) else None
        scores = {"code": float(all(passed)), "code_runs": float(alone is None or alone.passed)}
        if not isinstance(given, str):
            scores["code.share"] = sum(passed) / len(passed)
        return scores, note or None

    async def _try(self, program: str, test: Any, sample: Sample) -> tuple[Ran, bool]:
        if isinstance(test, dict):
            ran = await asyncio.to_thread(run_python, program, self._limits, str(test.get("input", "")))
            return ran, ran.passed and ran.stdout.split() == str(test.get("output", "")).split()
        entry = sample.row.get(self._entry) if self._entry else None
        call = f"\ncheck({entry})\n" if entry else ""
        # A program that leaves by itself (sys.exit) before its tests ran has not passed them.
        done = new_secret("done")
        source = f"{program}\n{test}\n{call}\nprint({done!r})\n"
        ran = await asyncio.to_thread(run_python, source, self._limits)
        return ran, ran.passed and ran.stdout.rstrip().endswith(done)
