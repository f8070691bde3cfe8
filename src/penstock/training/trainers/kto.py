"""Learning from thumbs: single answers judged good or bad (Kahneman-Tversky optimisation, arXiv:2402.01306)."""

import random
from typing import Any

from trl import KTOConfig, KTOTrainer

from datasets import Dataset
from penstock.training.trainers import loading, options, pairs, rendering, runtime
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, completion, good}`; see `training.recipe` for the rest.

    A starting adapter is trained further, and its frozen copy is the reference policy. Goes on from the newest
    whole checkpoint. Raises Invalid for rows that are too long.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer, adapter = loading.policy(spec)
    rows = runtime.read_rows(spec["train_file"])
    # The library reads rows in order, since it compares each with its neighbours; they are mixed here instead.
    random.Random(spec["seed"]).shuffle(rows)
    views = [rendering.views(tokenizer, row, spec)[0] for row in rows]
    lengths = [len(ids) for _, (ids, _) in views]
    runtime.refuse_long(lengths, spec["max_length"])
    report({"stage": "preview", "examples": _examples(views, tokenizer)})
    preference = spec["preference"]
    config = options.build(
        KTOConfig,
        spec,
        max_length=None,
        beta=preference["beta"],
        desirable_weight=preference["good_weight"],
        undesirable_weight=preference["bad_weight"],
    )
    trainer = KTOTrainer(
        model=model,
        args=config,
        train_dataset=_dataset(rows),
        processing_class=tokenizer,
        peft_config=adapter,
    )
    mean = sum(lengths) / len(lengths)
    trainer.add_callback(runtime.Progress(report, mean * spec["batch_size"]))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(rows))


def _dataset(rows: list[dict[str, Any]]) -> Any:
    return Dataset.from_list(
        [
            {"prompt": row["messages"], "completion": pairs.turn(row["completion"]), "label": row["good"]}
            for row in rows
        ]
    )


def _examples(views: list[Any], tokenizer: Any) -> list[dict[str, str]]:
    shown = []
    for side, (ids, learnt) in views[: runtime.PREVIEWS]:
        start = learnt.index(True)
        answer = "trained" if side == "good" else "rejected"
        texts = {"trained": "", "rejected": "", answer: tokenizer.decode(ids[start:])}
        shown.append({"context": tokenizer.decode(ids[:start]), **texts})
    return shown
