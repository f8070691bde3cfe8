"""Loading of models and tokenizers: the start of a run, and the frozen ones it learns from."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, prepare_model_for_kbit_training
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
)

from penstock.core.errors import Invalid, MissingExtra
from penstock.training.trainers import tokens


def policy(spec: dict[str, Any], *, chat: bool = True) -> tuple[Any, Any, Any]:
    """Return (model, tokenizer, new LoRA configuration or None).

    `spec["adapter_folder"]` continues that adapter; else `spec["adapter"]["rank"]` above zero asks for a new one.
    Raises Invalid without a chat template, MissingExtra when quantised weights are wanted and bitsandbytes is missing.
    """
    found = tokens.tokenizer(spec, chat=chat)
    model = _causal(spec["model_folder"], _quantisation(spec["adapter"]))
    if spec["adapter"].get("quantise"):
        again = spec.get("running", {}).get("gradient_checkpointing", False)
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=again)
    if spec.get("adapter_folder"):
        return PeftModel.from_pretrained(model, spec["adapter_folder"], is_trainable=True), found, None
    return model, found, lora(spec["adapter"], "CAUSAL_LM")


def _causal(folder: str, quantisation: Any = None) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=quantisation)


def lora(adapter: dict[str, Any], task: str) -> Any:
    """Return the configuration of a new adapter, or None when every weight is trained."""
    if not adapter["rank"]:
        return None
    return LoraConfig(
        r=adapter["rank"],
        lora_alpha=adapter["alpha"],
        lora_dropout=adapter["dropout"],
        target_modules=adapter["targets"],
        task_type=task,
    )


def _quantisation(adapter: dict[str, Any]) -> Any:
    """Return how bitsandbytes shall load frozen weights (https://arxiv.org/abs/2305.14314), or None for whole ones."""
    wanted = adapter.get("quantise", "")
    if not wanted:
        return None
    if find_spec("bitsandbytes") is None:
        raise MissingExtra("qlora", "adapter.quantise")
    if wanted == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
    )


def merged(folder: str, adapter_folder: str | None) -> Any:
    """Return a causal model, with the adapter folded in when there is one."""
    model = _causal(folder)
    if not adapter_folder:
        return model
    return PeftModel.from_pretrained(model, adapter_folder).merge_and_unload()


def teacher(spec: dict[str, Any], student: Any, device: Any) -> Any:
    """Return the frozen teacher on `device`; raises Invalid when its tokens mean something else than the student's."""
    folder = spec["teacher_folder"]
    if AutoTokenizer.from_pretrained(folder).get_vocab() != student.get_vocab():
        raise Invalid(
            "The teacher has another vocabulary than the model that learns, so their tokens cannot be compared.",
            hint="Let the teacher write the answers of a dataset and learn those: leave teacher.model empty.",
        )
    return merged(folder, spec.get("teacher_adapter_folder")).eval().requires_grad_(False).to(device)


def scorer(spec: dict[str, Any]) -> tuple[Any, Any]:
    """Return (model with one new output to train as a reward, tokenizer); a starting adapter is folded in first."""
    found = tokens.tokenizer(spec)
    folder = spec["model_folder"]
    if spec.get("adapter_folder"):
        folder = str(Path(spec["workdir"]) / "start")
        merged(spec["model_folder"], spec["adapter_folder"]).save_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    model.config.pad_token_id = found.pad_token_id
    return model, found


def judge(folder: str) -> tuple[Any, Any]:
    """Return a trained reward model and its tokenizer; raises Invalid when the folder holds another kind of model."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    kind = str(model.config.architectures[0])
    if "SequenceClassification" not in kind or model.config.num_labels != 1:
        raise Invalid(f"{kind} is not a reward model.", hint="Make one with method: reward.")
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(folder)
