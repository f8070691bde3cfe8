"""Transformers: any Hugging Face folder on PyTorch, with LoRA adapters swapped while it runs."""

from typing import ClassVar, Literal

import msgspec

from penstock.serving.engines.child import EngineChild, Swapping
from penstock.serving.engines.hosted import HostedEngine, HostedOptions


class TransformersOptions(HostedOptions, frozen=True, forbid_unknown_fields=True):
    """Options of a deployment on Transformers."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the weights; auto takes the one they were saved in."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where PyTorch finds one."""


class TransformersProcess(Swapping):
    """A running child with PyTorch."""

    WHAT = "Transformers"


class TransformersEngine(HostedEngine):
    """The engine `transformers`."""

    NAME: ClassVar[str] = "transformers"
    WHAT: ClassVar[str] = "Transformers"
    ACCEPTS: ClassVar[frozenset[str]] = frozenset({"base", "merged"})
    ADAPTERS: ClassVar[bool] = True
    OPTIONS: ClassVar[type[msgspec.Struct]] = TransformersOptions
    NEEDS: ClassVar[tuple[tuple[str, str], ...]] = (("torch", "train"), ("transformers", "train"))
    FILE: ClassVar[str] = "config.json"
    PROCESS: ClassVar[type[EngineChild]] = TransformersProcess
