"""A Hugging Face folder, timed through Transformers in float32 (torchao's types stay as they are).

Plug-in `transformers` of `penstock.runners`. Evaluations ask such folders through their own target of that name.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from penstock.optimise.engines import drive


class TransformersRunner:
    """A model in memory."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the folder onto the CPU with so many threads."""
        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32
        ).eval()
        self.provider = f"{self._model.device} {_numbers(self._model)}"

    def encode(self, prompt: str) -> list[int]:
        """Return the prompt's tokens."""
        found: list[int] = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return found

    def stream(self, prompt: Sequence[int], limit: int, *, endless: bool) -> Iterator[int]:  # noqa: ARG002 - nothing ends here but by the limit
        """Yield the likeliest tokens, keeping keys and values."""
        ids, cache = torch.tensor([list(prompt)]), None
        for _ in range(limit):
            with torch.inference_mode():
                found = self._model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache = found.past_key_values
            token = int(found.logits[0, -1].argmax())
            yield token
            ids = torch.tensor([[token]])


def _numbers(model: Any) -> str:
    """Return the type of the largest matrix of a layer: float32, or torchao's own class."""
    layer = next(iter(model.get_decoder().layers))
    largest = max(layer.parameters(), key=lambda parameter: parameter.numel()).data
    plain = type(largest) is torch.Tensor
    return str(largest.dtype).removeprefix("torch.") if plain else type(largest).__name__


def run(spec: dict[str, Any], report: drive.Report) -> dict[str, Any]:
    """Time the model; its architecture's code is imported before, as the other runners' libraries are."""
    config = AutoConfig.from_pretrained(spec["folder"], local_files_only=True)
    MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return drive.measure(TransformersRunner, spec, report)
