"""The part of a span that only its detail page reads, packed small.

Format: one version byte, then a Zstandard frame (RFC 8878) of a MessagePack map. Version 1 uses a raw-content
dictionary of the attribute and message keys that today's instrumentors send; a version's dictionary never changes.
"""

import threading
from importlib.resources import files
from typing import Any, Protocol

import msgspec
import zstandard

from penstock.core.errors import Invalid
from penstock.traces.model import Evaluation, SpanEvent, SpanRecord

_VERSION = b"\x01"
_LEVEL = 3
_dictionary = zstandard.ZstdCompressionDict(
    files("penstock.traces").joinpath("body_keys_1.txt").read_bytes(),
    dict_type=zstandard.DICT_TYPE_RAWCONTENT,
)
_dictionary.precompute_compress(level=_LEVEL)
_local = threading.local()
"""Zstandard contexts must not be shared by threads."""


class SpanBody(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={
        "input": "i",
        "output": "o",
        "attributes": "a",
        "events": "e",
        "tags": "t",
        "metadata": "m",
        "finish_reasons": "f",
        "parameters": "p",
        "agent": "g",
        "tool": "n",
        "tools": "d",
        "evaluations": "v",
        "finer_tokens": "u",
    },
):
    """What a span holds beside its narrow row; `input` and `output` are JSON documents."""

    input: bytes | None = None
    output: bytes | None = None
    attributes: dict[str, Any] = {}
    events: tuple[SpanEvent, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    finish_reasons: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}
    agent: str | None = None
    tool: str | None = None
    tools: list[Any] = []
    evaluations: tuple[Evaluation, ...] = ()
    finer_tokens: dict[str, int] = {}


class SearchedBody(
    msgspec.Struct, frozen=True, rename={"input": "i", "output": "o", "attributes": "a", "parameters": "p"}
):
    """What the full-text index reads of a body; the rest is not even decoded."""

    input: bytes | None = None
    output: bytes | None = None
    attributes: dict[str, Any] = {}
    parameters: dict[str, Any] = {}


class Searched(Protocol):
    """What the full-text index is told of a span's body."""

    @property
    def input(self) -> bytes | None:
        """What was asked, a JSON document."""

    @property
    def output(self) -> bytes | None:
        """What was answered, a JSON document."""

    @property
    def attributes(self) -> dict[str, Any]:
        """The span's attributes."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of its call."""


class ConditionsBody(
    msgspec.Struct,
    frozen=True,
    rename={
        "input": "i",
        "output": "o",
        "attributes": "a",
        "parameters": "p",
        "tags": "t",
        "metadata": "m",
        "agent": "g",
        "tool": "n",
    },
):
    """What conditions of queries read of a body."""

    input: bytes | None = None
    output: bytes | None = None
    attributes: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    agent: str | None = None
    tool: str | None = None


BODY_FIELDS = SpanBody.__struct_fields__
"""What `SpanRecord` and `SpanBody` share."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SpanBody)
_searched = msgspec.msgpack.Decoder(SearchedBody)
_conditions = msgspec.msgpack.Decoder(ConditionsBody)


def storable(value: Any) -> Any:
    """Return `value` without what MessagePack and JSON cannot carry: lone surrogates, integers over 64 bits."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {
            storable(key) if isinstance(key, str) else str(key): storable(item) for key, item in value.items()
        }
    return value


def pack(span: SpanRecord) -> bytes:
    """Return the body of `span`, packed."""
    return pack_any(
        SpanBody(
            input=span.input,
            output=span.output,
            attributes=span.attributes,
            events=span.events,
            tags=span.tags,
            metadata=span.metadata,
            finish_reasons=span.finish_reasons,
            parameters=span.parameters,
            agent=span.agent,
            tool=span.tool,
            tools=span.tools,
            evaluations=span.evaluations,
            finer_tokens=span.finer_tokens,
        )
    )


def pack_any(held: msgspec.Struct) -> bytes:
    """Return any struct, packed as a body is."""
    compressor = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(
            level=_LEVEL,
            dict_data=_dictionary,
            write_content_size=True,
            write_checksum=False,
            write_dict_id=False,
        )
    try:
        packed = _encoder.encode(held)
    except (UnicodeEncodeError, OverflowError, TypeError):
        packed = _encoder.encode(storable(msgspec.to_builtins(held, builtin_types=(bytes,), enc_hook=str)))
    return _VERSION + bytes(compressor.compress(packed))


def unpack(data: bytes) -> SpanBody:
    """Return the body made by `pack`; raises Invalid for a version this release does not know."""
    return _decoder.decode(unpack_any(data))


def unpack_searched(data: bytes) -> SearchedBody:
    """Return what is searched of the body made by `pack`; raises Invalid for a version this release does not know."""
    return _searched.decode(unpack_any(data))


def unpack_conditions(data: bytes) -> ConditionsBody:
    """Return what conditions read of the body made by `pack`; raises Invalid for an unknown version."""
    return _conditions.decode(unpack_any(data))


def unpack_any(data: bytes) -> bytes:
    """Return the MessagePack that `pack_any` packed; raises Invalid for a version this release does not know."""
    if data[:1] != _VERSION:
        raise Invalid("This span was written by a newer Penstock.", hint="Upgrade this installation.")
    decompressor = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary)
    return bytes(decompressor.decompress(data[1:]))
