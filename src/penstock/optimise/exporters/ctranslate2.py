"""Hugging Face folder to CTranslate2.

`penstock models optimise NAME@3 --to ctranslate2:int8` runs this in a child process. Needs the `train` and `optimise`
extras.
"""

from pathlib import Path
from typing import Any

import ctranslate2
from ctranslate2.converters import TransformersConverter

from penstock.core.errors import Invalid
from penstock.optimise.exporters.texts import Report, copy_texts, read_config

QUANTIZATIONS = ("float32", "float16", "bfloat16", "int16", "int8")


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write `model.bin`, `config.json`, the vocabulary and the tokenizer into the folder `spec["output"]`.

    `spec`: `source` (Hugging Face folder), `output`, `quantization`. Returns `path`, `quantization`, `library`
    (version). Raises Invalid for an architecture the converter does not know.
    """
    source, output = Path(spec["source"]), Path(spec["output"])
    quantization = spec.get("quantization", "int8")
    if quantization not in QUANTIZATIONS:
        raise Invalid(f"Unknown quantization {quantization!r}; choose {', '.join(QUANTIZATIONS)}.")
    architecture = read_config(source)["architectures"][0]
    report({"stage": "convert", "architecture": architecture})
    try:
        TransformersConverter(str(source)).convert(str(output), quantization=quantization, force=True)
    except ValueError as error:
        raise Invalid(f"CTranslate2 cannot convert {architecture}: {error}") from error
    copy_texts(source, output)
    return {"path": str(output), "quantization": quantization, "library": ctranslate2.__version__}
