"""Pre-training: a small language model from nothing, until a probe says that it is good enough, or a model further.

The learning rate stays constant until the probe passes and then falls to zero ("warm-up, stable, decay",
https://arxiv.org/abs/2404.06395), so no run length has to be guessed. A seed that does not get there in
`max_steps` is given up and the next one tried. Runs in a child process.
"""

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from penstock.core.errors import ChildFailed, Invalid
from penstock.training.trainers import continued, runtime
from penstock.training.trainers.probe import Probe
from penstock.training.trainers.runtime import Report

END, START, STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SEED_STRIDE = 1000
"""Added to the seed for each further attempt."""
_STEPS = 1_000_000
"""More steps than any run has: each step of each seed throws its own dice, so that a resumed run repeats them."""
_BUCKET = 512
"""Rows sorted by length together: little padding, while the order of the file still matters."""

Encoded = tuple[list[int], int]
"""Token ids, and how many of them are context."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every attempt shares."""

    spec: dict[str, Any]
    tokenizer: Any
    rows: list[Encoded]
    probe: Probe
    report: Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train a tokenizer and a Qwen3-shaped model on `spec["train_file"]`; return folder, seed, steps and probe.

    Rows are `{context, text}` or `{messages, completion}` (rendered with the chat template); a random `context_share`
    of the context's tokens is trained on, and all of the rest. Short rows first make learning start sooner. Other keys:
    `probe_file` (rows `{messages, completion}`, completions of `key: value` lines), `probe_pass` (key → least
    accuracy), `tokenizer` (vocab_size, rows, chat_template), `model` (Qwen3Config values), batch_tokens, learning_rate,
    warmup_steps, cooldown_steps, probe_from and probe_steps (first probe and distance, in steps), max_steps, attempts,
    doubt_step and doubt_below (give a seed up when a field still scores less then), seed, threads, workdir. Goes on
    from its last probe after a kill. Raises ChildFailed when no attempt passes.

    With `model_folder` in the spec, as a recipe gives it, that model is trained further: see `trainers.continued`.
    """
    if "model_folder" in spec:
        return continued.run(spec, report)
    runtime.prepare(spec)
    rows = runtime.read_rows(spec["train_file"])
    report({"stage": "tokenizer", "rows": len(rows)})
    tokenizer = _tokenizer(rows, spec["tokenizer"])
    encoded = _encode(rows, tokenizer)
    runtime.refuse_long([len(ids) for ids, _ in encoded], spec["model"]["max_position_embeddings"])
    probe = Probe(tokenizer, runtime.read_rows(spec["probe_file"]))
    bench = Bench(spec, tokenizer, encoded, probe, report)
    tried = []
    for attempt in range(spec["attempts"]):
        seed = spec["seed"] + attempt * SEED_STRIDE
        outcome = _attempt(bench, attempt, seed)
        tried.append({key: outcome[key] for key in ("seed", "steps", "probe", "passed")})
        if outcome["passed"]:
            return _save(bench, outcome, tried)
    best = "; ".join(f"seed {t['seed']}: {t['probe']}" for t in tried)
    raise ChildFailed(
        f"No base model was good enough after {len(tried)} attempts ({best}).",
        hint=f"Needed: {spec['probe_pass']}. Allow more steps, or another seed.",
    )


def _context(row: dict[str, Any], tokenizer: Any) -> tuple[str, str]:
    if "messages" not in row:
        return row.get("context", ""), row["text"] + END
    prompt = tokenizer.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
    turns = [*row["messages"], {"role": "assistant", "content": row["completion"]}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    return prompt, whole.removeprefix(prompt) + END


def _tokenizer(rows: list[dict[str, Any]], options: dict[str, Any]) -> Any:
    """Train byte-level BPE with individual digits, which llama.cpp knows as `smollm`."""
    if options["vocab_size"] < 300:
        raise Invalid("tokenizer.vocab_size must be at least 300: 256 bytes and the special tokens.")
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options["vocab_size"],
        special_tokens=[END, START, STOP],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(_plain(rows[:: max(1, len(rows) // options["rows"])]), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=STOP,
        pad_token=END,
        model_max_length=1_000_000,
        clean_up_tokenization_spaces=False,
        chat_template=options["chat_template"],
    )


def _plain(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        if "messages" in row:
            yield from (f"{turn['role']}\n{turn['content']}" for turn in row["messages"])
            yield f"assistant\n{row['completion']}"
        else:
            yield row.get("context", "") + row["text"]


def _encode(rows: list[dict[str, Any]], tokenizer: Any) -> list[Encoded]:
    parts = [_context(row, tokenizer) for row in rows]
    contexts = tokenizer([context for context, _ in parts])["input_ids"]
    texts = tokenizer([text for _, text in parts])["input_ids"]
    return [(before + after, len(before)) for before, after in zip(contexts, texts, strict=True)]


def _batches(rows: list[Encoded], size: int, rng: random.Random) -> Iterator[list[Encoded]]:
    """Yield batches of at most `size` tokens without end, in the file's order but for shuffled buckets."""
    while True:
        for start in range(0, len(rows), _BUCKET):
            bucket = sorted(rows[start : start + _BUCKET], key=lambda row: len(row[0]))
            batches: list[list[Encoded]] = [[]]
            for row in bucket:
                if (len(batches[-1]) + 1) * len(row[0]) > size and batches[-1]:
                    batches.append([])
                batches[-1].append(row)
            rng.shuffle(batches)
            yield from batches


