"""Supervised fine-tuning: the loss is on the answers alone, unless the recipe says otherwise.

`penstock train run sft-lora --set name=triage --set base=base@1 --set dataset=tickets@1` ends here, in a child process.
"""

from typing import Any

from trl import SFTConfig, SFTTrainer

from datasets import Dataset
from penstock.training.trainers import loading, options, rendering, runtime
from penstock.training.trainers.rendering import Encoded
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, completion}`; see `training.recipe` for the other keys.

    Goes on from the newest whole checkpoint in `spec["workdir"]`. Raises Invalid for rows that are too long.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer, adapter = loading.policy(spec)
    encoded = encode(spec, tokenizer)
    report({"stage": "preview", "examples": examples(encoded, tokenizer)})
    trainer = SFTTrainer(
        model=model,
        args=configuration(SFTConfig, spec),
        train_dataset=dataset(encoded),
        processing_class=tokenizer,
        peft_config=adapter,
    )
    return train(trainer, tokenizer, spec, report, encoded)


def encode(spec: dict[str, Any], tokenizer: Any) -> list[Encoded]:
    """Return the rows as tokens; raises Invalid for rows that are too long."""
    rows = runtime.read_rows(spec["train_file"])
    encoded = [rendering.row(tokenizer, row, spec["loss_on"]) for row in rows]
    runtime.refuse_long([len(ids) for ids, _ in encoded], spec["max_length"])
    return encoded


def dataset(encoded: list[Encoded]) -> Any:
    """Return rows as the library takes them: `input_ids` and `labels`."""
    return Dataset.from_list([{"input_ids": one[0], "labels": rendering.labels(one)} for one in encoded])


def configuration(kind: Any, spec: dict[str, Any], **own: Any) -> Any:
    """Return the library's configuration; packed rows see only themselves, as their positions start anew."""
    packing = {"packing": True, "packing_strategy": "bfd"} if spec["packing"] else {"max_length": None}
    return options.build(kind, spec, **{**packing, **own})


def train(
    trainer: Any, tokenizer: Any, spec: dict[str, Any], report: Report, encoded: list[Encoded]
) -> dict[str, Any]:
    """Run the trainer with progress and checkpoints; returns what the parent needs."""
    sequences = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    mean = sum(sequences) / len(sequences)
    trainer.add_callback(runtime.Progress(report, mean * spec["batch_size"]))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(encoded))


def examples(encoded: list[Encoded], tokenizer: Any) -> list[dict[str, str]]:
    """Return what the model sees (`context`) and learns (`trained`) in the first rows, special tokens shown."""
    return [
        {
            "context": tokenizer.decode([t for t, learnt in zip(*one, strict=True) if not learnt]),
            "trained": tokenizer.decode([t for t, learnt in zip(*one, strict=True) if learnt]),
        }
        for one in encoded[: runtime.PREVIEWS]
    ]
