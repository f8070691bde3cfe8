"""The child of the scorer bert_score: a model's token embeddings, and their greedy matches.

Run in a child by evals (`penstock.advisers`, name `bert_score`); options: `folder`, `layer`, `threads`. A question is
`{"id", "answer", "references": [...]}`, its reply `{"scores": [[precision, recall, f1], ...]}`, one per reference.
"""

import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid

BATCH = 64
"""Texts that go through the model together."""
_ENDLESS = 100_000
"""Tokenizers that know no longest input say a number far above this."""


class Encoder:
    """A model up to the layer that counts, and its tokenizer."""

    def __init__(self, folder: str, layer: int, threads: int) -> None:
        if not (Path(folder) / "config.json").exists():
            raise Invalid(f"There is no model in {folder}.", hint="Hugging Face's layout is needed.")
        import torch
        from transformers import AutoConfig, AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        torch.set_num_threads(threads)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if layer > config.num_hidden_layers:
            raise Invalid(f"The model has {config.num_hidden_layers} layers, not {layer}.")
        if layer and not config.is_encoder_decoder:
            # Layers above the one that counts are not even loaded.
            config.num_hidden_layers = layer
        model = AutoModel.from_pretrained(folder, config=config, local_files_only=True, dtype=torch.float32)
        if config.is_encoder_decoder:
            model = model.get_encoder()
        self._layer = layer if config.is_encoder_decoder else 0
        self._model = model.eval()
        self._longest = self._limit(config)
        # Words of these tokenizers begin with their blank, also the first.
        self._blank = " " if any(k in type(self._tokenizer).__name__ for k in ("Roberta", "GPT2")) else ""
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._tokenizer.padding_side = "right"
        self._weightless = {self._tokenizer.cls_token_id, self._tokenizer.sep_token_id} - {None}

    def _limit(self, config: Any) -> int:
        said = int(self._tokenizer.model_max_length)
        if said < _ENDLESS:
            return said
        # Two places are left for models that count positions from their padding's number on.
        return int(getattr(config, "max_position_embeddings", 514)) - 2

    def embed(self, texts: Sequence[str]) -> dict[str, tuple[Any, Any]]:
        """Return text → unit vectors (tokens, width) and weights (tokens); special tokens weigh nothing."""
        found: dict[str, tuple[Any, Any]] = {}
        ordered = sorted(dict.fromkeys(texts), key=len)
        for start in range(0, len(ordered), BATCH):
            found |= self._batch(ordered[start : start + BATCH])
        return found

    def _batch(self, texts: Sequence[str]) -> dict[str, tuple[Any, Any]]:
        import torch

        encoded = self._tokenizer(
            [f"{self._blank}{text.strip()}" for text in texts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self._longest,
        )
        with torch.inference_mode():
            made = self._model(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                output_hidden_states=bool(self._layer),
            )
            states = made.hidden_states[self._layer] if self._layer else made.last_hidden_state
            states = torch.nn.functional.normalize(states, dim=-1)
        found = {}
        for row, text in enumerate(texts):
            kept = encoded["attention_mask"][row].bool()
            ids = encoded["input_ids"][row][kept].tolist()
            weights = torch.tensor([float(token not in self._weightless) for token in ids])
            found[text] = (states[row][kept], weights)
        return found


def match(answer: tuple[Any, Any], reference: tuple[Any, Any]) -> list[float]:
    """Return precision, recall and F1: the mean of every token's nearest one on the other side."""
    (said, said_weights), (wanted, wanted_weights) = answer, reference
    if not (said_weights.sum() and wanted_weights.sum()):
        return [0.0, 0.0, 0.0]
    nearness = said @ wanted.T
    precision = float((nearness.max(dim=1).values * said_weights).sum() / said_weights.sum())
    recall = float((nearness.max(dim=0).values * wanted_weights).sum() / wanted_weights.sum())
    both = precision + recall
    return [precision, recall, 2 * precision * recall / both if both else 0.0]


def replies(encoder: Encoder, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one reply to each question."""
    texts = [text for one in questions for text in (one["answer"], *one["references"])]
    found = encoder.embed(texts)
    return [
        {
            "id": one["id"],
            "reply": {"scores": [match(found[one["answer"]], found[text]) for text in one["references"]]},
        }
        for one in questions
    ]


def asked() -> Iterator[list[dict[str, Any]]]:
    """Yield the questions of standard input, all that are waiting at once, until it ends."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    while line := lines.get():
        batch = [line]
        while len(batch) < BATCH and not lines.empty():
            batch.append(lines.get())
        yield [msgspec.json.decode(one) for one in batch if one]
        if not batch[-1]:
            return


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Reply to questions until no more come."""
    encoder = Encoder(str(spec["folder"]), int(spec.get("layer", 0)), int(spec.get("threads", 1)))
    done = 0
    for questions in asked():
        for reply in replies(encoder, questions):
            report(reply)
            done += 1
    return {"replied": done}
