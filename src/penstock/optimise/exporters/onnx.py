"""Hugging Face folder to ONNX with a cache of keys and values, by onnxruntime-genai's own builder.

`penstock models optimise NAME@3 --to onnx:int4` runs this in a child process. Needs the `train` and `optimise` extras.
The builder runs in a process of its own, because it prints thousands of characters and changes global state.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnxruntime_genai

from penstock.core.child import bound
from penstock.core.children import tail
from penstock.core.errors import ChildFailed, Invalid
from penstock.optimise.exporters.texts import Report, copy_texts, read_config

PRECISIONS = ("fp32", "int8", "int4")
"""What the builder makes for the CPU."""


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the graph, its weights, `genai_config.json` and the tokenizer into the folder `spec["output"]`.

    `spec`: `source` (Hugging Face folder), `output`, `precision`. Returns `path`, `precision`, `builder` (version).
    Raises Invalid for what the builder does not know, ChildFailed with the end of its log otherwise.
    """
    source, output = Path(spec["source"]).resolve(), Path(spec["output"]).resolve()
    precision = spec.get("precision", "int4")
    if precision not in PRECISIONS:
        raise Invalid(f"Unknown precision {precision!r}; choose {', '.join(PRECISIONS)}.")
    architecture = read_config(source)["architectures"][0]
    report({"stage": "build", "architecture": architecture})
    log = output.with_name(f"{output.name}-builder.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    cache = output.with_name(f"{output.name}-cache")
    command = [sys.executable, "-W", "ignore", "-m", "onnxruntime_genai.models.builder"]
    options = {"-i": source, "-o": output, "-p": precision, "-e": "cpu", "-c": cache}
    with log.open("wb") as lines:
        ended = subprocess.run(
            [*command, *(str(part) for pair in options.items() for part in pair)],
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            check=False,
            preexec_fn=bound(),
        )
    said = tail(log, 2000)
    if ended.returncode and "NotImplementedError" in said:
        raise Invalid(
            f"onnxruntime-genai's builder does not know {architecture}.", hint=said.splitlines()[-1]
        )
    if ended.returncode or not (output / "genai_config.json").is_file():
        raise ChildFailed(f"onnxruntime-genai's builder failed. The end of its log:\n{said}")
    copy_texts(source, output)
    return {"path": str(output), "precision": precision, "builder": onnxruntime_genai.__version__}
