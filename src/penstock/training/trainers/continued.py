"""Continued pre-training: every token of running text is learnt, cut into pieces of equal length."""

from typing import Any

from trl import SFTConfig, SFTTrainer

from datasets import Dataset
from penstock.core.errors import Invalid
from penstock.training.trainers import loading, options, rendering, runtime
from penstock.training.trainers.runtime import Report

_LEAST = 2
"""Shorter pieces have no next token to learn."""


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train the model in `spec["model_folder"]` on JSONL rows `{text}`, joined by the end-of-text token.

    Pieces have `max_length` tokens, the last one fewer; a piece may hold the end of one text and the start of the
    next, as in pre-training. Goes on from the newest whole checkpoint. Raises Invalid for too little text.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer, adapter = loading.policy(spec, chat=False)
    rows = runtime.read_rows(spec["train_file"])
    stream = [token for row in rows for token in rendering.text(tokenizer, row)]
    size = spec["max_length"]
    found = [stream[start : start + size] for start in range(0, len(stream), size)]
    pieces = [piece for piece in found if len(piece) >= _LEAST]
    if not pieces:
        raise Invalid("There is too little text to learn from.")
    shown = [{"context": "", "trained": tokenizer.decode(piece)} for piece in pieces[: runtime.PREVIEWS]]
    report({"stage": "preview", "examples": shown})
    trainer = SFTTrainer(
        model=model,
        args=options.build(SFTConfig, spec, max_length=None),
        train_dataset=Dataset.from_list([{"input_ids": piece, "labels": piece} for piece in pieces]),
        processing_class=tokenizer,
        peft_config=adapter,
    )
    per_step = len(stream) / len(pieces) * spec["batch_size"]
    trainer.add_callback(runtime.Progress(report, per_step))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(rows))
