"""The ways to make a variant: each method's options, what makes it, and what runs the result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from penstock.core.errors import Invalid
from penstock.core.options import converted
from penstock.core.suggest import did_you_mean
from penstock.optimise.model import Step
from penstock.registry.model import Kind

MIN_CONTEXT = 2
MOST_RATE = 1000.0
"""Above any learning rate or temperature that makes sense."""


class MergeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An adapter folded into its base: no options."""


class GgufOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file for llama.cpp."""

    quantization: Literal[
        "f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0"
    ] = "q8_0"


class OnnxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder for onnxruntime-genai, from its own builder."""

    precision: Literal["fp32", "int8", "int4"] = "int4"


class CTranslate2Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder for CTranslate2."""

    quantization: Literal["float32", "float16", "bfloat16", "int16", "int8"] = "int8"


class TorchaoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Hugging Face folder whose weights torchao quantised."""

    quantization: Literal["int8_weight_only", "int8_dynamic"] = "int8_weight_only"


class TensorRtOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TensorRT engine."""

    context: int = 512
    """Most tokens of prompt and answer together."""


class Healing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Training that brings a changed model's answers back to its parent's."""

    dataset: str = ""
    """`name@version` whose rows are learned from; empty: no training."""
    split: str = "train"
    """Empty takes all rows."""
    prompt: str = "prompt"
    """Column with the user's text, unless rows have `messages` or `text`."""
    completion: str = "completion"
    """Column with the answer."""
    limit: int = 2000
    """At most so many rows, the first ones."""
    steps: int = 200
    batch_size: int = 16
    learning_rate: float = 1e-3
    temperature: float = 1.0
    """Softens the parent's probabilities, which are what is learned (Hinton et al. 2015, arXiv:1503.02531)."""
    seed: int = 0


class PruneOptions(Healing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fewer weights, and training afterwards where a dataset is given."""

    structure: Literal["magnitude", "heads", "layers", "neurons"] = "magnitude"
    """Single weights, attention heads in their key-value groups, whole layers, or neurons of the MLP."""
    amount: float = 0.3
    """Share that goes, above 0 and below 1."""


class DistilOptions(Healing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A student with fewer layers that learns the parent's probabilities; needs a dataset."""

    layers: int = 1
    """Layers the student has; they start as the parent's, evenly spread (Sanh et al. 2019, arXiv:1910.01108)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to make a variant."""

    name: str
    exporter: str
    """Plug-in of `penstock.exporters`."""
    kind: Kind
    """What it is registered as."""
    runner: str
    """Plug-in of `penstock.runners` that measures it."""
    options: type[msgspec.Struct]
    main: str
    """The option that a bare value means, as in `gguf:q8_0`; empty when there is none."""
    suffix: str
    """The variant's model is called `<parent>-<suffix>`."""


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="merge",
            exporter="merge",
            kind=Kind.MERGED,
            runner="transformers",
            options=MergeOptions,
            main="",
            suffix="merged",
        ),
        Method(
            name="gguf",
            exporter="gguf",
            kind=Kind.GGUF,
            runner="gguf",
            options=GgufOptions,
            main="quantization",
            suffix="gguf",
        ),
        Method(
            name="onnx",
            exporter="onnx",
            kind=Kind.ONNX,
            runner="onnx",
            options=OnnxOptions,
            main="precision",
            suffix="onnx",
        ),
        Method(
            name="ctranslate2",
            exporter="ctranslate2",
            kind=Kind.CTRANSLATE2,
            runner="ctranslate2",
            options=CTranslate2Options,
            main="quantization",
            suffix="ctranslate2",
        ),
        Method(
            name="torchao",
            exporter="torchao",
            kind=Kind.MERGED,
            runner="transformers",
            options=TorchaoOptions,
            main="quantization",
            suffix="torchao",
        ),
        Method(
            name="tensorrt",
            exporter="tensorrt",
            kind=Kind.TENSORRT,
            runner="tensorrt",
            options=TensorRtOptions,
            main="context",
            suffix="tensorrt",
        ),
        Method(
            name="prune",
            exporter="prune",
            kind=Kind.MERGED,
            runner="transformers",
            options=PruneOptions,
            main="structure",
            suffix="pruned",
        ),
        Method(
            name="distil",
            exporter="distil",
            kind=Kind.MERGED,
            runner="transformers",
            options=DistilOptions,
            main="layers",
            suffix="distilled",
        ),
    )
}
"""Name → method."""

RUNNERS: dict[Kind, str] = {
    Kind.BASE: "transformers",
    Kind.MERGED: "transformers",
    Kind.ADAPTER: "transformers",
}
"""Kind of a parent → what measures it."""


def method(name: str) -> Method:
    """Return the method of that name; raises Invalid."""
    if name not in METHODS:
        raise Invalid(f"There is no method {name!r}.", hint=did_you_mean(name, list(METHODS)))
    return METHODS[name]


def checked(name: str, options: Mapping[str, Any]) -> Step:
    """Return the step with all its options; raises Invalid for an unknown method or option, or a value out of range."""
    found = converted(name, method(name).options, options, strict=False)
    _check_ranges(name, found)
    return Step(method=name, options=msgspec.to_builtins(found))


def _check_ranges(name: str, options: msgspec.Struct) -> None:
    if isinstance(options, TensorRtOptions) and options.context < MIN_CONTEXT:
        raise Invalid(f"An engine's context has at least {MIN_CONTEXT} tokens.")
    if isinstance(options, PruneOptions) and not 0 < options.amount < 1:
        raise Invalid("prune's amount lies between 0 and 1.")
    if isinstance(options, DistilOptions):
        if options.layers < 1:
            raise Invalid("A student needs at least one layer.")
        if not options.dataset:
            raise Invalid("distil needs a dataset to learn on.", hint="Add dataset=NAME@VERSION.")
    if isinstance(options, Healing) and (
        min(options.steps, options.batch_size, options.limit) < 1
        or not 0 < options.learning_rate < MOST_RATE
        or not 0 < options.temperature < MOST_RATE
    ):
        raise Invalid(
            f"{name}'s steps, batch_size, limit, learning_rate and temperature must be above 0.",
            hint=f"learning_rate and temperature also below {MOST_RATE:g}.",
        )


def parse(text: str) -> Step:
    """Return the step written as `gguf`, `gguf:q8_0` or `prune:layers,amount=0.5,dataset=tickets@3`.

    Raises Invalid.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = method(name).main, key
            if not key or key in options:
                raise Invalid(f"{part!r} in {text!r} is not KEY=VALUE.")
        options[key.strip()] = value.strip()
    return checked(name, options)
