"""Direct preference optimisation (https://arxiv.org/abs/2305.18290), with other loss terms on request.

`penstock train run dpo-replay --set base=triage@1 --set dataset=corrections@1 …` ends here, in a child process.
"""

from typing import Any

from trl import DPOConfig, DPOTrainer

from penstock.training.trainers import loading, options, pairs, runtime
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, chosen, rejected}`; see `training.recipe` for the rest.

    A starting adapter is trained further, and its frozen copy is the reference policy. Goes on from the newest
    whole checkpoint in `spec["workdir"]`. Raises Invalid for rows that are too long.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer, adapter = loading.policy(spec)
    rows = runtime.read_rows(spec["train_file"])
    mean = pairs.lengths(rows, tokenizer, spec["max_length"])
    report({"stage": "preview", "examples": pairs.examples(rows, tokenizer)})
    preference = spec["preference"]
    config = options.build(
        DPOConfig,
        spec,
        max_length=None,
        beta=preference["beta"],
        loss_type=preference["losses"],
        loss_weights=preference["weights"],
    )
    trainer = DPOTrainer(
        model=model,
        args=config,
        train_dataset=pairs.dataset(rows),
        processing_class=tokenizer,
        peft_config=adapter,
    )
    trainer.add_callback(runtime.Progress(report, mean * spec["batch_size"]))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(rows))