def _loss(model: Any, batch: list[Encoded], share: float, dice: torch.Generator) -> torch.Tensor:
    """Return the mean cross-entropy of all text tokens and of a random `share` of context tokens."""
    width = max(len(ids) for ids, _ in batch)
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    counted = torch.zeros(len(batch), width)
    for line, (ids, context) in enumerate(batch):
        tokens[line, : len(ids)] = torch.tensor(ids)
        counted[line, :context] = share
        counted[line, context : len(ids)] = 1.0
    # Padding is on the right and attention causal, so no mask is needed. Logits cost a third of a step: only what
    # counts is computed.
    chosen = torch.rand(counted.shape, generator=dice)[:, 1:] < counted[:, 1:]
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1][chosen]
    loss: torch.Tensor = torch.nn.functional.cross_entropy(model.lm_head(hidden), tokens[:, 1:][chosen])
    return loss


class _Run:
    """One attempt's moving parts, and how they are kept and restored."""

    def __init__(self, bench: Bench, seed: int) -> None:
        torch.manual_seed(seed)
        shape = {**bench.spec["model"], "vocab_size": len(bench.tokenizer)}
        special = {"eos_token_id": bench.tokenizer.eos_token_id, "pad_token_id": bench.tokenizer.pad_token_id}
        self.model = Qwen3ForCausalLM(
            Qwen3Config(**shape, **special, bos_token_id=None, tie_word_embeddings=True)
        )
        rate = bench.spec["learning_rate"]
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.05
        )
        self.step = 0
        self.passed_at: int | None = None
        self.scores: dict[str, float] = {}

    def save(self, path: Path) -> None:
        """Write everything to `path`, which appears only when whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "passed_at": self.passed_at,
            "scores": self.scores,
        }
        torch.save(state, part)
        part.replace(path)

    def restore(self, path: Path) -> None:
        """Take up what `save` wrote."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.passed_at, self.scores = state["step"], state["passed_at"], state["scores"]


def _rate(spec: dict[str, Any], step: int, passed_at: int | None) -> float:
    """Return the share of the learning rate at `step`: warm-up, constant, linear fall once the probe passed."""
    warm = min(1.0, (step + 1) / float(spec["warmup_steps"]))
    if passed_at is None:
        return warm
    return warm * max(0.0, 1 - (step - passed_at) / float(spec["cooldown_steps"]))


