"""The tiny trained models as session-wide folders; made once per test process."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from penstock.registry.exporters import gguf
from tests.fakes import tiny_model


@cache
def hf_folder(architecture: str = "qwen3") -> Path:
    """A saved Hugging Face folder."""
    return tiny_model.save_model(Path(mkdtemp(prefix="penstock-tiny-")), architecture=architecture, steps=80)


@cache
def gguf_folder(architecture: str = "qwen3", quantization: str = "f32") -> Path:
    """The same model as one GGUF file in a folder."""
    output = Path(mkdtemp(prefix="penstock-gguf-"))
    spec = {"source": str(hf_folder(architecture)), "output": str(output), "quantization": quantization}
    gguf.run({**spec, "name": architecture}, lambda report: None)
    return output
