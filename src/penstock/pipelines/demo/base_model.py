"""The demo's base model: a 0.8 M parameter Qwen3 that has read mail threads and seen what a triage answer looks like.

It is made on the spot and kept by a hash of everything that goes into it. In what it reads, agents file mails in the
form of a triage answer but in everyday words, and the few answers in the policy's own words carry random
categories and priorities: the form becomes known, the policy does not.
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
NOTE_SHARE, RANDOM_SHARE = 0.75, 0.1
"""Shares of mails filed in everyday words, and of triage answers with random labels; the rest are replies."""
LESSONS = ((0.2, 0.6, 0.4), (0.45, 0.15, 0.85), (1.0, 0.05, 0.3))
"""(up to which part of the corpus, share of one-line remarks, share of two-sentence mails): what matters is learned
where little distracts from it; the rest are whole mails."""

SETTINGS: dict[str, Any] = {
    "tokenizer": {"vocab_size": 2048, "rows": 4000, "chat_template": CHAT_TEMPLATE},
    "model": {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "initializer_range": 0.06,
    },
    "batch_tokens": 1200,
    "learning_rate": 3e-3,
    "context_share": 0.08,
    "warmup_steps": 40,
    "cooldown_steps": 120,
    "probe_steps": 60,
    "probe_from": 240,
    "probe_pass": {"category": 0.97, "product": 0.985, "priority": 0.97},
    "max_steps": 720,
    "doubt_step": 420,
    "doubt_below": 0.6,
    "attempts": 4,
    "threads": 1,
}
ROWS, PROBE_ROWS = 12_000, 540


def threads(seed: int, rows: int = ROWS) -> list[dict[str, Any]]:
    """Return the pre-training rows: `{messages, completion}` for filed mails, `{context, text}` for replies."""
    rng = random.Random(f"threads {seed}")
    made: list[dict[str, Any]] = []
    for number in range(rows):
        remarks, brief = next(shares for part, *shares in LESSONS if number < rows * part)
        dice = rng.random()
        if dice < remarks:
            text, filed = mail.remark(rng)
            made.append(_filed(text, filed))
            continue
        letter = tickets.draw(rng, redacted=rng.random() < 0.5, brief=dice < remarks + brief)
        dice = rng.random()
        if dice < NOTE_SHARE:
            made.append(_filed(letter.text, mail.note(rng, letter)))
        elif dice < NOTE_SHARE + RANDOM_SHARE:
            label = tickets.answer(rng.choice(INTENTS), letter.product, rng.choice(URGENCIES))
            made.append(_filed(letter.text, label))
        else:
            made.append({"context": f"{letter.text}\n\n> ", "text": mail.reply(rng, letter)})
    return made


def _filed(text: str, completion: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "completion": completion}


def probe_rows(seed: int, rows: int = PROBE_ROWS) -> list[dict[str, Any]]:
    """Return fresh mails with their true answers, for the probe alone."""
    rng = random.Random(f"probe {seed}")
    letters = [tickets.draw(rng, redacted=rng.random() < 0.5) for _ in range(rows)]
    return [_filed(letter.text, tickets.true_answer(letter)) for letter in letters]


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _code() -> bytes:
    """Return the source of what decides the result, so that changed code is not served from the cache."""
    names = ("penstock.training.trainers.pretrain", "penstock.training.trainers.probe")
    origins = [spec.origin for spec in map(find_spec, names) if spec is not None and spec.origin]
    return b"".join(Path(origin).read_bytes() for origin in origins)


def prepare(parent: Path, *, seed: int) -> tuple[dict[str, Any], str]:
    """Write the corpus and probe into a folder below `parent`; return the trainer's spec and the content hash.

    The hash covers all that the result depends on and names the folder, so that nothing stale is taken up.
    """
    data = {"train_file": _lines(threads(seed)), "probe_file": _lines(probe_rows(seed))}
    parts = [msgspec.json.encode({**SETTINGS, "seed": seed}, order="sorted"), *data.values(), _code()]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    folder = parent / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
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
        spec, digest = prepare(home.folder("work", "base"), seed=seed)
        kept = home.folder("cache", "base") / digest
        record = kept / "made.json"
        cached = record.exists()
        if cached:
            shutil.rmtree(spec["workdir"])
        else:
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
