"""A reward model from pairs of answers (Bradley-Terry): the better answer shall get the higher number."""

from typing import Any

from peft import PeftModel
from trl import RewardConfig, RewardTrainer

from penstock.training.trainers import loading, options, pairs, runtime
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, chosen, rejected}`; returns a whole model with one output.

    An adapter is trained when the recipe asks for one, and folded in at the end. Goes on from the newest whole
    checkpoint. Raises Invalid for rows that are too long.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer = loading.scorer(spec)
    rows = runtime.read_rows(spec["train_file"])
    mean = pairs.lengths(rows, tokenizer, spec["max_length"])
    report({"stage": "preview", "examples": pairs.examples(rows, tokenizer)})
    trainer = RewardTrainer(
        model=model,
        args=options.build(RewardConfig, spec, max_length=None),
        train_dataset=pairs.dataset(rows),
        processing_class=tokenizer,
        peft_config=loading.lora(spec["adapter"], "SEQ_CLS"),
    )
    trainer.add_callback(runtime.Progress(report, mean * spec["batch_size"]))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    if isinstance(trainer.model, PeftModel):
        trainer.model = trainer.model.merge_and_unload()
    made = runtime.finish(trainer, tokenizer, spec, len(rows))
    return {**made, "card": {"intended_use": "Rewards answers in training; it writes none itself."}}
