"""What may enter the registry: weights and texts that cannot run code; pickles only by leave, and read first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.registry import gguf_header, pickles
from penstock.registry.header import read_header
from penstock.registry.model import Kind

_TEXT_SUFFIXES = frozenset({"", ".txt", ".md", ".jinja", ".yaml", ".yml", ".toml", ".jsonl", ".csv", ".tsv"})
_TEXT_NAMES = frozenset({"license", "notice", "readme", "use_policy", "mlmodel"})
_ALLOWED = ".safetensors, .gguf, .json and plain text"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_NEEDED: dict[Kind, tuple[tuple[str, ...], ...]] = {
    Kind.BASE: (("config.json",), _WEIGHTS),
    Kind.MERGED: (("config.json",), _WEIGHTS),
    Kind.ADAPTER: (("adapter_config.json",), ("adapter_model.safetensors", "adapter_model.bin")),
    Kind.GGUF: (("*.gguf",),),
    Kind.ONNX: (("*.onnx",),),
    Kind.CTRANSLATE2: (("model.bin",), ("config.json",)),
    Kind.TENSORRT: (("*.engine",),),
}
"""Of each group of patterns, one must be there."""
_BINARY: dict[Kind, tuple[str, ...]] = {
    Kind.ONNX: (".onnx", ".data", ".onnx_data"),
    Kind.TENSORRT: (".engine", ".onnx"),
}
"""Formats without a notion of code, read by their own libraries, that only this kind holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One file as the scan saw it."""

    path: str
    format: str
    """safetensors, gguf, json, text, pickle, onnx …, or other for what only MLflow's models may hold."""
    imports: tuple[str, ...] = ()
    """What a pickle would import when it is loaded."""

    @property
    def dangerous(self) -> tuple[str, ...]:
        """Those imports that do more than build values."""
        return tuple(name for name in self.imports if name not in pickles.HARMLESS)


def report(findings: list[Finding]) -> dict[str, Any]:
    """Return the record of a scan: when, how many files of which format, and every pickle with its imports."""
    formats: dict[str, int] = {}
    for finding in findings:
        formats[finding.format] = formats.get(finding.format, 0) + 1
    noted = [
        {"path": f.path, "format": f.format, "imports": list(f.imports), "dangerous": list(f.dangerous)}
        for f in findings
        if f.format in ("pickle", "other")
    ]
    unsafe = any(f.dangerous or f.format == "other" for f in findings)
    return {"at": clock.iso(clock.now()), "files": formats, "findings": noted, "safe": not unsafe}


def list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (path inside the folder, file) for every file, sorted; names that start with a dot are left out."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix(), path


def check_folder(
    folder: Path, kind: Kind, *, allow_pickles: bool = False
) -> tuple[list[tuple[str, Path]], list[Finding]]:
    """Return the folder's files and what they are, after checking each one and that `kind` has what it needs.

    Raises Invalid for a missing folder, a file that could run code when loaded (scripts, archives; pickles unless
    allowed, and even then those that import more than tensors need), a damaged file, a link that leads out of the
    folder, or a folder that is not of that kind.
    """
    if kind not in _NEEDED:
        raise Invalid(
            f"A folder cannot be registered as {kind}.",
            hint="MLflow's models are imported: penstock models import-folder.",
        )
    files = _inside(folder)
    findings = [check_file(name, path, kind=kind, allow_pickles=allow_pickles) for name, path in files]
    missing = [group[0] for group in _NEEDED[kind] if not any(any(folder.glob(one)) for one in group)]
    if missing:
        raise Invalid(f"{folder} is not a model of kind {kind}: it has no {' and no '.join(missing)}.")
    if kind is Kind.GGUF and sum(1 for _ in folder.glob("*.gguf")) > 1:
        raise Invalid(f"{folder} holds several .gguf files; a version has exactly one.")
    return files, findings


def examine_folder(folder: Path) -> tuple[list[tuple[str, Path]], list[Finding]]:
    """Return any folder's files and what they are; nothing is refused but links that lead out of it."""
    files = _inside(folder)
    return files, [examine(name, path) for name, path in files]


def examine(name: str, path: Path, kind: Kind | None = None) -> Finding:
    """Return what the file is; `other` when Penstock cannot tell that it runs no code."""
    try:
        return check_file(name, path, kind=kind, allow_pickles=True, refuse=False)
    except Invalid:
        return Finding(path=name, format="other")


