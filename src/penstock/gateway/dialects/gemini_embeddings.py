"""Embeddings of Gemini's API and OpenAI's, each for a provider of the other kind; and of Vertex AI's older models.

Shapes: https://ai.google.dev/api/embeddings, https://platform.openai.com/docs/api-reference/embeddings and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api.
"""

import struct
from typing import Any

import msgspec

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects.base import Answer, Fault, Relay
from penstock.gateway.dialects.chat_reading import bad, decoded, refused
from penstock.gateway.dialects.embeddings import check_embedding, embeddings_answer, texts_of, vector_of
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini import ERRORS, GeminiUsage, member, read_fault, snake
from penstock.gateway.dialects.gemini_request import parts_of
from penstock.gateway.dialects.openai import read_fault as read_chat_fault
from penstock.gateway.model import Usage

WHOM = "a Gemini model"
OTHERS = "a model that is not Gemini's"
OWN = ("task_type", "title", "auto_truncate")
"""Members of Gemini itself, which a caller may send on purpose."""
HINTS = frozenset({"taskType", "title", "autoTruncate", "model"})
"""What only tells a Gemini model what the vectors are for: other models make one kind of vector."""
_encode = msgspec.json.Encoder().encode


class _Vector(msgspec.Struct):
    values: list[float]


class _Vectors(msgspec.Struct, rename="camel"):
    embeddings: list[_Vector]
    usage_metadata: GeminiUsage | None = None


class _Statistics(msgspec.Struct):
    token_count: float = 0


class _Prediction(msgspec.Struct):
    values: list[float]
    statistics: _Statistics | None = None


class _Embedded(msgspec.Struct):
    embeddings: _Prediction


class _Predictions(msgspec.Struct):
    predictions: list[_Embedded]


class _Row(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0


class _Counts(msgspec.Struct):
    prompt_tokens: int | None = None


class _Rows(msgspec.Struct):
    data: list[_Row]
    model: str = ""
    usage: _Counts | None = None


_vectors = msgspec.json.Decoder(_Vectors)
_predictions = msgspec.json.Decoder(_Predictions)
_rows = msgspec.json.Decoder(_Rows)


def _no_streams() -> Invalid:
    return bad("Embeddings are not streamed.", "stream")


class EmbeddingsOverGemini:
    """OpenAI's embeddings for a provider with batchEmbedContents; `InBase64` goes around it."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the request; raises Invalid for what has no counterpart."""
        body = decoded(envelope)
        check_embedding(body, OWN, WHOM)
        name = model if "/" in model else f"models/{model}"
        more = {_camel(each): body[each] for each in OWN if body.get(each) is not None}
        if body.get("dimensions") is not None:
            more["outputDimensionality"] = body["dimensions"]
        requests = [
            {"model": name, "content": {"parts": [{"text": text}]}, **more} for text in texts_of(body, WHOM)
        ]
        return _encode({"requests": requests})

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the embeddings; raises Upstream for an answer that holds none."""
        try:
            found = _vectors.decode(body)
        except ERRORS as error:
            raise Upstream("The provider's answer holds no embeddings.", body=body[:2000]) from error
        usage = found.usage_metadata.usage() if found.usage_metadata else None
        return embeddings_answer([each.values for each in found.embeddings], alias, usage)

    def relay(self, envelope: Envelope) -> Relay:  # noqa: ARG002 - whatever was asked for
        """Raise Invalid: there are no streams of embeddings."""
        raise _no_streams()

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)


class EmbeddingsOverVertex(EmbeddingsOverGemini):
    """OpenAI's embeddings for Vertex AI's `:predict`."""

    def request(self, envelope: Envelope, model: str) -> bytes:  # noqa: ARG002 - the model is in the path
        """Return the request; raises Invalid for what has no counterpart."""
        body = decoded(envelope)
        check_embedding(body, OWN, WHOM)
        more = {each: body[each] for each in ("task_type", "title") if body.get(each) is not None}
        made: dict[str, Any] = {
            "instances": [{"content": text, **more} for text in texts_of(body, WHOM)],
            "parameters": {},
        }
        if body.get("dimensions") is not None:
            made["parameters"]["outputDimensionality"] = body["dimensions"]
        if body.get("auto_truncate") is not None:
            made["parameters"]["autoTruncate"] = body["auto_truncate"]
        return _encode(made)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the embeddings; raises Upstream for an answer that holds none."""
        try:
            found = [each.embeddings for each in _predictions.decode(body).predictions]
        except ERRORS as error:
            raise Upstream("The provider's answer holds no embeddings.", body=body[:2000]) from error
        counts = [int(each.statistics.token_count) for each in found if each.statistics is not None]
        usage = Usage(sum(counts)) if counts else None
        return embeddings_answer([each.values for each in found], alias, usage)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class GeminiOverEmbeddings:
    """Gemini's embedContent (`batch=False`) or batchEmbedContents for a provider with OpenAI's embeddings."""

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the embeddings request; raises Invalid for what has no counterpart."""
        body = decoded(envelope)
        given = body.get("requests") if self._batch else [body]
        if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
            raise bad("requests must be a list with at least one request.", "requests")
        texts, sizes = [], []
        for index, each in enumerate(given):
            where = f"requests[{index}]." if self._batch else ""
            texts.append(_text(each, where))
            sizes.append(member(each, "outputDimensionality"))
        if any(size != sizes[0] for size in sizes):
            raise refused(
                "outputDimensionality", "a model that is not Gemini's", "all of a batch must ask for the same"
            )
        out: dict[str, Any] = {"model": model, "input": texts, "encoding_format": "float"}
        if sizes[0] is not None:
            out["dimensions"] = sizes[0]
        return _encode(out)

    def answer(self, body: bytes, alias: str) -> Answer:  # noqa: ARG002 - Gemini's answer names no model
        """Return Gemini's answer; raises Upstream when it is not one of embeddings."""
        try:
            found = _rows.decode(body)
            rows = sorted(found.data, key=lambda row: row.index)
            vectors = [{"values": vector_of(row.embedding)} for row in rows]
            made = {"embeddings": vectors} if self._batch else {"embedding": vectors[0]}
        except (*ERRORS, IndexError, ValueError, struct.error) as error:
            raise Upstream("The provider's answer holds no embeddings.", body=body[:2000]) from error
        usage = Usage(found.usage.prompt_tokens or 0) if found.usage is not None else None
        return Answer(_encode(made), usage, found.model)

    def relay(self, envelope: Envelope) -> Relay:  # noqa: ARG002 - whatever was asked for
        """Raise Invalid: there are no streams of embeddings."""
        raise _no_streams()

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_chat_fault(body, status)


def _text(request: dict[str, Any], where: str) -> str:
    known = HINTS | {"content", "outputDimensionality"}
    names = known | {snake(name) for name in known}
    for name, value in request.items():
        if value is not None and name not in names:
            raise refused(f"{where}{name}", OTHERS, "it has no such thing")
    parts = parts_of(request.get("content"), f"{where}content")
    if not parts or not all(isinstance(part.get("text"), str) for part in parts):
        raise bad(
            f"{where}content must be text: the model's provider embeds nothing else.", f"{where}content"
        )
    return "".join(part["text"] for part in parts)
