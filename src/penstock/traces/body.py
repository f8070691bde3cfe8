"""The part of a span that only its detail page reads, packed small.

Format: one version byte, then a Zstandard frame (RFC 8878) of a MessagePack map. Version 1 uses a raw-content
dictionary of the attribute and message keys that today's instrumentors send; a version's dictionary never changes.
"""

import threading
from importlib.resources import files
from typing import Any

import msgspec
import zstandard

from penstock.core.errors import Invalid
from penstock.traces.model import SpanEvent, SpanRecord

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
    rename={"input": "i", "output": "o", "attributes": "a", "events": "e", "tags": "t", "metadata": "m"},
):
    """What a span holds beside its narrow row; `input` and `output` are JSON documents."""

    input: bytes | None = None
    output: bytes | None = None
    attributes: dict[str, Any] = {}
    events: tuple[SpanEvent, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SpanBody)


def pack(span: SpanRecord) -> bytes:
    """Return the body of `span`, packed."""
    body = SpanBody(
        input=span.input,
        output=span.output,
        attributes=span.attributes,
        events=span.events,
        tags=span.tags,
        metadata=span.metadata,
    )
    compressor = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(
            level=_LEVEL,
            dict_data=_dictionary,
            write_content_size=True,
            write_checksum=False,
            write_dict_id=False,
        )
    return _VERSION + bytes(compressor.compress(_encoder.encode(body)))


def unpack(data: bytes) -> SpanBody:
    """Return the body made by `pack`; raises Invalid for a version this release does not know."""
    if data[:1] != _VERSION:
        raise Invalid("This span was written by a newer Penstock.", hint="Upgrade this installation.")
    decompressor = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary)
    return _decoder.decode(decompressor.decompress(data[1:]))
