"""What may enter the registry: weights and texts that cannot run code, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from penstock.core.errors import Invalid
from penstock.registry.header import read_header
from penstock.registry.model import Kind

_PICKLE_SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".pdparams"}
)
_TEXT_SUFFIXES = frozenset({"", ".txt", ".md", ".jinja", ".yaml", ".yml", ".toml", ".jsonl", ".csv"})
_TEXT_NAMES = frozenset({"license", "notice", "readme", "use_policy"})
_ALLOWED = ".safetensors, .gguf, .json and plain text"
_NEEDED = {
    Kind.BASE: ("config.json", "*.safetensors"),
    Kind.MERGED: ("config.json", "*.safetensors"),
    Kind.ADAPTER: ("adapter_config.json", "adapter_model.safetensors"),
    Kind.GGUF: ("*.gguf",),
}


def list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (path inside the folder, file) for every file, sorted; names that start with a dot are left out."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix(), path


def check_folder(folder: Path, kind: Kind) -> list[tuple[str, Path]]:
    """Return the folder's files after checking each one and that `kind` has what it needs.

    Raises Invalid for a missing folder, a file that could run code when loaded (pickles, archives, scripts), a
    damaged file, or a folder that is not of that kind.
    """
    if kind not in _NEEDED:
        raise Invalid(f"A folder cannot be registered as {kind}.", hint="MLflow's client registers those.")
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}.", hint="Give the folder that holds the model's files.")
    files = list(list_files(folder))
    for name, path in files:
        check_file(name, path)
    missing = [pattern for pattern in _NEEDED[kind] if not any(folder.glob(pattern))]
    if missing:
        raise Invalid(f"{folder} is not a model of kind {kind}: it has no {' and no '.join(missing)}.")
    if kind is Kind.GGUF and sum(1 for _ in folder.glob("*.gguf")) > 1:
        raise Invalid(f"{folder} holds several .gguf files; a version has exactly one.")
    return files


def check_file(name: str, path: Path) -> None:
    """Raise Invalid unless the file is of an allowed format and whole."""
    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        head = stream.read(8)
    if (
        suffix in _PICKLE_SUFFIXES
        or head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
        or head[:2] == b"PK"
    ):
        raise Invalid(
            f"{name} is (or may be) a Python pickle, which can run code when it is loaded; it was refused.",
            hint="Save weights as .safetensors, and remove training leftovers such as training_args.bin.",
        )
    if suffix == ".safetensors":
        read_header(path)
    elif suffix == ".gguf":
        if head[:4] != b"GGUF" or len(head) < 8:
            raise Invalid(f"{name} is not a GGUF file: its first bytes are wrong.", hint="Copy it again.")
    elif suffix == ".json":
        _check_json(name, path)
    elif suffix in _TEXT_SUFFIXES or path.stem.lower() in _TEXT_NAMES:
        _check_text(name, path)
    else:
        raise Invalid(f"{name} is of a kind that is not stored with models.", hint=f"Allowed: {_ALLOWED}.")


def _check_json(name: str, path: Path) -> None:
    try:
        msgspec.json.decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise Invalid(f"{name} is not valid JSON: {error}.") from error


def _check_text(name: str, path: Path) -> None:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{name} is not UTF-8 text.", hint=f"Allowed: {_ALLOWED}.") from error
    if "\0" in text or text.startswith("#!"):
        raise Invalid(f"{name} is a program or binary, not a text.", hint=f"Allowed: {_ALLOWED}.")
