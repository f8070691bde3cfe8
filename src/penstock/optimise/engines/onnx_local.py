"""A folder of onnxruntime-genai's builder, timed and asked through that library.

Plug-in `onnx` of `penstock.runners`; evaluations reach it through the target of that name.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxruntime_genai as og

from penstock.core.errors import Invalid
from penstock.optimise.engines import drive
from penstock.optimise.engines.texts import Texts


class OnnxRunner(Texts):
    """A model in memory."""

    provider = "CPUExecutionProvider"

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the folder onto the CPU with so many threads."""
        super().__init__(folder)
        described = json.loads((folder / "genai_config.json").read_bytes())["model"]
        self._most = int(described["context_length"])
        ends = described.get("eos_token_id", [])
        self.stops |= frozenset(ends if isinstance(ends, list) else [ends])
        config = og.Config(str(folder))
        options = {"intra_op_num_threads": threads, "inter_op_num_threads": 1}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
        # Without any other provider, ONNX Runtime has its CPU to compute on and nothing to fall back from.
        config.clear_providers()
        self._model = og.Model(config)

    def stream(self, prompt: Sequence[int], limit: int, *, endless: bool) -> Iterator[int]:
        """Yield the likeliest tokens; raises Invalid when prompt and answer are longer than the context."""
        if len(prompt) >= self._most:
            raise Invalid(f"The prompt has {len(prompt)} tokens; the model takes {self._most}.")
        most = min(self._most, len(prompt) + limit)
        parameters = og.GeneratorParams(self._model)
        parameters.set_search_options(do_sample=False, max_length=most, min_length=most if endless else 0)
        generator = og.Generator(self._model, parameters)
        generator.append_tokens(list(prompt))
        while not generator.is_done():
            generator.generate_next_token()
            yield int(generator.get_next_tokens()[0])


def run(spec: dict[str, Any], report: drive.Report) -> dict[str, Any]:
    """Answer the samples in `spec`, or time the model."""
    return drive.run(OnnxRunner, spec, report)
