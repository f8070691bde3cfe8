"""Base model plus LoRA adapter to one Hugging Face folder that needs no adapter.

`penstock models export NAME@3 --format merged` runs this in a child process. Needs the `train` extra.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.errors import Invalid

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Merge `spec["adapter"]` into `spec["base"]` and save the whole model into the folder `spec["output"]`.

    Tokenizer files come from the adapter folder where it has them, otherwise from the base; weights keep the base's
    type. Returns `path`, `parameters` (count) and `merged` (number of LoRA layers). Raises Invalid when a folder is
    not what it should be, or when the adapter changes nothing in this base.
    """
    base, adapter, output = Path(spec["base"]), Path(spec["adapter"]), Path(spec["output"])
    if not (base / "config.json").is_file():
        raise Invalid(f"{base} is not a Hugging Face model folder: it has no config.json.")
    if not (adapter / "adapter_config.json").is_file():
        raise Invalid(f"{adapter} is not a LoRA adapter: it has no adapter_config.json.")
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(int(spec.get("threads", 1)))
    report({"stage": "load"})
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    tuned = PeftModel.from_pretrained(model, adapter)
    layers = sum(1 for module in tuned.modules() if isinstance(module, LoraLayer))
    if not layers:
        raise Invalid(f"The adapter in {adapter} fits no layer of the base model in {base}.")
    report({"stage": "merge", "layers": layers})
    merged = tuned.merge_and_unload()
    output.mkdir(parents=True, exist_ok=True)
    merged.save_pretrained(output, safe_serialization=True)
    for name in _TOKENIZER_FILES:
        found = next((folder / name for folder in (adapter, base) if (folder / name).is_file()), None)
        if found is not None and (name != "generation_config.json" or not (output / name).exists()):
            shutil.copyfile(found, output / name)
    parameters = sum(p.numel() for p in merged.parameters())
    return {"path": str(output), "parameters": parameters, "merged": layers}
