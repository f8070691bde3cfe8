"""llama.cpp's k-quants: which tensor gets which type, and the quantising itself, by ggml in the `xllamacpp` wheel.

The gguf package reads these types and does not write them. ggml's `ggml_quantize_chunk` is a plain C function that the
wheel exports, so it is called directly. Rules of the mixtures: `llama_tensor_get_type_impl` and
`tensor_type_fallback` of https://github.com/ggml-org/llama.cpp/blob/master/src/llama-quant.cpp, without its exceptions
for Falcon, for experts and for the 70B Llama, and without an importance matrix.
"""

import ctypes
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import xllamacpp

from penstock.core.errors import Invalid

MIXTURES = {
    "q6_k": ("Q6_K", "MOSTLY_Q6_K"),
    "q5_k_m": ("Q5_K", "MOSTLY_Q5_K_M"),
    "q4_k_m": ("Q4_K", "MOSTLY_Q4_K_M"),
}
"""Name → type of most matrices and of the file."""
SUPER_BLOCK = 256
"""Weights that share their scales in a k-quant; a row is whole super-blocks."""
BLOCK = 32
_OTHER = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""Type → what llama.cpp takes for rows that are no whole super-blocks."""
_CHUNK = 1 << 20
"""Weights that one thread quantises at a time, about."""
_LAYER = re.compile(r"blk\.(\d+)\.(attn_v|ffn_down)\.weight")

Array = npt.NDArray[Any]


def kind_of(name: str, quantization: str, *, width: int, layers: int, tied: bool) -> Any:
    """Return the gguf type of the matrix `name` (as GGUF calls it) with rows of `width` in a model of `layers`.

    `tied`: the embeddings are the output matrix too, which is kept finer.
    """
    wanted = MIXTURES[quantization][0]
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        wanted = "Q6_K"
    found = _LAYER.fullmatch(name)
    if found and more_bits(int(found[1]), layers):
        wanted = "Q6_K"
    if width % SUPER_BLOCK:
        wanted = "F16" if width % BLOCK else _OTHER[wanted]
    return getattr(gguf.GGMLQuantizationType, wanted)


def more_bits(layer: int, layers: int) -> bool:
    """Whether the mixtures keep a layer's `attn_v` and `ffn_down` finer: the outer eighths, every third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


@cache
def _library() -> Any:
    """Return ggml with typed functions; raises Invalid when this build of xllamacpp exports none."""
    folder = Path(str(xllamacpp.__file__)).parent
    for path in sorted(folder.glob("xllamacpp*.so")):
        found = ctypes.CDLL(str(path))
        if not hasattr(found, "ggml_quantize_chunk"):
            continue
        floats = ctypes.POINTER(ctypes.c_float)
        found.ggml_quantize_chunk.restype = ctypes.c_size_t
        found.ggml_quantize_chunk.argtypes = [
            ctypes.c_int, floats, ctypes.c_void_p, *[ctypes.c_int64] * 3, floats,
        ]  # fmt: skip
        found.ggml_row_size.restype = ctypes.c_size_t
        found.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
        found.ggml_type_name.restype = ctypes.c_char_p
        found.ggml_type_name.argtypes = [ctypes.c_int]
        return found
    raise Invalid(
        "This build of xllamacpp does not let k-quants be made.",
        hint="Use q8_0, q5_1, q5_0, q4_1 or q4_0, or llama.cpp's own llama-quantize.",
    )


def quantize(weights: Array, kind: Any, threads: int = 1) -> Array:
    """Return a matrix `(rows, width)` of finite float32 as bytes `(rows, bytes per row)` of the k-quant `kind`.

    The bytes do not depend on `threads`. Raises Invalid for numbers that are not finite, for rows that are no whole
    super-blocks, and when xllamacpp's ggml does not know the type.
    """
    if weights.ndim != 2 or weights.shape[1] % SUPER_BLOCK:
        raise Invalid(f"A matrix of shape {weights.shape} cannot be quantised to {kind.name}.")
    if not np.isfinite(weights).all():
        raise Invalid("A matrix holds numbers that are not finite; it cannot be quantised.")
    library, number = _library(), int(kind)
    if library.ggml_type_name(number).decode().upper() != kind.name:
        raise Invalid(f"xllamacpp's ggml calls type {number} otherwise than {kind.name}.")
    rows, width = weights.shape
    source = np.ascontiguousarray(weights, dtype=np.float32)
    made = np.empty((rows, library.ggml_row_size(number, width)), dtype=np.uint8)
    place, values = made.ctypes.data, source.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    step = max(1, _CHUNK // width)

    def work(first: int) -> int:
        count = min(step, rows - first)
        return int(library.ggml_quantize_chunk(number, values, place, first * width, count, width, None))

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        written = sum(pool.map(work, range(0, rows, step)))
    if written != made.nbytes:
        raise Invalid(f"ggml wrote {written} bytes of {made.nbytes}.")
    return made
