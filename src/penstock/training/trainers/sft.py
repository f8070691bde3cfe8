"""Supervised fine-tuning: the loss is on the answers alone.

`penstock train run sft-lora --set name=triage --set base=base@1 --set dataset=tickets@1` ends here, in a child process.
"""

from typing import Any

from trl import SFTConfig, SFTTrainer

from datasets import Dataset
from penstock.training.trainers import runtime
from penstock.training.trainers.runtime import Report

_MASKED = -100
"""Label of tokens that carry no loss (torch's ignore_index)."""


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, completion}`; see `training.recipe` for the other keys.

    Goes on from the newest whole checkpoint in `spec["workdir"]`. Raises Invalid for rows that are too long.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer, adapter = runtime.load_policy(spec)
    rows = runtime.read_rows(spec["train_file"])
    data = Dataset.from_list(
        [
            {"prompt": row["messages"], "completion": [{"role": "assistant", "content": row["completion"]}]}
            for row in rows
        ]
    )
    # The library would cut long rows silently, so its own limit is lifted and ours refuses them.
    config = SFTConfig(**{**runtime.arguments(spec), "max_length": None}, completion_only_loss=True)
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=data, processing_class=tokenizer, peft_config=adapter
    )
    lengths = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    runtime.refuse_long(lengths, spec["max_length"])
    report({"stage": "preview", "examples": _examples(trainer.train_dataset, tokenizer)})
    trainer.add_callback(runtime.Progress(report, sum(lengths) / len(lengths) * spec["batch_size"]))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(rows))


def _examples(data: Any, tokenizer: Any) -> list[dict[str, str]]:
    """Return what the model sees (`context`) and learns (`trained`) in the first rows, special tokens shown."""
    shown = []
    for row in data.select(range(min(runtime.PREVIEWS, len(data)))):
        pairs = [
            (token, label != _MASKED) for token, label in zip(row["input_ids"], row["labels"], strict=True)
        ]
        shown.append(
            {
                "context": tokenizer.decode([token for token, trained in pairs if not trained]),
                "trained": tokenizer.decode([token for token, trained in pairs if trained]),
            }
        )
    return shown
