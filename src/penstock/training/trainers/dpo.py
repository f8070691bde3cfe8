"""Direct preference optimisation (https://arxiv.org/abs/2305.18290), with other loss terms on request.

`penstock train run dpo-replay --set base=triage@1 --set dataset=corrections@1 …` ends here, in a child process.
"""

from typing import Any

from trl import DPOConfig, DPOTrainer

from datasets import Dataset
from penstock.training.trainers import runtime
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, chosen, rejected}`; see `training.recipe` for the rest.

    A starting adapter is trained further, and its frozen copy is the reference policy. Goes on from the newest
    whole checkpoint in `spec["workdir"]`. Raises Invalid for rows that are too long.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer, adapter = runtime.load_policy(spec)
    rows = runtime.read_rows(spec["train_file"])
    data = Dataset.from_list(
        [
            {
                "prompt": row["messages"],
                "chosen": [{"role": "assistant", "content": row["chosen"]}],
                "rejected": [{"role": "assistant", "content": row["rejected"]}],
            }
            for row in rows
        ]
    )
    preference = spec["preference"]
    config = DPOConfig(
        **{**runtime.arguments(spec), "max_length": None},
        beta=preference["beta"],
        loss_type=preference["losses"],
        loss_weights=preference["weights"],
    )
    trainer = DPOTrainer(
        model=model, args=config, train_dataset=data, processing_class=tokenizer, peft_config=adapter
    )
    lengths = [_tokens(row) for row in trainer.train_dataset]
    runtime.refuse_long([max(pair) for pair in lengths], spec["max_length"])
    report({"stage": "preview", "examples": _examples(trainer.train_dataset, tokenizer)})
    mean = sum(map(sum, lengths)) / len(lengths)
    trainer.add_callback(runtime.Progress(report, mean * spec["batch_size"]))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(rows))


def _tokens(row: dict[str, Any]) -> tuple[int, int]:
    prompt = len(row["prompt_ids"])
    return prompt + len(row["chosen_ids"]), prompt + len(row["rejected_ids"])


def _examples(data: Any, tokenizer: Any) -> list[dict[str, str]]:
    """Return the rendered prompt and both answers of the first rows, special tokens shown."""
    return [
        {
            "context": tokenizer.decode(row["prompt_ids"]),
            "trained": tokenizer.decode(row["chosen_ids"]),
            "rejected": tokenizer.decode(row["rejected_ids"]),
        }
        for row in data.select(range(min(runtime.PREVIEWS, len(data))))
    ]
