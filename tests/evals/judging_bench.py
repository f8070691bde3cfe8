"""A bench in memory: judges that say what a test wants, a target that is a function."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.evals.model import Output, Sample

Said = Callable[[str], Any]


class MemoryBench:
    """`said` gets the last message's text and returns what the judge replies: a text, or an object as JSON."""

    def __init__(
        self,
        said: Said | None = None,
        *,
        target: Callable[[Sample], str] | None = None,
        spans: Sequence[Any] = (),
        recorded: Mapping[str, Output] | None = None,
    ) -> None:
        self._said, self._target, self._spans = said, target, spans
        self._recorded = recorded or {}
        self.asked: list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = []

    async def ask(
        self, judge: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], **fields: Any
    ) -> Output:
        self.asked.append((judge, list(messages)))
        if self._said is None:
            raise Upstream("nobody is there")
        reply = self._said(messages[-1]["content"])
        return Output(
            sample_id="", text=reply if isinstance(reply, str) else msgspec.json.encode(reply).decode()
        )

    async def embed(self, model: Mapping[str, Any], texts: Sequence[str]) -> list[list[float]]:
        return [[float(text.count("a")), float(text.count("b"))] for text in texts]

    async def consult(
        self, adviser: str, options: Mapping[str, Any], question: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return full marks to equal texts and half of them to others."""
        return {
            "scores": [[1.0 if text == question["answer"] else 0.5] * 3 for text in question["references"]]
        }

    async def answer(self, sample: Sample) -> Output:
        assert self._target is not None
        return Output(sample_id=sample.id, text=self._target(sample))

    async def recorded(self, run_id: str, sample_id: str) -> Output | None:
        return self._recorded.get(sample_id)

    async def spans(self, trace_id: str) -> Sequence[Any]:
        return self._spans


def sample(prompt: str = "What is the capital of France?", *references: str, **row: Any) -> Sample:
    """Return a sample with one user message."""
    return Sample(
        id="s1",
        ordinal=0,
        messages=({"role": "user", "content": prompt},),
        references=references or ("Paris",),
        row={"prompt": prompt, **row},
    )


def output(text: str = "It is Paris.", **values: Any) -> Output:
    """Return an answer to it."""
    return Output(sample_id="s1", text=text, **values)
