"""A Hugging Face folder on PyTorch, one token at a time, requests taking turns."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penstock.serving.engines.generation import Job, Outcome, Refused, Sampling
from penstock.serving.engines.text import Text


def load(folder: str, options: dict[str, Any]) -> "TransformersBackend":
    """Load the model in `folder`."""
    torch.set_num_threads(options["threads"])
    dtype = options["dtype"]
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype="auto" if dtype == "auto" else getattr(torch, dtype),
        local_files_only=True,
        trust_remote_code=False,
    )
    device = options["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = None
    if not (Path(folder) / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    return TransformersBackend(model.eval().to(device), Text(Path(folder), tokenizer))


def choose(logits: Any, sampling: Sampling, generator: Any) -> int:
    """Return a token drawn from the logits of one position."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    scores = logits.float() / sampling.temperature
    if sampling.top_k:
        least = torch.topk(scores, min(sampling.top_k, scores.shape[-1])).values[-1]
        scores = scores.masked_fill(scores < least, float("-inf"))
    chances = torch.softmax(scores, -1)
    if sampling.top_p < 1:
        ordered, places = torch.sort(chances, descending=True)
        beyond = torch.cumsum(ordered, -1) - ordered >= sampling.top_p
        chances[places[beyond]] = 0.0
    return int(torch.multinomial(chances, 1, generator=generator))


class TransformersBackend:
    """A model in memory. Its adapters are part of it: forward passes take turns."""

    def __init__(self, model: Any, text: Text) -> None:
        self._model = model
        self._text = text
        self._lock = threading.Lock()
        self._adapters: dict[str, str] = {}
        self._made = 0
        self._active: str | None = None
        self._ends = _ends(model)
        self._limit = getattr(model.config, "max_position_embeddings", None)

    def chat_prompt(self, messages: Sequence[dict[str, str]]) -> str:
        """Render messages with the chat template."""
        return self._text.template.render(messages)

    def generate(self, job: Job, emit: Callable[[str], None]) -> Outcome:
        """Answer a job."""
        with torch.inference_mode():
            return self._generate(job, emit)

    def _generate(self, job: Job, emit: Callable[[str], None]) -> Outcome:
        ids = self._text.encode(job.prompt)
        room = None if self._limit is None else self._limit - len(ids)
        if room is not None and room < 1:
            raise Refused(f"The prompt has {len(ids)} tokens; the model takes {self._limit}.")
        answer = self._text.answer(job, len(ids), emit, self._ends)
        device = self._model.device
        generator = torch.Generator(device)
        if job.sampling.seed is None:
            generator.seed()
        else:
            generator.manual_seed(job.sampling.seed)
        fed, cache, made = torch.tensor([ids], device=device), None, 0
        while not job.cancelled.is_set():
            with self._lock:
                self._use(job.adapter)
                out = self._model(input_ids=fed, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, made = out.past_key_values, made + 1
            token = choose(out.logits[0, -1], job.sampling, generator)
            if not answer.take(token) or made == room:
                break
            fed = torch.tensor([[token]], device=device)
        return answer.finish()

    def add_adapter(self, name: str, folder: str) -> None:
        """Load a LoRA adapter in PEFT's format, replacing one of the same name."""
        self.remove_adapter(name)
        with self._lock:
            self._made += 1
            own = f"adapter{self._made}"
            try:
                self._model.load_adapter(folder, adapter_name=own)
            except (ValueError, OSError, RuntimeError, KeyError) as error:
                raise Refused(f"The adapter cannot be loaded: {error}") from error
            finally:
                self._active = "?"
                self._model.eval()
            self._adapters[name] = own

    def remove_adapter(self, name: str) -> None:
        """Unload an adapter."""
        with self._lock:
            own = self._adapters.pop(name, None)
            if own is None:
                return
            self._model.delete_adapter(own)
            self._active = "?"

    def _use(self, adapter: str | None) -> None:
        own = self._adapters.get(adapter, "") if adapter is not None else None
        if own == "":
            raise Refused(f"The adapter {adapter!r} was just removed.")
        if own == self._active:
            return
        if own is not None:
            self._model.set_adapter(own)
            self._model.enable_adapters()
        elif self._adapters:
            self._model.disable_adapters()
        self._active = own


def _ends(model: Any) -> frozenset[int]:
    found = model.generation_config.eos_token_id
    if found is None:
        return frozenset()
    return frozenset(found if isinstance(found, list) else [found])
