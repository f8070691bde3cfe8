"""What grpo and rloo share: prompts in, the model's own answers out, rewards by scorers or a reward model."""

from collections.abc import Callable
from typing import Any

from datasets import Dataset
from penstock.core.errors import Invalid
from penstock.training import rewards
from penstock.training.trainers import loading, options, rendering, runtime
from penstock.training.trainers.runtime import Report


def run(trainer_of: Any, config_of: Any, spec: dict[str, Any], report: Report, **own: Any) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, references, row}`; returns what the parent needs.

    Goes on from the newest whole checkpoint. Raises Invalid for prompts that leave no room for an answer.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    model, tokenizer, adapter = loading.policy(spec)
    rows = runtime.read_rows(spec["train_file"])
    prompts = [rendering.ids(tokenizer, row["messages"], opened=True) for row in rows]
    sampling = spec["sampling"]
    runtime.refuse_long([len(ids) + sampling["max_tokens"] for ids in prompts], spec["max_length"])
    shown = [{"context": tokenizer.decode(ids), "trained": ""} for ids in prompts[: runtime.PREVIEWS]]
    report({"stage": "preview", "examples": shown})
    functions, tokenizers = _rewards(spec, rows)
    config = options.build(
        config_of,
        spec,
        num_generations=sampling["generations"],
        max_completion_length=sampling["max_tokens"],
        temperature=sampling["temperature"],
        top_p=sampling["top_p"],
        beta=sampling["pull"],
        reward_weights=[term["weight"] for term in spec["rewards"]],
        **own,
    )
    data = Dataset.from_list([{"prompt": row["messages"], "place": n} for n, row in enumerate(rows)])
    tokenizer.padding_side = "left"
    trainer = trainer_of(
        model=model,
        reward_funcs=functions,
        args=config,
        train_dataset=data,
        processing_class=tokenizer,
        reward_processing_classes=tokenizers,
        peft_config=adapter,
    )
    trainer.add_callback(Counted(report))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(rows))


class Counted(runtime.Progress):
    """Progress whose tokens per step are the library's own count so far, since answers have any length."""

    def __init__(self, report: Report) -> None:
        super().__init__(report, 0.0)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Report every number that was logged."""
        if logs and "num_tokens" in logs and state.global_step:
            self._tokens = float(logs["num_tokens"]) / state.global_step
        super().on_log(args, state, control, logs=logs, **rest)


def _rewards(spec: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Return the library's reward functions (or models) and the tokenizers of the models."""
    functions: list[Any] = []
    tokenizers: list[Any] = []
    judges = rewards.scorers(rewards.terms(spec["rewards"]))
    for judge, folder in zip(judges, spec["reward_folders"], strict=True):
        if judge is None:
            model, tokenizer = loading.judge(folder)
            functions.append(model)
            tokenizers.append(tokenizer)
        else:
            functions.append(_function(judge, rows))
            tokenizers.append(None)
    return functions, tokenizers


def _function(judge: rewards.Judge, rows: list[dict[str, Any]]) -> Callable[..., list[float]]:
    def reward(*, completions: list[Any], place: list[int], **_: Any) -> list[float]:
        found = []
        for answer, number in zip(completions, place, strict=True):
            try:
                found.append(judge.figure(rows[number], number, answer[0]["content"]))
            except ValueError as error:
                raise Invalid(f"row {number + 1}: {error}") from error
        return found

    reward.__name__ = judge.metric
    return reward
