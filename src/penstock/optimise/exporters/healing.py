"""Training that brings a changed model's probabilities back to those of the model it was made from.

The loss is the Kullback-Leibler divergence of the parent's softened probabilities from the student's, over every
token of the rows (Hinton et al. 2015, arXiv:1503.02531), which needs no labels beyond the rows themselves.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from penstock.core.errors import Invalid
from penstock.optimise.exporters.texts import Report, copy_texts, read_config

_WARM_UP = 0.1
_REPORT_EVERY = 10


def load(spec: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the tokenizer and the model of `spec["source"]` in float32, set to `threads` and `seed`."""
    source = Path(spec["source"])
    read_config(source)
    logging.disable_progress_bar()
    torch.set_num_threads(int(spec.get("threads", 1)))
    torch.manual_seed(int(spec.get("seed", 0)))
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(source, local_files_only=True, dtype=torch.float32)
    return tokenizer, model.eval()


def save(model: Any, source: Path, output: Path) -> None:
    """Write a model and the parent's tokenizer into the folder `output`, which then needs nothing else."""
    model.save_pretrained(output)
    copy_texts(source, output)


def read_texts(path: str, tokenizer: Any) -> list[str]:
    """Return the rows as texts, conversations through the chat template; raises Invalid where there is none."""
    texts = []
    for line in Path(path).read_bytes().splitlines():
        row = json.loads(line)
        if "text" in row:
            texts.append(str(row["text"]) + (tokenizer.eos_token or ""))
            continue
        if not tokenizer.chat_template:
            raise Invalid("The model's tokenizer has no chat template.", hint="Give rows with a text column.")
        texts.append(str(tokenizer.apply_chat_template(row["messages"], tokenize=False)))
    return texts


def batches(texts: Sequence[str], size: int, steps: int, seed: int) -> Iterator[list[str]]:
    """Yield `steps` batches, going through the texts in a new order each time."""
    order, place, chance = list(range(len(texts))), len(texts), random.Random(seed)
    for _ in range(steps):
        batch: list[str] = []
        while len(batch) < size:
            if place == len(order):
                chance.shuffle(order)
                place = 0
            batch.append(texts[order[place]])
            place += 1
        yield batch


def encode(tokenizer: Any, batch: Sequence[str], most: int) -> dict[str, Any]:
    """Return the batch as padded ids with their mask, no row longer than `most` tokens."""
    found = tokenizer(
        list(batch),
        return_tensors="pt",
        padding=True,
        truncation=True,
        max_length=most,
        add_special_tokens=False,
    )
    return {"input_ids": found["input_ids"], "attention_mask": found["attention_mask"]}


def divergence(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, heat: float) -> torch.Tensor:
    """Return the mean Kullback-Leibler divergence over the tokens of `mask`; logits are (batch, tokens, words)."""
    wanted = functional.log_softmax(teacher / heat, dim=-1)
    found = functional.log_softmax(student / heat, dim=-1)
    each = functional.kl_div(found, wanted, log_target=True, reduction="none").sum(-1)
    return (each * mask).sum() / mask.sum() * heat**2


def heal(
    student: Any,
    teacher: Any,
    tokenizer: Any,
    spec: Mapping[str, Any],
    report: Report,
    keep: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Train `student` towards `teacher` on `spec["rows"]`; `keep` is called after each step.

    AdamW with a linear warm-up over a tenth of the steps, then a linear decline. Returns the first and the last loss.
    """
    texts = read_texts(str(spec["rows"]), tokenizer)
    steps, heat = int(spec["steps"]), float(spec["temperature"])
    most = int(getattr(student.config, "max_position_embeddings", 1024))
    optimizer = torch.optim.AdamW(student.parameters(), lr=float(spec["learning_rate"]), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _slope(steps))
    teacher.requires_grad_(False)
    student.train()
    first = last = 0.0
    for step, batch in enumerate(batches(texts, int(spec["batch_size"]), steps, int(spec["seed"])), 1):
        asked = encode(tokenizer, batch, most)
        with torch.no_grad():
            wanted = teacher(**asked).logits
        loss = divergence(student(**asked).logits, wanted, asked["attention_mask"], heat)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        keep()
        last = float(loss.detach())
        first = first or last
        if step % _REPORT_EVERY == 0 or step == steps:
            report({"stage": "heal", "step": step, "steps": steps, "loss": last})
    student.eval()
    return {"first_loss": first, "last_loss": last}


def _slope(steps: int) -> Callable[[int], float]:
    warm = max(1, int(steps * _WARM_UP))

    def share(step: int) -> float:
        return min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))

    return share
