"""OpenAI's embeddings, read and written for providers that speak something else. Pure.

Shapes: https://platform.openai.com/docs/api-reference/embeddings.
"""

import base64
import re
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.errors import Invalid, Upstream
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
    if not all(texts):
        raise bad("input must not hold an empty text.", "input")
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
    embedding: list[float] | str
    index: int = 0
    object: str = "embedding"


class _Rows(msgspec.Struct):
    data: list[_Row]
    model: str = ""
    usage: msgspec.Raw = msgspec.Raw(b"null")
    object: str = "list"


class _Place(msgspec.Struct):
    index: int = 0


class _Places(msgspec.Struct):
    data: list[_Place]


_rows = msgspec.json.Decoder(_Rows)
_places = msgspec.json.Decoder(_Places)
_sizes = msgspec.json.Decoder(int | None)
_FIRST = re.compile(rb'"embedding"\s*:\s*([\["])')
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class InBase64:
    """Gives the vectors of one call as the caller wants them, numbers or base64, whatever the provider has.

    Made anew for each call: it remembers what the request asked for until the answer comes.
    """

    __slots__ = ("_checked", "_inner", "_size", "_wanted")

    def __init__(self, inner: Dialect, *, checked: bool = False) -> None:
        """`checked` is for servers that may take no notice of `dimensions`."""
        self._checked = checked
        self._inner = inner
        self._wanted = False
        self._size: int | None = None

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the provider's body."""
        if envelope.stream:
            raise bad("Embeddings are not streamed.", "stream")
        raw = envelope.fields.get("encoding_format")
        form = "float" if raw is None or bytes(raw) == b"null" else envelope.text("encoding_format")
        if form not in ("float", "base64"):
            raise bad("encoding_format must be float or base64.", "encoding_format")
        self._wanted = form == "base64"
        self._size = _size(envelope) if self._checked else None
        return self._inner.request(envelope, model)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the answer in order, its vectors as little-endian 32-bit floats in base64 when so asked.

        Raises Upstream when it holds no vectors, and Invalid when they are of another size than was asked for.
        """
        made = self._inner.answer(body, alias)
        if self._size is None and self._as_wanted(made.body):
            return made
        try:
            found = _rows.decode(made.body)
            rows = [(row, vector_of(row.embedding)) for row in sorted(found.data, key=lambda row: row.index)]
        except (*_ERRORS, ValueError, struct.error) as error:
            raise Upstream("The provider's answer holds no embeddings.", body=made.body[:2000]) from error
        self._check(len(vector) for _, vector in rows)
        data = [
            {
                "object": row.object,
                "index": row.index,
                "embedding": _packed(vector) if self._wanted else vector,
            }
            for row, vector in rows
        ]
        packed = {"object": found.object, "data": data, "model": found.model, "usage": found.usage}
        return Answer(_encode(packed), made.usage, made.model)

    def _as_wanted(self, body: bytes) -> bool:
        """Whether the answer can go on as it is: the first vector tells the form of all."""
        first = _FIRST.search(body)
        if first is None or (first[1] == b'"') is not self._wanted:
            return False
        try:
            indexes = [place.index for place in _places.decode(body).data]
        except _ERRORS as error:
            raise Upstream("The provider's answer holds no embeddings.", body=body[:2000]) from error
        return indexes == sorted(indexes)

    def _check(self, sizes: Iterable[int]) -> None:
        if self._size is not None and any(size != self._size for size in sizes):
            raise Invalid(
                f"The model does not make vectors of {self._size} numbers.",
                hint="Leave dimensions out: the model's provider took no notice of it.",
                details={"param": "dimensions", "code": "unsupported_parameter"},
            )

    def relay(self, envelope: Envelope) -> Relay:
        """Return the inner relay: embeddings are not streamed."""
        return self._inner.relay(envelope)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return self._inner.fault(status, body)


def _size(envelope: Envelope) -> int | None:
    raw = envelope.fields.get("dimensions")
    if raw is None:
        return None
    try:
        size: int | None = _sizes.decode(raw)
    except _ERRORS as error:
        raise bad("dimensions must be a whole number.", "dimensions") from error
    if size is not None and size < 1:
        raise bad("dimensions must be at least 1.", "dimensions")
    return size


def vector_of(embedding: list[float] | str) -> list[float]:
    """Return the numbers of a vector that may be in base64; raises ValueError or struct.error when it is neither."""
    if isinstance(embedding, list):
        return embedding
    data = base64.b64decode(embedding, validate=True)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def _packed(vector: list[float]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except OverflowError as error:
        raise Upstream("The provider's answer holds a number that is no 32-bit float.") from error