def _attempt(bench: Bench, attempt: int, seed: int) -> dict[str, Any]:
    spec = bench.spec
    kept = Path(spec["workdir"]) / f"attempt-{attempt}" / "state.pt"
    this = _Run(bench, seed)
    if kept.exists():
        this.restore(kept)
    batches = _batches(bench.rows, spec["batch_tokens"], random.Random(seed))
    for _ in range(this.step):
        next(batches)
    began, tokens, loss = time.monotonic(), 0, 0.0
    while not _done(spec, this):
        batch = next(batches)
        for group in this.optimizer.param_groups:
            group["lr"] = spec["learning_rate"] * _rate(spec, this.step, this.passed_at)
        dice = torch.Generator().manual_seed(seed * _STEPS + this.step)
        value = _loss(this.model, batch, spec["context_share"], dice)
        value.backward()
        torch.nn.utils.clip_grad_norm_(this.model.parameters(), 1.0)
        this.optimizer.step()
        this.optimizer.zero_grad(set_to_none=True)
        this.step += 1
        tokens += sum(len(ids) for ids, _ in batch)
        loss = value.item() if not loss else 0.9 * loss + 0.1 * value.item()
        if this.step % 10 == 0:
            speed = tokens / (time.monotonic() - began)
            bench.report(_progress(spec, this, attempt=attempt, seed=seed, loss=loss, speed=speed))
        if (
            this.passed_at is None
            and this.step >= spec["probe_from"]
            and this.step % spec["probe_steps"] == 0
        ):
            _look(bench, this, kept)
    final = bench.probe.scores(this.model) if this.passed_at is not None else this.scores
    return {
        "seed": seed,
        "steps": this.step,
        "probe": final,
        "passed": this.passed_at is not None,
        "run": this,
    }


def _done(spec: dict[str, Any], this: _Run) -> bool:
    if this.passed_at is None:
        hopeless = this.step >= spec["doubt_step"] and min(this.scores.values()) < spec["doubt_below"]
        return bool(hopeless or this.step >= spec["max_steps"])
    return bool(this.step >= this.passed_at + spec["cooldown_steps"])


def _look(bench: Bench, this: _Run, kept: Path) -> None:
    """Probe, remember, report."""
    this.scores = bench.probe.scores(this.model)
    if all(this.scores.get(key, 0.0) >= least for key, least in bench.spec["probe_pass"].items()):
        this.passed_at = this.step
    this.save(kept)
    bench.report(
        {"stage": "probe", "step": this.step, "passed": this.passed_at is not None, "probe": this.scores}
    )


def _progress(
    spec: dict[str, Any], this: _Run, *, attempt: int, seed: int, loss: float, speed: float
) -> dict[str, Any]:
    return {
        "stage": "train",
        "attempt": attempt + 1,
        "seed": seed,
        "step": this.step,
        "steps": spec["max_steps"] if this.passed_at is None else this.passed_at + spec["cooldown_steps"],
        "loss": round(loss, 4),
        "learning_rate": this.optimizer.param_groups[0]["lr"],
        "tokens_per_second": round(speed, 1),
    }


def _save(bench: Bench, outcome: dict[str, Any], tried: list[dict[str, Any]]) -> dict[str, Any]:
    folder = Path(bench.spec["workdir"]) / "model"
    model = outcome["run"].model
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    bench.tokenizer.save_pretrained(folder)
    for attempt in Path(bench.spec["workdir"]).glob("attempt-*"):
        shutil.rmtree(attempt)
    return {
        "folder": str(folder),
        "kind": "base",
        "seed": outcome["seed"],
        "steps": outcome["steps"],
        "attempts": tried,
        "metrics": {f"probe_{key}": value for key, value in outcome["probe"].items()},
        "trained_parameters": sum(p.numel() for p in model.parameters()),
    }
