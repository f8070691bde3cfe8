"""Distillation: a model learns another's distribution over the next token, and the answers of the rows.

Without a teacher the rows' answers are the teacher's, as when they come from traces of a stronger model (sequence-level
distillation, arXiv:1606.07947). With one, `teacher.share` of the loss is the divergence from it (arXiv:1503.02531).
"""

from typing import Any

import torch
from trl import DistillationConfig, DistillationTrainer, SFTConfig, SFTTrainer

from datasets import Dataset
from penstock.core.errors import Invalid
from penstock.training.trainers import loading, online, options, rendering, runtime, sft
from penstock.training.trainers.runtime import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train on `spec["train_file"]`, JSONL rows `{messages, completion}`; see `training.recipe` for the other keys.

    Goes on from the newest whole checkpoint. Raises Invalid for rows that are too long or a teacher that does not fit.
    """
    runtime.prepare(spec)
    report({"stage": "load"})
    teacher = spec["teacher"]
    if teacher["on_policy"]:
        if not teacher["model"]:
            raise Invalid("teacher.on_policy needs teacher.model: somebody must judge the student's answers.")
        return _on_policy(spec, report)
    model, tokenizer, adapter = loading.policy(spec)
    encoded = sft.encode(spec, tokenizer)
    report({"stage": "preview", "examples": sft.examples(encoded, tokenizer)})
    shared = {
        "model": model,
        "args": sft.configuration(SFTConfig, spec),
        "train_dataset": sft.dataset(encoded),
        "processing_class": tokenizer,
        "peft_config": adapter,
    }
    trainer = Distiller(spec, **shared) if teacher["model"] else SFTTrainer(**shared)
    return sft.train(trainer, tokenizer, spec, report, encoded)


class Distiller(SFTTrainer):  # type: ignore[misc]  # the library has no types
    """Supervised fine-tuning with a second term: KL(teacher ‖ student) over the tokens that are learnt."""

    def __init__(self, spec: dict[str, Any], **values: Any) -> None:
        super().__init__(**values)
        self._share = spec["teacher"]["share"]
        self._softness = spec["teacher"]["temperature"]
        self._teacher = loading.teacher(spec, self.processing_class, self.accelerator.device)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss per learnt token, and the model's outputs when they are asked for."""
        given = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**given, use_cache=False)
        wanted = inputs["labels"][:, 1:]
        kept = wanted != rendering.MASKED
        student = outputs.logits[:, :-1][kept].float()
        with torch.no_grad():
            teacher = self._teacher(**given, use_cache=False).logits[:, :-1][kept].float()
        # Padding of the vocabulary to a round number may differ between models of one family.
        width = min(student.size(-1), teacher.size(-1))
        answers = torch.nn.functional.cross_entropy(student, wanted[kept], reduction="sum")
        soft = self._softness
        divergence = torch.nn.functional.kl_div(
            torch.log_softmax(student[:, :width] / soft, dim=-1),
            torch.log_softmax(teacher[:, :width] / soft, dim=-1),
            log_target=True,
            reduction="sum",
        )
        count = kept.sum() if num_items_in_batch is None else num_items_in_batch
        # The squared temperature keeps the size of the gradient (Hinton et al., section 2).
        loss = (1 - self._share) * answers + self._share * soft * soft * divergence
        loss = loss / torch.as_tensor(count).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


def _on_policy(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    model, tokenizer, adapter = loading.policy(spec)
    rows = runtime.read_rows(spec["train_file"])
    sampling = spec["sampling"]
    prompts = [rendering.ids(tokenizer, row["messages"], opened=True) for row in rows]
    runtime.refuse_long([len(ids) + sampling["max_tokens"] for ids in prompts], spec["max_length"])
    shown = [{"context": tokenizer.decode(ids), "trained": ""} for ids in prompts[: runtime.PREVIEWS]]
    report({"stage": "preview", "examples": shown})
    config = options.build(
        DistillationConfig,
        spec,
        max_completion_length=sampling["max_tokens"],
        temperature=sampling["temperature"],
        top_p=sampling["top_p"],
    )
    tokenizer.padding_side = "left"
    trainer = DistillationTrainer(
        model=model,
        teacher_model=loading.teacher(spec, tokenizer, config.device),
        args=config,
        train_dataset=Dataset.from_list([{"prompt": row["messages"]} for row in rows]),
        processing_class=tokenizer,
        peft_config=adapter,
    )
    trainer.add_callback(online.Counted(report))
    trainer.train(resume_from_checkpoint=runtime.last_checkpoint(spec))
    report({"stage": "save"})
    return runtime.finish(trainer, tokenizer, spec, len(rows))
