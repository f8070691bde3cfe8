"""A folder of CTranslate2's converter, with the tokenizer files copied beside the weights."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ctranslate2

from penstock.serving.engines.generation import Job, NoAdapters, Outcome, Refused
from penstock.serving.engines.text import Text


def load(folder: str, options: dict[str, Any]) -> "CTranslate2Backend":
    """Load the model in `folder`."""
    generator = ctranslate2.Generator(
        folder,
        device=options["device"],
        compute_type=options["compute"],
        inter_threads=options["slots"],
        intra_threads=options["threads"],
    )
    described = json.loads((Path(folder) / "config.json").read_text())
    return CTranslate2Backend(generator, Text(Path(folder)), described)


class CTranslate2Backend(NoAdapters):
    """A model in memory; requests run side by side on its own threads."""

    def __init__(self, generator: Any, text: Text, described: dict[str, Any]) -> None:
        self._generator = generator
        self._text = text
        token = described.get("eos_token")
        number = None if token is None else text.tokenizer.token_to_id(token)
        self._ends = frozenset() if number is None else frozenset([number])

    def chat_prompt(self, messages: Sequence[dict[str, str]]) -> str:
        """Render messages with the chat template."""
        return self._text.template.render(messages)

    def generate(self, job: Job, emit: Callable[[str], None]) -> Outcome:
        """Answer a job."""
        sampling = job.sampling
        if sampling.seed is not None and sampling.temperature > 0:
            raise Refused("CTranslate2 has no seed per request; use temperature 0 for repeatable answers.")
        ids = self._text.encode(job.prompt)
        answer = self._text.answer(job, len(ids), emit, self._ends)
        over: list[bool] = []

        def step(result: Any) -> bool:
            if not over and not answer.take(result.token_id):
                over.append(True)
            return bool(over)

        chosen: dict[str, Any] = {"sampling_topk": 1}
        if sampling.temperature > 0:
            chosen = {
                "sampling_topk": sampling.top_k,
                "sampling_topp": sampling.top_p,
                "sampling_temperature": sampling.temperature,
            }
        self._generator.generate_batch(
            [[self._text.tokenizer.id_to_token(each) for each in ids]],
            max_length=sampling.max_tokens,
            include_prompt_in_result=False,
            callback=step,
            **chosen,
        )
        return answer.finish()
