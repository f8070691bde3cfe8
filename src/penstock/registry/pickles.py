"""What a pickle would import, read from its opcodes: nothing is unpickled, so nothing can run.

A pickle runs code by importing a callable (GLOBAL, STACK_GLOBAL, INST, EXT*) and calling it. Knowing all imports
is knowing what it can do: with those of `HARMLESS` alone it can build tensors and containers. An import whose name
is not written down right before it cannot be known and counts as dangerous. Opcodes: CPython's Lib/pickletools.py.
"""

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from penstock.core.errors import Invalid

LIMIT = 64 * 1024 * 1024
"""Longest pickle that is read, in bytes; the tensors of torch archives lie beside it, not in it."""
MEMBERS = 100_000
SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".pdparams"}
)
UNKNOWN = "an import that is not written down"

_STRINGS = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINSTRING", "BINSTRING"}
)
_GETS = frozenset({"BINGET", "LONG_BINGET", "GET"})
_PUTS = frozenset({"BINPUT", "LONG_BINPUT", "PUT"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
_NUMBERS = ("bool", "complex", "float", "int", "str", "slice", "range")
_CONTAINERS = ("list", "dict", "set", "frozenset", "tuple", "bytes", "bytearray")
_FLOATS = ("Double", "Float", "Half", "BFloat16")
_STORAGES = (*_FLOATS, "Long", "Int", "Short", "Char", "Byte", "Bool", "Untyped")
_SIZES = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")
_DTYPES = (*_SIZES, "int64", "int32", "int16", "int8", "uint8", "bool")
HARMLESS = frozenset(
    {f"builtins.{name}" for name in (*_NUMBERS, *_CONTAINERS)}
    | {f"__builtin__.{name}" for name in (*_NUMBERS, *_CONTAINERS)}
    | {f"torch.{name}Storage" for name in _STORAGES}
    | {f"torch.{name}" for name in (*_DTYPES, "Size", "device", "Tensor", "dtype")}
    | {f"torch._utils._rebuild_{name}" for name in ("tensor", "tensor_v2", "parameter", "qtensor")}
    | {"torch.nn.parameter.Parameter", "torch.storage.UntypedStorage", "torch.storage.TypedStorage"}
    | {
        f"{base}.multiarray.{name}"
        for base in ("numpy.core", "numpy._core")
        for name in ("_reconstruct", "scalar")
    }
    | {"numpy.ndarray", "numpy.dtype", "numpy.bool_", "_codecs.encode"}
    | {"collections.OrderedDict", "collections.defaultdict", "datetime.datetime", "datetime.date"}
)
"""Imports that only build values."""


def looks_like(head: bytes) -> bool:
    """Whether a file that begins so is a pickle, a numpy array or a zip archive (as torch.save writes)."""
    binary = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return binary or head[:2] == b"PK" or head[:6] == b"\x93NUMPY"


def imports(path: Path) -> list[str]:
    """Return what loading the file would import, sorted; none: only plain values.

    Reads pickles in any protocol (several in a row too), archives of torch.save, and numpy files. Raises Invalid for
    anything that cannot be read to its end: what cannot be read cannot be judged.
    """
    with path.open("rb") as stream:
        head = stream.read(8)
        stream.seek(0)
        try:
            if head[:2] == b"PK":
                return sorted(set(_archive(path)))
            return sorted(set(_member(path.name, head, stream, path.stat().st_size)))
        except (zipfile.BadZipFile, ValueError, IndexError, EOFError, KeyError, NotImplementedError) as error:
            raise Invalid(
                f"{path.name} cannot be read as a pickle to its end: {error}.",
                hint="Save the weights as .safetensors.",
            ) from error


def _archive(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS:
            raise Invalid(f"{path.name} holds more than {MEMBERS} files.")
        for member in members:
            with archive.open(member) as stream:
                head = stream.read(8)
            name = member.filename
            if name.endswith((".pkl", ".npy")) or (looks_like(head) and "/data/" not in name):
                with archive.open(member) as stream:
                    yield from _member(name, head, stream, member.file_size)
            elif name.endswith((".py", ".so", ".pyc")) or "/code/" in name:
                yield f"code in {name}"


def _member(name: str, head: bytes, stream: IO[bytes], size: int) -> Iterator[str]:
    if head[:2] == b"PK":
        raise ValueError(f"{name} is an archive inside an archive")
    if head[:6] == b"\x93NUMPY":
        yield from _array(stream, size)
        return
    if size > LIMIT:
        raise ValueError(f"{name} is a pickle of more than {LIMIT} bytes")
    yield from _pickles(stream.read(LIMIT + 1))


def _array(stream: IO[bytes], size: int) -> Iterator[str]:
    """A .npy file (numpy's format.py): a header in Python's notation, then numbers, or a pickle for objects."""
    start = stream.read(12)
    length = int.from_bytes(start[8:10] if start[6] == 1 else start[8:12], "little")
    rest = start[10:] if start[6] == 1 else b""
    header = rest + stream.read(length - len(rest))
    if b"'O'" not in header and b"|O" not in header:
        return
    if size > LIMIT:
        raise ValueError("an array of objects is too large")
    yield from _pickles(stream.read(LIMIT + 1))


def _pickles(data: bytes) -> Iterator[str]:
    stream = io.BytesIO(data)
    if not data:
        raise ValueError("it is empty")
    while stream.tell() < len(data):
        yield from _one(stream)


def _one(stream: IO[bytes]) -> Iterator[str]:
    memo: dict[int, str | None] = {}
    recent: list[str | None] = [None, None]
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)
        elif name == "STACK_GLOBAL":
            module, attribute = recent
            yield f"{module}.{attribute}" if module and attribute else UNKNOWN
        elif name in _EXTENSIONS:
            yield UNKNOWN
        _follow(name, argument, memo, recent)


def _follow(name: str, argument: Any, memo: dict[int, str | None], recent: list[str | None]) -> None:
    """Keep the two topmost values as far as they are texts; every other opcode makes them unknown."""
    if name == "MEMOIZE":
        memo[len(memo)] = recent[1]
    elif name in _PUTS:
        memo[int(argument)] = recent[1]
    elif name in ("FRAME", "PROTO"):
        return
    elif name in _STRINGS:
        recent[:] = [recent[1], str(argument)]
    elif name in _GETS:
        recent[:] = [recent[1], memo.get(int(argument))]
    else:
        recent[:] = [None, None]
