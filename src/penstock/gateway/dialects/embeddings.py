"""OpenAI's embeddings, read and written for providers that speak something else. Pure.

Shapes: https://platform.openai.com/docs/api-reference/embeddings.
"""

import base64
import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import Answer, Dialect, Fault, Relay
from penstock.gateway.dialects.chat_reading import bad, refused
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Usage

KNOWN = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
_encode = msgspec.json.Encoder().encode


def check_embedding(body: Mapping[str, Any], own: Collection[str], whom: str) -> None:
    """Raise Invalid for the first member that is neither OpenAI's nor one of the provider's `own`."""
    for name, value in body.items():
        if value is not None and name not in KNOWN and name not in own:
            raise refused(name, whom, "it has no such thing")


def texts_of(body: Mapping[str, Any], whom: str) -> list[str]:
    """Return the texts to embed; raises Invalid for tokens, which only OpenAI's models share."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise bad("input must be a text or a list of texts.", "input")
    if not all(isinstance(text, str) for text in texts):
        raise bad(f"input must be text: {whom} does not take token numbers.", "input")
    return texts


def embeddings_answer(vectors: Sequence[Any], alias: str, usage: Usage | None, model: str = "") -> Answer:
    """Return an embeddings answer; its counts are 0 where the provider tells none."""
    tokens = usage.input if usage else 0
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "model": alias,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Answer(_encode(body), usage, model)


class _Row(msgspec.Struct):
    embedding: list[float]
    index: int = 0
    object: str = "embedding"


class _Rows(msgspec.Struct):
    data: list[_Row]
    model: str = ""
    usage: msgspec.Raw = msgspec.Raw(b"null")
    object: str = "list"


_rows = msgspec.json.Decoder(_Rows)


class InBase64:
    """Gives the vectors of one call in base64 when the caller wants them so and the provider has only numbers.

    Made anew for each call: it remembers what the request asked for until the answer comes.
    """

    __slots__ = ("_inner", "_wanted")

    def __init__(self, inner: Dialect) -> None:
        self._inner = inner
        self._wanted = False

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the provider's body."""
        form = envelope.text("encoding_format") or "float"
        if form not in ("float", "base64"):
            raise bad("encoding_format must be float or base64.", "encoding_format")
        self._wanted = form == "base64"
        return self._inner.request(envelope, model)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the answer, its vectors as little-endian 32-bit floats in base64 when so asked."""
        made = self._inner.answer(body, alias)
        if not self._wanted:
            return made
        found = _rows.decode(made.body)
        data = [
            {"object": row.object, "index": row.index, "embedding": _packed(row.embedding)}
            for row in found.data
        ]
        packed = {"object": found.object, "data": data, "model": found.model, "usage": found.usage}
        return Answer(_encode(packed), made.usage, made.model)

    def relay(self, envelope: Envelope) -> Relay:
        """Return the inner relay: embeddings are not streamed."""
        return self._inner.relay(envelope)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return self._inner.fault(status, body)


def _packed(vector: list[float]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except OverflowError as error:
        raise Upstream("The provider's answer holds a number that is no 32-bit float.") from error
