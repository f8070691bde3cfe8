"""Hugging Face folder to the same folder with weights that torchao quantised, as safetensors.

`penstock models optimise NAME@3 --to torchao:int8_weight_only` runs this in a child process. Needs the `torchao`
extra, also where the result is loaded.
"""

from pathlib import Path
from typing import Any

import torch
import torchao
from torchao import quantization as kinds
from transformers import AutoModelForCausalLM, TorchAoConfig
from transformers.utils import logging

from penstock.core.errors import Invalid
from penstock.optimise.exporters.texts import Report, copy_texts, read_config

QUANTIZATIONS = {
    "int8_weight_only": kinds.Int8WeightOnlyConfig,
    "int8_dynamic": kinds.Int8DynamicActivationInt8WeightConfig,
}
"""Name → torchao's configuration; those that compute on a CPU and are stored as safetensors."""


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the quantised model and its tokenizer into the folder `spec["output"]`.

    `spec`: `source` (Hugging Face folder), `output`, `quantization`, `threads`. Returns `path`, `quantization`,
    `library` (version). Linear layers are quantised, embeddings and norms are not.
    """
    source, output = Path(spec["source"]), Path(spec["output"])
    quantization = spec.get("quantization", "int8_weight_only")
    if quantization not in QUANTIZATIONS:
        raise Invalid(f"Unknown quantization {quantization!r}; choose {', '.join(QUANTIZATIONS)}.")
    read_config(source)
    logging.disable_progress_bar()
    torch.set_num_threads(int(spec.get("threads", 1)))
    report({"stage": "quantise"})
    model = AutoModelForCausalLM.from_pretrained(
        source,
        local_files_only=True,
        dtype=torch.float32,
        quantization_config=TorchAoConfig(QUANTIZATIONS[quantization]()),
    )
    model.save_pretrained(output)
    copy_texts(source, output)
    return {"path": str(output), "quantization": quantization, "library": torchao.__version__}
