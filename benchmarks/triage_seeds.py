"""How well the demo's models learn, seed by seed: base, fine-tuned, and the two ways of learning from corrections.

Run: python benchmarks/triage_seeds.py 0 1 2 3 4
Prints one line per seed and stage: exact match and accuracy per field on 500 held-out tickets with true labels, and the
seconds each stage took (wall clock, so run it on an idle machine). Needs the extra [train].
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.pii import Detector
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.pipelines.demo import base_model, recipes, tickets
from penstock.registry import service as registry
from penstock.training import service as training

BATCH, ANSWER_TOKENS = 100, 40


def answers(folder: Path, adapter: Path | None, texts: list[str]) -> list[str]:
    """Return the model's greedy answers."""
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.eval()
    said: list[str] = []
    for start in range(0, len(texts), BATCH):
        prompts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
            for text in texts[start : start + BATCH]
        ]
        batch = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
        with torch.no_grad():
            out = model.generate(**batch, max_new_tokens=ANSWER_TOKENS, do_sample=False)
        said += tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [answer.strip() for answer in said]


def fields(answer: str) -> dict[str, str]:
    """Return the answer's `key: value` lines."""
    return dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)


class Bench:
    """One seed's home and tickets."""

    def __init__(self, home: Home, actor: Actor, seed: int) -> None:
        self.home, self.actor, self.seed = home, actor, seed
        self.corpus = tickets.make(seed)
        self._began = time.monotonic()

    def measure(self, stage: str, ref: str) -> None:
        """Print how well the model `ref` does on the held-out tickets."""
        seconds = time.monotonic() - self._began
        texts, wanted = zip(*((row["text"], row["label"]) for row in self.corpus.test), strict=True)
        said = self.ask(ref, list(texts))
        exact = sum(a == b for a, b in zip(said, wanted, strict=True)) / len(wanted)
        each = {
            key: sum(fields(a).get(key) == fields(b)[key] for a, b in zip(said, wanted, strict=True))
            / len(wanted)
            for key in ("category", "product", "priority")
        }
        shown = "  ".join(f"{key} {value:.3f}" for key, value in each.items())
        print(f"seed {self.seed}  {stage:<12} exact {exact:.4f}  {shown}  {seconds:.0f} s", flush=True)
        self._began = time.monotonic()

    def ask(self, ref: str, texts: list[str]) -> list[str]:
        """Return the answers of a registered model."""
        with self.home.read() as uow:
            version = registry.get(uow, self.actor, ref=ref)
        folder = registry.materialize(self.home, self.actor, ref=ref)
        if version.kind != "adapter":
            return answers(folder, None, texts)
        return answers(registry.materialize(self.home, self.actor, ref=str(version.base)), folder, texts)

    def ingest(self, name: str, rows: list[dict[str, Any]]) -> str:
        """Register rows; returns the reference."""
        return datasets.ingest(self.home, self.actor, name=name, source=rows).ref


def one(home: Home, actor: Actor, seed: int) -> None:
    """Play the whole story for one seed."""
    bench = Bench(home, actor, seed)
    detector = Detector()
    base, _ = base_model.build(home, actor, seed=seed)
    bench.measure("base", base.ref)
    history = [{**row, "text": detector.redact(row["text"])[0]} for row in bench.corpus.history]
    history_ref = bench.ingest("tickets", history)
    tuned = training.execute(home, actor, recipes.fine_tune(base=base.ref, dataset=history_ref, seed=seed))
    bench.measure("fine-tuned", str(tuned.model))
    live = bench.corpus.traffic[: recipes.REVIEWED]
    said = bench.ask(str(tuned.model), [ticket.text for ticket in live])
    pairs = [
        {"prompt": t.text, "chosen": t.answer, "rejected": a}
        for t, a in zip(live, said, strict=True)
        if a != t.answer
    ]
    good = [{"prompt": t.text, "completion": a} for t, a in zip(live, said, strict=True) if a == t.answer]
    fixes, accepted = bench.ingest("corrections", pairs), bench.ingest("accepted", good)
    print(f"seed {seed}  {len(pairs)} corrections, {len(good)} accepted", flush=True)
    start = str(tuned.model)
    alone = training.execute(home, actor, recipes.corrections_alone(base=start, dataset=fixes, seed=seed))
    bench.measure("alone", str(alone.model))
    print(f"seed {seed}  alone: reward accuracy {alone.metrics['rewards_accuracies']:.3f}", flush=True)
    replayed = recipes.with_replay(base=start, dataset=fixes, accepted=accepted, seed=seed)
    bench.measure("with replay", str(training.execute(home, actor, replayed).model))


def main(seeds: list[int]) -> None:
    """Measure each seed in a home of its own."""
    for seed in seeds or [0]:
        with tempfile.TemporaryDirectory() as folder, Home.open(folder) as home:
            with home.begin() as uow:
                owner, _ = auth.ensure_owner(uow)
            one(home, owner.actor(), seed)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
