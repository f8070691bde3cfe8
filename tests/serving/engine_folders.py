"""The tiny trained model in every engine's format, and every engine with what it needs to start here."""

import atexit
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from penstock.serving.engines.ctranslate2_engine import CTranslate2Engine
from penstock.serving.engines.external import ExternalEngine
from penstock.serving.engines.llamacpp import LlamaCppEngine
from penstock.serving.engines.onnx_engine import OnnxEngine
from penstock.serving.engines.transformers_engine import TransformersEngine
from penstock.serving.engines.vllm import VllmEngine
from penstock.serving.ports import Engine
from tests.fakes import trained
from tests.fakes.engine import FakeEngine
from tests.fakes.vllm_program import vllm_path

MODULES = {"onnx": "onnxruntime_genai", "ctranslate2": "ctranslate2"}
"""Engine → module without which its tests are skipped."""


@dataclass(frozen=True, slots=True)
class Case:
    """An engine with a model for it."""

    engine: Engine
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)


def _folder(prefix: str) -> Path:
    made = Path(mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def onnx_folder() -> Path:
    """The model as onnxruntime-genai's builder writes it, in full precision."""
    made = _folder("penstock-onnx-")
    command = ["-m", "onnxruntime_genai.models.builder", "-i", str(trained.hf_folder()), "-o", str(made)]
    subprocess.run([sys.executable, *command, "-p", "fp32", "-e", "cpu"], check=True, capture_output=True)
    return made


@cache
def ctranslate2_folder() -> Path:
    """The model as CTranslate2's converter writes it, with the tokenizer's files."""
    made = _folder("penstock-ct2-") / "model"
    program = (
        "import sys; from ctranslate2.converters import TransformersConverter as C; "
        "C(sys.argv[1], copy_files=['tokenizer.json','tokenizer_config.json','chat_template.jinja'])"
        ".convert(sys.argv[2])"
    )
    command = [sys.executable, "-c", program, str(trained.hf_folder()), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made


def case(name: str, tmp_path: Path, url: str = "") -> Case:
    """Return the engine `name`; `url` is a server for the engine `external` to stand before."""
    if name == "fake":
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "m.gguf").write_bytes(b"GGUF\3\0\0\0")
        return Case(FakeEngine(), folder)
    if name == "llamacpp":
        return Case(LlamaCppEngine(), trained.gguf_folder())
    if name == "transformers":
        return Case(TransformersEngine(), trained.hf_folder())
    if name == "onnx":
        return Case(OnnxEngine(), onnx_folder())
    if name == "ctranslate2":
        return Case(CTranslate2Engine(), ctranslate2_folder())
    if name == "vllm":
        folder = tmp_path / "hf"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        return Case(VllmEngine(), folder, {"program": str(vllm_path(tmp_path))})
    folder = tmp_path / "anything"
    folder.mkdir()
    return Case(ExternalEngine(), folder, {"url": f"{url}/v1", "model": "there"})
