"""Reading the tensors of `.safetensors` files with numpy alone.

The format is in header.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.core.errors import Invalid
from penstock.registry.header import read_header

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_tensors(folder: Path) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield every tensor of all `.safetensors` files of a folder, file by file; bfloat16 becomes float32 exactly."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise Invalid(f"There is no .safetensors file in {folder}.", hint="Give a saved Hugging Face model.")
    for path in files:
        entries, start = read_header(path)
        data = np.memmap(path, mode="r", dtype=np.uint8)
        for name, entry in sorted(entries.items()):
            dtype = _DTYPES.get(entry.dtype)
            if dtype is None:
                raise Invalid(f"Tensor {name} has type {entry.dtype}; only {', '.join(_DTYPES)} can be read.")
            begin, end = entry.data_offsets
            flat = np.frombuffer(data[start + begin : start + end].tobytes(), dtype=dtype)
            if entry.dtype == "BF16":
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            yield name, flat.reshape(entry.shape)
