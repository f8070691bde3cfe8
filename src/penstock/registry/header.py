"""The header of `.safetensors` files: which tensors there are, and whether the file is whole.

Format (https://huggingface.co/docs/safetensors): 8 bytes little-endian header length N, N bytes of JSON
`{name: {dtype, shape, data_offsets: [begin, end]}}`, then the tensors' bytes. Nothing in it is executable.
"""

from pathlib import Path

import msgspec

from penstock.core.errors import Invalid

HEADER_LIMIT = 100 * 1024 * 1024
"""Longest header the format allows, in bytes."""


class TensorEntry(msgspec.Struct, frozen=True):
    """One row of the header: type, shape, and byte range within the data."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def read_header(path: Path) -> tuple[dict[str, TensorEntry], int]:
    """Return the tensor table of one file and the byte offset of its data, checked against the file's size.

    Raises Invalid when the file is cut short or is not in the safetensors format.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, HEADER_LIMIT):
            raise Invalid(f"{path.name} is not a complete safetensors file.", hint="Copy the file again.")
        raw = stream.read(length)
    try:
        table = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        table.pop("__metadata__", None)
        entries = {name: msgspec.json.decode(row, type=TensorEntry) for name, row in table.items()}
    except msgspec.MsgspecError as error:
        raise Invalid(
            f"{path.name} has a damaged safetensors header: {error}.", hint="Copy it again."
        ) from error
    ends = (entry.data_offsets[1] for entry in entries.values())
    if max(ends, default=0) != size - 8 - length:
        raise Invalid(f"{path.name} is cut short: its tensors do not fill the file.", hint="Copy it again.")
    return entries, 8 + length
