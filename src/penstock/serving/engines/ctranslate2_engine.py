"""CTranslate2: converted models with fast int8 arithmetic on the CPU."""

from typing import ClassVar, Literal

import msgspec

from penstock.serving.engines.child import EngineChild
from penstock.serving.engines.hosted import HostedEngine, HostedOptions


class CTranslate2Options(HostedOptions, frozen=True, forbid_unknown_fields=True):
    """Options of a deployment on CTranslate2."""

    compute: Literal["default", "auto", "int8", "int8_float32", "int8_bfloat16", "bfloat16", "float32"] = (
        "default"
    )
    """Arithmetic; default is the one the model was converted to."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where it computes."""


class CTranslate2Process(EngineChild):
    """A running child with CTranslate2."""

    WHAT = "CTranslate2"


class CTranslate2Engine(HostedEngine):
    """The engine `ctranslate2`."""

    NAME: ClassVar[str] = "ctranslate2"
    WHAT: ClassVar[str] = "CTranslate2"
    ACCEPTS: ClassVar[frozenset[str]] = frozenset({"ctranslate2"})
    OPTIONS: ClassVar[type[msgspec.Struct]] = CTranslate2Options
    NEEDS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("ctranslate2", "ctranslate2"),
        ("tokenizers", "ctranslate2"),
    )
    FILE: ClassVar[str] = "model.bin"
    PROCESS: ClassVar[type[EngineChild]] = CTranslate2Process
