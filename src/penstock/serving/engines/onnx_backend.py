"""A folder of onnxruntime-genai's builder, one generator per request."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime_genai as og

from penstock.serving.engines.generation import Job, NoAdapters, Outcome, Refused
from penstock.serving.engines.text import Text


def load(folder: str, options: dict[str, Any]) -> "OnnxBackend":
    """Load the model in `folder`; raises RuntimeError when the provider asked for is not there."""
    provider = options["provider"]
    if provider == "cuda" and not og.is_cuda_available():
        raise RuntimeError("ONNX Runtime finds no CUDA device; use provider=cpu.")
    config = og.Config(folder)
    threads = {"intra_op_num_threads": options["threads"], "inter_op_num_threads": 1}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": threads}}}))
    config.clear_providers()
    if provider != "cpu":
        config.append_provider(provider)
    described = json.loads((Path(folder) / "genai_config.json").read_text())["model"]
    return OnnxBackend(og.Model(config), Text(Path(folder)), described)


class OnnxBackend(NoAdapters):
    """A model in memory; generators share its weights and run side by side."""

    def __init__(self, model: Any, text: Text, described: dict[str, Any]) -> None:
        self._model = model
        self._text = text
        self._limit = int(described["context_length"])
        ends = described.get("eos_token_id", [])
        self._ends = frozenset(ends if isinstance(ends, list) else [ends])

    def chat_prompt(self, messages: Sequence[dict[str, str]]) -> str:
        """Render messages with the chat template."""
        return self._text.template.render(messages)

    def generate(self, job: Job, emit: Callable[[str], None]) -> Outcome:
        """Answer a job."""
        ids = self._text.encode(job.prompt)
        if len(ids) >= self._limit:
            raise Refused(f"The prompt has {len(ids)} tokens; the model takes {self._limit}.")
        answer = self._text.answer(job, len(ids), emit, self._ends)
        generator = og.Generator(self._model, self._parameters(job, len(ids)))
        generator.append_tokens(ids)
        while not generator.is_done() and not job.cancelled.is_set():
            generator.generate_next_token()
            if not answer.take(int(generator.get_next_tokens()[0])):
                break
        return answer.finish()

    def _parameters(self, job: Job, prompt_tokens: int) -> Any:
        sampling = job.sampling
        found = og.GeneratorParams(self._model)
        wanted: dict[str, Any] = {"max_length": min(self._limit, prompt_tokens + sampling.max_tokens)}
        if sampling.temperature == 0:
            wanted |= {"do_sample": False, "top_k": 1}
        else:
            wanted |= {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p}
            wanted["top_k"] = sampling.top_k
        if sampling.seed is not None:
            wanted["random_seed"] = sampling.seed
        found.set_search_options(**wanted)
        return found