def _inside(folder: Path) -> list[tuple[str, Path]]:
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}.", hint="Give the folder that holds the model's files.")
    root = folder.resolve()
    files = list(list_files(folder))
    linked = [path for path in folder.rglob("*") if path.is_symlink() and path.is_dir()]
    for name, path in [*files, *((each.relative_to(folder).as_posix(), each) for each in linked)]:
        if not name.isprintable():
            raise Invalid(f"{name!r} is not a name that a file of a model may have.", hint="Rename it.")
        if not _within(path.resolve(), root):
            raise Invalid(f"{name} is a link that leads out of the folder.", hint="Copy the file instead.")
    if linked:
        raise Invalid(
            f"{linked[0].relative_to(folder)} is a link to a folder; such links are not followed.",
            hint="Copy the folder instead.",
        )
    return files


def _within(target: Path, root: Path) -> bool:
    # The hub's own cache links snapshots/<commit>/file to ../../blobs/<hash>, beside the snapshot.
    of_hub = root.parent.name == "snapshots" and target.is_relative_to(root.parent.parent / "blobs")
    return target.is_relative_to(root) or of_hub


def check_file(
    name: str, path: Path, *, kind: Kind | None = None, allow_pickles: bool = False, refuse: bool = True
) -> Finding:
    """Return what the file is; raises Invalid unless it is of an allowed format and whole.

    `refuse=False` names dangerous imports in the finding instead of refusing them.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        head = stream.read(8)
    if kind is not None and (suffix in _BINARY.get(kind, ()) or _is_ctranslate2(name, head, kind)):
        return Finding(path=name, format=str(kind))
    if suffix in pickles.SUFFIXES or pickles.looks_like(head):
        return _pickle(name, path, allow_pickles, refuse)
    for suffixes, format, check in _CHECKS:
        if suffix in suffixes or (format == "text" and path.stem.lower() in _TEXT_NAMES):
            check(name, path)
            return Finding(path=name, format=format)
    raise Invalid(f"{name} is of a kind that is not stored with models.", hint=f"Allowed: {_ALLOWED}.")


def _is_ctranslate2(name: str, head: bytes, kind: Kind) -> bool:
    # model_spec.py of CTranslate2: the format's version as a 32-bit number, then texts; a pickle begins otherwise.
    return kind is Kind.CTRANSLATE2 and name == "model.bin" and 0 < int.from_bytes(head[:4], "little") < 100


def _pickle(name: str, path: Path, allowed: bool, refuse: bool) -> Finding:
    if not allowed:
        raise Invalid(
            f"{name} is (or may be) a Python pickle, which can run code when it is loaded; it was refused.",
            hint="Save weights as .safetensors, and remove training leftovers such as training_args.bin.",
        )
    found = Finding(path=name, format="pickle", imports=tuple(pickles.imports(path)))
    if refuse and found.dangerous:
        raise Invalid(
            f"{name} is a pickle that would import {', '.join(found.dangerous[:5])} when it is loaded; it was refused.",
            hint="Only tensors and plain values may be in it. Save the weights as .safetensors.",
        )
    return found


def _check_safetensors(_name: str, path: Path) -> None:
    read_header(path)


def _check_gguf(name: str, path: Path) -> None:
    gguf_header.check(name, path)


def _check_json(name: str, path: Path) -> None:
    try:
        msgspec.json.decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise Invalid(f"{name} is not valid JSON: {error}.") from error


def _check_sentencepiece(name: str, path: Path) -> None:
    # sentencepiece_model.proto: field 1 of ModelProto, a piece, comes first.
    with path.open("rb") as stream:
        if stream.read(1) != b"\x0a":
            raise Invalid(f"{name} is not a SentencePiece model.", hint="Copy it again.")


def _check_text(name: str, path: Path) -> None:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{name} is not UTF-8 text.", hint=f"Allowed: {_ALLOWED}.") from error
    if "\0" in text or text.startswith("#!"):
        raise Invalid(f"{name} is a program or binary, not a text.", hint=f"Allowed: {_ALLOWED}.")


_CHECKS: tuple[tuple[frozenset[str], str, Callable[[str, Path], None]], ...] = (
    (frozenset({".safetensors"}), "safetensors", _check_safetensors),
    (frozenset({".gguf"}), "gguf", _check_gguf),
    (frozenset({".json"}), "json", _check_json),
    (frozenset({".model", ".spm"}), "sentencepiece", _check_sentencepiece),
    (_TEXT_SUFFIXES, "text", _check_text),
)
