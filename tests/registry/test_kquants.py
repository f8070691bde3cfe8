"""K-quants: the mixtures are llama.cpp's, the bytes are ggml's, and what they stand for is close to what went in."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import xllamacpp

from penstock.core.errors import Invalid
from penstock.registry.exporters import kquants

Q = gguf.GGMLQuantizationType


def test_the_layers_kept_finer_are_those_of_llama_cpp() -> None:
    assert [layer for layer in range(32) if kquants.more_bits(layer, 32)] == [
        *range(4), 6, 9, 12, 15, 18, 21, 24, 27, *range(28, 32),
    ]  # fmt: skip
    assert [layer for layer in range(2) if kquants.more_bits(layer, 2)] == [1]


@pytest.mark.parametrize(
    ("name", "quantization", "width", "tied", "kind"),
    [
        ("blk.5.attn_q.weight", "q4_k_m", 512, False, Q.Q4_K),
        ("blk.5.attn_v.weight", "q4_k_m", 512, False, Q.Q4_K),
        ("blk.6.attn_v.weight", "q4_k_m", 512, False, Q.Q6_K),
        ("blk.6.ffn_down.weight", "q5_k_m", 512, False, Q.Q6_K),
        ("blk.6.ffn_up.weight", "q5_k_m", 512, False, Q.Q5_K),
        ("output.weight", "q4_k_m", 512, False, Q.Q6_K),
        ("token_embd.weight", "q4_k_m", 512, False, Q.Q4_K),
        ("token_embd.weight", "q4_k_m", 512, True, Q.Q6_K),
        ("blk.5.attn_q.weight", "q4_k_m", 96, False, Q.Q5_0),
        ("blk.5.attn_q.weight", "q5_k_m", 96, False, Q.Q5_1),
        ("output.weight", "q4_k_m", 96, False, Q.Q8_0),
        ("blk.5.attn_q.weight", "q6_k", 50, False, Q.F16),
    ],
)
def test_every_tensor_gets_the_type_llama_cpp_gives_it(
    name: str, quantization: str, width: int, tied: bool, kind: gguf.GGMLQuantizationType
) -> None:
    assert kquants.kind_of(name, quantization, width=width, layers=32, tied=tied) == kind


@pytest.mark.parametrize(("kind", "most"), [(Q.Q4_K, 0.08), (Q.Q5_K, 0.04), (Q.Q6_K, 0.02)])
def test_what_the_bytes_stand_for_is_close_to_the_weights(
    kind: gguf.GGMLQuantizationType, most: float
) -> None:
    weights = np.random.default_rng(0).normal(size=(300, 4096)).astype(np.float32)
    made = kquants.quantize(weights, kind)
    back = gguf.quants.dequantize(made, kind)
    lost = float(np.sqrt(((back - weights) ** 2).mean() / (weights**2).mean()))
    assert 0 < lost < most
    assert (kquants.quantize(weights, kind, threads=3) == made).all()


def test_what_cannot_be_quantised_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="shape"):
        kquants.quantize(np.zeros((2, 96), np.float32), Q.Q4_K)
    with pytest.raises(Invalid, match="not finite"):
        kquants.quantize(np.full((2, 256), np.nan, np.float32), Q.Q4_K)
    kquants._library.cache_clear()
    monkeypatch.setattr(xllamacpp, "__file__", str(tmp_path / "__init__.py"))
    try:
        with pytest.raises(Invalid, match="does not let k-quants be made"):
            kquants.quantize(np.zeros((2, 256), np.float32), Q.Q4_K)
    finally:
        kquants._library.cache_clear()
