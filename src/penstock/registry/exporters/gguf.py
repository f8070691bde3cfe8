"""Hugging Face folder to GGUF, the file format of llama.cpp.

`penstock models export NAME@3 --format gguf --quantization q8_0` runs this in a child process. Needs the `serve`
extra and no torch. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; names of metadata and tensors
as in llama.cpp's convert_hf_to_gguf.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import numpy.typing as npt

from penstock.core.errors import Invalid
from penstock.registry.exporters import kquants
from penstock.registry.exporters.bpe import Vocabulary, read_vocabulary
from penstock.registry.weights import read_tensors

ARCHITECTURES = {"Qwen3ForCausalLM": "qwen3", "LlamaForCausalLM": "llama"}
QUANTIZATIONS = {
    "f32": ("F32", "ALL_F32"),
    "f16": ("F16", "MOSTLY_F16"),
    "bf16": ("BF16", "MOSTLY_BF16"),
    "q8_0": ("Q8_0", "MOSTLY_Q8_0"),
    "q5_1": ("Q5_1", "MOSTLY_Q5_1"),
    "q5_0": ("Q5_0", "MOSTLY_Q5_0"),
    "q4_1": ("Q4_1", "MOSTLY_Q4_1"),
    "q4_0": ("Q4_0", "MOSTLY_Q4_0"),
    **kquants.MIXTURES,
}
"""Name → types of the matrices (most of them, in a k-quant) and of the file."""
_BLOCK = 32
"""Weights that share a scale in every quantised type above but k-quants."""

Array = npt.NDArray[Any]


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Write one `.gguf` file.

    `spec`: `source` (Hugging Face folder), `output` (folder to create), `quantization` (a key of
    QUANTIZATIONS), `name` (shown by engines), `threads` (k-quants only, default 1). Returns `path`,
    `architecture`, `quantization`, `tensors`, `bytes`, `tokenizer_pre`.
    The file appears under its final name only when it is complete. Raises Invalid for an architecture, tokenizer
    or tensor that cannot be converted faithfully.
    """
    source, output = Path(spec["source"]), Path(spec["output"])
    quantization = spec.get("quantization", "f16")
    if quantization not in QUANTIZATIONS:
        raise Invalid(f"Unknown quantization {quantization!r}; choose {', '.join(QUANTIZATIONS)}.")
    config = read_config(source)
    arch = ARCHITECTURES[config["architectures"][0]]
    vocabulary = read_vocabulary(source, config["vocab_size"])
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"{spec.get('name') or 'model'}-{quantization}.gguf"
    part = target.with_suffix(".part")
    writer = gguf.GGUFWriter(part, arch, use_temp_file=False)
    writer.add_name(spec.get("name") or source.name)
    _add_shape(writer, config)
    _add_tokenizer(writer, vocabulary)
    writer.add_file_type(getattr(gguf.LlamaFileType, QUANTIZATIONS[quantization][1]))
    count = _Tensors(writer, config, arch, quantization, int(spec.get("threads", 1))).add_all(source)
    report({"stage": "write", "tensors": count})
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(target)
    return {
        "path": str(target),
        "architecture": arch,
        "quantization": quantization,
        "tensors": count,
        "bytes": target.stat().st_size,
        "tokenizer_pre": vocabulary.pre,
    }


def read_config(source: Path) -> dict[str, Any]:
    """`config.json` of a supported architecture; Invalid with the reason otherwise."""
    path = source / "config.json"
    if not path.is_file():
        raise Invalid(f"{source} is not a Hugging Face model folder: it has no config.json.")
    config = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    names = config.get("architectures") or ["unknown"]
    if names[0] not in ARCHITECTURES:
        raise Invalid(
            f"The architecture {names[0]} cannot be exported to GGUF here.",
            hint=f"Supported: {', '.join(ARCHITECTURES)}; llama.cpp's convert_hf_to_gguf.py knows more.",
        )
    for key in ("attention_bias", "mlp_bias"):
        if config.get(key):
            raise Invalid(f"Models with {key} cannot be exported to GGUF here.")
    if _rope(config).get("rope_type", "default") != "default":
        raise Invalid(f"RoPE scaling {_rope(config)['rope_type']!r} cannot be exported to GGUF here.")
    return config


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    rope.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    return rope


def _head_dim(config: dict[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _kv_heads(config: dict[str, Any]) -> int:
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])


def _add_shape(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(_kv_heads(config))
    writer.add_key_length(_head_dim(config))
    writer.add_value_length(_head_dim(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(float(_rope(config)["rope_theta"]))
    writer.add_rope_dimension_count(_head_dim(config))
    writer.add_vocab_size(config["vocab_size"])


def _add_tokenizer(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    writer.add_token_merges(list(vocabulary.merges))
    for value, add in (
        (vocabulary.bos, writer.add_bos_token_id),
        (vocabulary.eos, writer.add_eos_token_id),
        (vocabulary.pad, writer.add_pad_token_id),
    ):
        if value is not None:
            add(value)
    writer.add_add_bos_token(vocabulary.add_bos)
    if vocabulary.chat_template:
        writer.add_chat_template(vocabulary.chat_template)


def permute(weights: Array, heads: int) -> Array:
    """Rows of a llama q/k projection from Hugging Face's half-split rotary order to llama.cpp's interleaved one.

    Shape is kept. Source: `LlamaModel.permute` in convert_hf_to_gguf.py.
    """
    return (
        weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )


class _Tensors:
    """Adds a model's tensors to the file, each in its type."""

    def __init__(
        self, writer: Any, config: dict[str, Any], arch: str, quantization: str, threads: int
    ) -> None:
        self._writer = writer
        self._config = config
        self._arch = arch
        self._quantization = quantization
        self._threads = threads

    def add_all(self, source: Path) -> int:
        """Add every tensor of the folder `source`; returns how many. Raises Invalid for one without a place."""
        config, arch = self._config, self._arch
        names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, arch.upper()), config["num_hidden_layers"])
        count = 0
        for name, weights in read_tensors(source):
            if name.endswith("rotary_emb.inv_freq") or (
                name == "lm_head.weight" and config.get("tie_word_embeddings")
            ):
                continue
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if target is None:
                raise Invalid(
                    f"The tensor {name} has no place in a {arch} GGUF file.", hint="Merge adapters first."
                )
            if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
                heads = config["num_attention_heads"] if "q_proj" in name else _kv_heads(config)
                weights = permute(np.asarray(weights), heads)
            self._add(target, np.asarray(weights, dtype=np.float32))
            count += 1
        return count

    def _add(self, name: str, weights: Array) -> None:
        kind = self._kind(name, weights)
        if kind.name.endswith("_K"):
            data = kquants.quantize(weights, kind, self._threads)
        else:
            data = gguf.quants.quantize(np.ascontiguousarray(weights), kind)
        self._writer.add_tensor(name, data, raw_dtype=kind)

    def _kind(self, name: str, weights: Array) -> Any:
        if weights.ndim == 1:
            return gguf.GGMLQuantizationType.F32
        if self._quantization in kquants.MIXTURES:
            return kquants.kind_of(
                name,
                self._quantization,
                width=weights.shape[-1],
                layers=self._config["num_hidden_layers"],
                tied=bool(self._config.get("tie_word_embeddings")),
            )
        if self._quantization.startswith("q") and weights.shape[-1] % _BLOCK:
            return gguf.GGMLQuantizationType.F16
        return getattr(gguf.GGMLQuantizationType, QUANTIZATIONS[self._quantization][0])
