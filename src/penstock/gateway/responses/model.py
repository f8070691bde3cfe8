"""A stored response, and how its content is packed."""

from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import zstandard

from penstock.core.scope import Scope

Fields = dict[str, msgspec.Raw]
"""A JSON object decoded one level deep."""
MAX_ITEM_ID = 128


class Content(msgspec.Struct, frozen=True):
    """What was said: the items this request added, and the Response object the caller saw."""

    input: list[msgspec.Raw]
    response: msgspec.Raw

    def output(self) -> list[msgspec.Raw]:
        """Return the items of the answer."""
        return _output.decode(self.response).output


class _Output(msgspec.Struct):
    output: list[msgspec.Raw] = []


class _Identified(msgspec.Struct):
    id: str | None = None


_output = msgspec.json.Decoder(_Output)
_identified = msgspec.json.Decoder(_Identified)
_content = msgspec.json.Decoder(Content)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """A response as it is in the table; `body` is packed."""

    id: str
    scope: Scope
    key_id: str
    previous_id: str | None
    model: str
    created_at: datetime
    expires_at: datetime
    body: bytes

    def content(self) -> Content:
        """Return what was said."""
        return unpack(self.body)

    def packed(self, body: bytes) -> "StoredResponse":
        """Return the same response with its content."""
        return replace(self, body=body)


def item_id(item: msgspec.Raw) -> str | None:
    """Return the id of an item, if it has one that can be referred to."""
    try:
        found = _identified.decode(item).id
    except msgspec.DecodeError:
        return None
    return found if found and len(found) <= MAX_ITEM_ID and "\0" not in found else None


def pack(content: Content) -> bytes:
    """Return `content` as it is stored."""
    return zstandard.ZstdCompressor(level=3).compress(msgspec.json.encode(content))


def unpack(stored: bytes) -> Content:
    """Return the content of a stored body."""
    return _content.decode(zstandard.ZstdDecompressor().decompress(stored))
