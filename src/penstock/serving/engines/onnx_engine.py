"""ONNX models of onnxruntime-genai's builder."""

from typing import ClassVar, Literal

import msgspec

from penstock.serving.engines.child import EngineChild
from penstock.serving.engines.hosted import HostedEngine, HostedOptions


class OnnxOptions(HostedOptions, frozen=True, forbid_unknown_fields=True):
    """Options of a deployment on onnxruntime-genai."""

    provider: Literal["cpu", "cuda"] = "cpu"
    """Where it computes; cuda is refused where ONNX Runtime finds no GPU, never replaced by the CPU."""


class OnnxProcess(EngineChild):
    """A running child with ONNX Runtime."""

    WHAT = "ONNX Runtime"


class OnnxEngine(HostedEngine):
    """The engine `onnx`."""

    NAME: ClassVar[str] = "onnx"
    WHAT: ClassVar[str] = "ONNX Runtime"
    ACCEPTS: ClassVar[frozenset[str]] = frozenset({"onnx"})
    OPTIONS: ClassVar[type[msgspec.Struct]] = OnnxOptions
    NEEDS: ClassVar[tuple[tuple[str, str], ...]] = (("onnxruntime_genai", "onnx"), ("tokenizers", "onnx"))
    FILE: ClassVar[str] = "genai_config.json"
    PROCESS: ClassVar[type[EngineChild]] = OnnxProcess
