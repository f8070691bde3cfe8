"""The demo's base model: a 0.8 M parameter Qwen3 that has read mail threads and seen what a triage answer looks like.

It is made on the spot and kept by a hash of everything that goes into it. The threads teach what mails are about and
how pressing they are; the triage answers among them carry random categories and priorities, so that the
form is known and the policy is not.
"""

import hashlib
import random
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.home import Home, exclusive
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.pipelines.demo import mail, tickets
from penstock.pipelines.demo.phrases import INTENTS, URGENCIES
from penstock.registry import service as registry
from penstock.registry.model import ModelVersion
from penstock.training import service as training

NAME = "ticket-base"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML, as llama.cpp and others know it."""
THREAD = "{}\n\n"
"""How a thread goes on after the mail: no chat markup, which only triage answers have."""
FORM_SHARE, NOTE_SHARE = 0.12, 0.73
"""Shares of triage answers and of answers headed by an agent's note; the rest are plain replies."""
SHORT_SHARE = 0.6
"""Share of two-sentence mails in the first part of the corpus; they are learned from first."""

SETTINGS: dict[str, Any] = {
    "tokenizer": {"vocab_size": 2048, "rows": 4000, "chat_template": CHAT_TEMPLATE},
    "model": {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "initializer_range": 0.06,
    },
    "batch_size": 32,
    "learning_rate": 3e-3,
    "context_weight": 0.05,
    "warmup_steps": 30,
    "cooldown_steps": 50,
    "probe_steps": 40,
    "probe_from": 120,
    "probe_pass": {"category": 0.95, "product": 0.97, "priority": 0.95},
    "max_steps": 450,
    "attempts": 4,
    "threads": 1,
}
ROWS, PROBE_ROWS = 12_000, 540


def threads(seed: int, rows: int = ROWS) -> list[dict[str, Any]]:
    """Return the pre-training rows: `{context, text}` threads and `{messages, completion}` triage answers."""
    rng = random.Random(f"threads {seed}")
    made: list[dict[str, Any]] = []
    for number in range(rows):
        short = rng.random() < (SHORT_SHARE if number < rows * 0.6 else SHORT_SHARE / 3)
        letter = tickets.draw(rng, redacted=rng.random() < 0.5, brief=short)
        dice = rng.random()
        if dice < FORM_SHARE:
            form = tickets.answer(rng.choice(INTENTS), letter.product, rng.choice(URGENCIES))
            made.append({"messages": [{"role": "user", "content": letter.text}], "completion": form})
        elif dice < FORM_SHARE + NOTE_SHARE:
            made.append({"context": THREAD.format(letter.text), "text": mail.note(rng, letter)})
        else:
            made.append({"context": THREAD.format(letter.text) + "> ", "text": mail.reply(rng, letter)})
    return made


def probe_rows(seed: int, rows: int = PROBE_ROWS) -> list[dict[str, Any]]:
    """Return fresh mails with their true answers, for the probe alone."""
    rng = random.Random(f"probe {seed}")
    letters = [tickets.draw(rng, redacted=rng.random() < 0.5) for _ in range(rows)]
    return [
        {"messages": [{"role": "user", "content": m.text}], "completion": tickets.true_answer(m)}
        for m in letters
    ]


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _code() -> bytes:
    """Return the source of what decides the result, so that changed code is not served from the cache."""
    names = ("penstock.training.trainers.pretrain", "penstock.training.trainers.probe")
    origins = [spec.origin for spec in map(find_spec, names) if spec is not None and spec.origin]
    return b"".join(Path(origin).read_bytes() for origin in origins)


def prepare(folder: Path, *, seed: int) -> tuple[dict[str, Any], str]:
    """Write the corpus and probe into `folder`; return the trainer's spec and the content hash of all it depends on."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"train_file": _lines(threads(seed)), "probe_file": _lines(probe_rows(seed))}
    parts = [msgspec.json.encode({**SETTINGS, "seed": seed}, order="sorted"), *data.values(), _code()]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    spec = {**SETTINGS, "seed": seed, "workdir": str(folder)}
    for key, content in data.items():
        path = folder / f"{key.removesuffix('_file')}.jsonl"
        path.write_bytes(content)
        spec[key] = str(path)
    return spec, digest


def build(
    home: Home,
    actor: Actor,
    *,
    seed: int = 0,
    on_progress: Callable[[dict[str, Any]], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[ModelVersion, dict[str, Any]]:
    """Return the registered base model of `seed` and how it was made; made before with the same inputs, it is reused.

    The second value holds `folder`, `seed`, `steps`, `attempts`, `metrics` and `cached`. Raises ChildFailed when no
    attempt passes the probe, Cancelled when `cancelled()` turns true.
    """
    with exclusive(home.folder("cache") / "base-model.lock", wait=True):
        spec, digest = prepare(home.folder("work", f"base-{seed}"), seed=seed)
        kept = home.folder("cache", "base") / digest
        record = kept / "made.json"
        cached = record.exists()
        if not cached:
            made = training.run_trainer("pretrain", spec, on_progress=on_progress, cancelled=cancelled)
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(mode=0o700)
            shutil.move(made["folder"], kept / "model")
            record.write_bytes(msgspec.json.encode({**made, "folder": str(kept / "model")}))
            shutil.rmtree(spec["workdir"])
        result = msgspec.json.decode(record.read_bytes(), type=dict[str, Any])
    version = registry.register(
        home,
        actor,
        name=NAME,
        folder=kept / "model",
        kind="base",
        base=None,
        lineage=[Link("file", f"sha256:{digest}", "inputs")],
        metrics=result["metrics"],
        card_extra={
            "description": "Small Qwen3 pre-trained on generated mail threads: knows the form, not the policy.",
            "seed": result["seed"],
            "steps": result["steps"],
        },
    )
    return version, {**result, "cached": cached}
