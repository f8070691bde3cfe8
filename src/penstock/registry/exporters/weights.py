"""Reading `.safetensors` files with numpy alone.

Format (https://huggingface.co/docs/safetensors): 8 bytes little-endian header length N, N bytes of JSON
`{name: {dtype, shape, data_offsets: [begin, end]}}`, then the tensors' bytes. Nothing in it is executable.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from penstock.core.errors import Invalid

HEADER_LIMIT = 100 * 1024 * 1024
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """The tensor table of one file (without `__metadata__`), checked against the file's size.

    Raises Invalid when the file is cut short or is not in the safetensors format.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, HEADER_LIMIT):
            raise Invalid(f"{path.name} is not a complete safetensors file.", hint="Copy the file again.")
        raw = stream.read(length)
    try:
        table = msgspec.json.decode(raw, type=dict[str, dict[str, Any]])
    except msgspec.DecodeError as error:
        raise Invalid(f"{path.name} has a damaged safetensors header: {error}") from error
    table.pop("__metadata__", None)
    ends = [entry["data_offsets"][1] for entry in table.values() if "data_offsets" in entry]
    if len(ends) != len(table) or max(ends, default=0) != size - 8 - length:
        raise Invalid(f"{path.name} is cut short or damaged: its tensor table does not match its size.")
    return table


def read_tensors(folder: Path) -> Iterator[tuple[str, npt.NDArray[np.floating[Any]]]]:
    """Every tensor of all `.safetensors` files of a folder, by name order; bfloat16 becomes float32 exactly."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise Invalid(f"There is no .safetensors file in {folder}.", hint="Export a saved Hugging Face model.")
    for path in files:
        table = read_header(path)
        data = np.memmap(path, mode="r", dtype=np.uint8)
        base = 8 + int.from_bytes(bytes(data[:8]), "little")
        for name in sorted(table):
            entry = table[name]
            dtype = _DTYPES.get(entry["dtype"])
            if dtype is None:
                raise Invalid(f"Tensor {name} has type {entry['dtype']}; only {', '.join(_DTYPES)} can be exported.")
            begin, end = entry["data_offsets"]
            flat = data[base + begin : base + end].view(dtype)
            if entry["dtype"] == "BF16":
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            yield name, flat.reshape(entry["shape"])
