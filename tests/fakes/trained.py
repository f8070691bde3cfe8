"""The tiny trained models as session-wide folders; made once per test process."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from penstock.registry.exporters import gguf
from tests.fakes import tiny_model


def _folder(prefix: str) -> Path:
    made = Path(mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def hf_folder(architecture: str = "qwen3") -> Path:
    """A saved Hugging Face folder."""
    return tiny_model.save_model(_folder("penstock-tiny-"), architecture=architecture, steps=80)


@cache
def wide_folder() -> Path:
    """One whose rows are long enough for k-quants."""
    return tiny_model.save_model(_folder("penstock-wide-"), architecture="llama", steps=60, width=256)


@cache
def gguf_folder(architecture: str = "qwen3", quantization: str = "f32") -> Path:
    """The same model as one GGUF file in a folder."""
    output = _folder("penstock-gguf-")
    spec = {"source": str(hf_folder(architecture)), "output": str(output), "quantization": quantization}
    gguf.run({**spec, "name": architecture}, lambda report: None)
    return output
