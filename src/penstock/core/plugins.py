"""Plug-ins by entry point: built-ins are registered exactly as a stranger's package would be."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from penstock.core.errors import Invalid, MissingExtra
from penstock.core.suggest import did_you_mean

EXTRA_OF_MODULE = {
    "torch": "train",
    "transformers": "train",
    "peft": "train",
    "trl": "train",
    "accelerate": "train",
    "bitsandbytes": "qlora",
    "datasets": "huggingface",
    "huggingface_hub": "train",
    "pypdf": "pdf",
    "xllamacpp": "serve",
    "gguf": "serve",
    "onnx": "optimise",
    "onnx_ir": "optimise",
    "onnxruntime": "optimise",
    "onnxruntime_genai": "onnx",
    "ctranslate2": "ctranslate2",
    "tokenizers": "onnx",
    "torchao": "torchao",
    "tensorrt_rtx": "tensorrt",
    "onnxruntime_ep_nv_tensorrt_rtx": "tensorrt",
    "onnxscript": "tensorrt",
    "sacrebleu": "eval",
    "psycopg": "postgres",
    "openai": "demo",
    "grpc": "grpc",
    "ftfy": "clean",
    "optuna": "search",
    "cmaes": "search",
}
"""Import name of an optional dependency → the extra that installs it."""


@cache
def _group(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"penstock.{group}")}


def names(group: str) -> list[str]:
    """Return the names registered in `penstock.<group>`, sorted."""
    return sorted(_group(group))


def load(group: str, name: str) -> Any:
    """Import and return the plug-in `name` of `penstock.<group>`.

    Raises Invalid for an unknown name (with a suggestion) and MissingExtra when a known optional
    dependency of it is not installed.
    """
    point = _group(group).get(name)
    if point is None:
        raise Invalid(f"There is no {group} plug-in called {name!r}.", hint=did_you_mean(name, names(group)))
    try:
        return point.load()
    except ModuleNotFoundError as error:
        extra = EXTRA_OF_MODULE.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingExtra(extra, f"The {group} plug-in {name!r}") from error
