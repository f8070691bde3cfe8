"""Whether a `.gguf` file is whole: its first bytes, its version, and that its counts can be true.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Nothing in it is executable.
"""

from pathlib import Path

from penstock.core.errors import Invalid

VERSIONS = (2, 3)
_SMALLEST_TENSOR, _SMALLEST_VALUE = 24, 13
"""Bytes that one entry of each table takes at least."""


def check(name: str, path: Path) -> None:
    """Raise Invalid when the file is not GGUF, of a version nobody reads any more, or shorter than its tables.

    A file that ends before its counts says of nothing that it is there.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(24)
    if head[:4] != b"GGUF" or len(head) < 8:
        raise Invalid(f"{name} is not a GGUF file: its first bytes are wrong.", hint="Copy it again.")
    version = int.from_bytes(head[4:8], "little")
    if version not in VERSIONS:
        raise Invalid(
            f"{name} is GGUF of version {version}, which is not read here.", hint="Convert the model again."
        )
    tensors, values = int.from_bytes(head[8:16], "little"), int.from_bytes(head[16:24], "little")
    if len(head) == 24 and tensors * _SMALLEST_TENSOR + values * _SMALLEST_VALUE > size - 24:
        raise Invalid(f"{name} is cut short: its tables do not fit into the file.", hint="Copy it again.")
