"""Nouns and pure rules of models. What a file may be is in `scan`, the card's text in `card`."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.lineage import Link

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
ALIAS = re.compile(r"[a-z][a-z0-9._-]{0,49}")
TAG = re.compile(r"[a-z0-9][a-z0-9._/-]{0,49}")
TAKEN = frozenset({"stages", "requests", "import", "signing-keys"})
"""Names that no new model may have: they are addresses of the HTTP API."""
LATEST = "latest"
"""The alias that always means the newest version; nobody moves it by hand."""


class Kind(StrEnum):
    """What a version's folder holds."""

    BASE = "base"
    """A whole Hugging Face model."""
    ADAPTER = "adapter"
    """A LoRA adapter, to be used with its base."""
    MERGED = "merged"
    """A base with its adapter folded in."""
    GGUF = "gguf"
    """One file for llama.cpp."""
    ONNX = "onnx"
    """Graphs for ONNX Runtime with their weights, as onnxruntime-genai's builder writes them."""
    CTRANSLATE2 = "ctranslate2"
    """A CTranslate2 folder: `model.bin`, `config.json`, a vocabulary."""
    TENSORRT = "tensorrt"
    """One serialised TensorRT engine, for the GPUs and the library version it was built for."""
    MLFLOW = "mlflow"
    """What an MLflow client logged, kept and handed back as it is. It may hold pickles: Penstock never loads it."""


class Stage(StrEnum):
    """How far a version has come; rules may say what a move needs."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An evaluation that a version must have finished before it moves: the newest run of `suite` counts."""

    suite: str
    metric: str = ""
    """With `min` or `max`: the figure that is held against them; empty: any finished run will do."""
    min: float | None = None
    max: float | None = None
    bound: str = "value"
    """value, low or high: which end of the 95 % interval must keep the limit."""
    gate: bool = False
    """Whether the run's newest gate decision must have let it pass."""


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a version: path inside the folder, SHA-256 (hex) and size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """An immutable version; only its stage and its recorded metrics may change."""

    id: str
    model: str
    number: int
    kind: Kind
    base: str | None
    """`name@number` of the base an adapter or merge was made from."""
    files: tuple[FileEntry, ...]
    digest: str
    """SHA-256 (hex) of the canonical list of files: equal digests mean equal folders."""
    stage: Stage
    metrics: dict[str, Any]
    """Name → number, or `{value, low, high, n}` with a 95 % interval."""
    card_extra: dict[str, Any]
    """What the maker told about it: description, licence, intended_use, limitations, data, recipe …"""
    lineage: tuple[Link, ...]
    author: str
    created_at: datetime

    @property
    def ref(self) -> str:
        """`name@number`, the form lineage, deployments and traces use."""
        return f"{self.model}@{self.number}"

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named model; its weights are in its versions."""

    id: str
    name: str
    description: str
    created_at: datetime
    versions: int
    """How many there are; they are numbered from 1."""
    aliases: dict[str, int]
    """Alias → version number, `latest` included."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What travels with a version besides its files; empty where nobody said anything."""

    licence: str = ""
    """An SPDX identifier such as `Apache-2.0`, or the licence's name."""
    intended_use: str = ""
    signature: dict[str, Any] | None = None
    """`{task, inputs, outputs, params}`: what goes in and comes out; see `papers.signature`."""
    scan: dict[str, Any] | None = None
    """What the file scan found: `{at, files, findings, safe}`; None when it was never scanned."""
    manifest: dict[str, Any] | None = None
    """The signed list of files, a DSSE envelope; None for versions made before there were any."""
    card: str | None = None
    """The card as somebody edited it; None while it is the generated one."""
    card_author: str = ""
    card_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One entry of an alias's history."""

    alias: str
    version: int
    previous: int | None
    actor: str
    at: datetime


def digest_of(files: tuple[FileEntry, ...]) -> str:
    """SHA-256 (hex) of the files' paths and checksums, whatever order they are in."""
    listed = sorted((entry.path, entry.sha256) for entry in files)
    return hashlib.sha256(msgspec.json.encode(listed)).hexdigest()


def fingerprint(digest: str, kind: Kind, base: str | None, links: tuple[Link, ...]) -> str:
    """SHA-256 (hex) of what makes a version what it is; registering the same again finds the same version."""
    edges = sorted((link.kind, link.ref, link.role) for link in links)
    return hashlib.sha256(msgspec.json.encode([digest, kind, base, edges])).hexdigest()


def check_name(name: str) -> str:
    """Return `name` if it may name a model, or raise Invalid."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a model name.",
            hint="Use lower-case letters, digits, and . _ -, at most 100, starting with a letter or digit.",
        )
    return name


def check_new_name(name: str) -> str:
    """Return `name` if a new model may have it, or raise Invalid."""
    if name in TAKEN:
        raise Invalid(f"A model cannot be called {name!r}.", hint="Choose another name.")
    return check_name(name)


def check_tag(tag: str) -> str:
    """Return `tag` if a model may carry it, or raise Invalid."""
    if not TAG.fullmatch(tag):
        raise Invalid(
            f"{tag!r} is not a tag.", hint="Use lower-case letters, digits, and . _ / -, at most 50."
        )
    return tag


def check_alias(alias: str) -> str:
    """Return `alias` if people may move it, or raise Invalid."""
    if alias == LATEST:
        raise Invalid("The alias `latest` moves by itself.", hint="Use another, for example production.")
    if not ALIAS.fullmatch(alias):
        raise Invalid(
            f"{alias!r} is not an alias.", hint="Use lower-case letters, digits, and . _ -, at most 50."
        )
    return alias


def split_ref(ref: str) -> tuple[str, str]:
    """Return (name, selector) of `name`, `name@3`, `name@production`; the selector may be empty."""
    name, _, selector = ref.partition("@")
    return check_name(name), selector


def one_line(value: Any) -> str:
    """Return what a licence's field holds: one line of at most 200 characters."""
    return " ".join(str(value or "").split())[:200]


def check_text(text: str, what: str) -> str:
    """Return `text` if every database can keep it: no NUL, no lone surrogates; raises Invalid, naming `what`."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"The {what} holds lone surrogates: that is no text.", hint="Remove them.") from error
    if "\0" in text:
        raise Invalid(f"The {what} holds NUL characters: that is no text.", hint="Remove them.")
    return text
