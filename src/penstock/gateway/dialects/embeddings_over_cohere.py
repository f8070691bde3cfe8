"""OpenAI's embeddings for Cohere's embed API (v2), and for its models and Amazon's on Bedrock.

Shapes: https://docs.cohere.com/reference/embed and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html (and …-embed.html).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects import converse_to_chat
from penstock.gateway.dialects.base import Answer, Fault, Relay
from penstock.gateway.dialects.chat_reading import bad, decoded, refused
from penstock.gateway.dialects.cohere_to_chat import ChatOverCohereRelay, read_fault
from penstock.gateway.dialects.embeddings import check_embedding, embeddings_answer, texts_of
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Usage

INPUT_TYPE = "search_document"
"""What Cohere embeds for when nobody says: texts to be found, not questions."""
_COHERE = ("input_type", "truncate")
_TITAN = ("normalize",)


class _Floats(msgspec.Struct):
    floats: list[list[float]] | None = msgspec.field(default=None, name="float")


class _Billed(msgspec.Struct):
    input_tokens: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None


class _Embedded(msgspec.Struct, rename="camel"):
    """Titan's answer, or Cohere's in any of its shapes."""

    embedding: list[float] | None = None
    input_text_token_count: int | None = None
    embeddings: _Floats | list[list[float]] | None = None
    meta: _Meta | None = None


_embedded = msgspec.json.Decoder(_Embedded)


def cohere_body(body: Mapping[str, Any], whom: str, input_type: str) -> dict[str, Any]:
    """Return the request for a Cohere model, without its name."""
    check_embedding(body, _COHERE, whom)
    made = {"texts": texts_of(body, whom), "input_type": body.get("input_type") or input_type}
    if body.get("dimensions") is not None:
        made["output_dimension"] = body["dimensions"]
    if body.get("truncate") is not None:
        made["truncate"] = body["truncate"]
    return made | {"embedding_types": ["float"]}


def titan_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request for a Titan model; raises Invalid for more than one text."""
    whom = "Titan on Bedrock"
    check_embedding(body, _TITAN, whom)
    texts = texts_of(body, whom)
    if len(texts) != 1:
        raise bad(f"input must be one text: {whom} embeds one per call.", "input")
    made: dict[str, Any] = {"inputText": texts[0]}
    for name in ("dimensions", "normalize"):
        if body.get(name) is not None:
            made[name] = body[name]
    return made


def read_answer(body: bytes, alias: str) -> Answer:
    """Return the embeddings of an answer of Titan or Cohere; raises Upstream when it is neither."""
    try:
        found = _embedded.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Upstream("The provider's answer holds no embeddings.", body=body[:2000]) from error
    vectors = found.embeddings.floats if isinstance(found.embeddings, _Floats) else found.embeddings
    if vectors is None and found.embedding is not None:
        vectors = [found.embedding]
    if vectors is None:
        raise Upstream("The provider's answer holds no embeddings.", body=body[:2000])
    tokens: float | None = found.input_text_token_count
    if found.meta is not None and found.meta.billed_units is not None:
        tokens = found.meta.billed_units.input_tokens
    return embeddings_answer(vectors, alias, None if tokens is None else Usage(int(tokens)))


class EmbeddingsOverCohere:
    """Embeddings of Cohere's own API."""

    def __init__(self, *, input_type: str = INPUT_TYPE) -> None:
        self._input_type = input_type

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return Cohere's request; raises Invalid for what has no counterpart."""
        made = cohere_body(decoded(envelope), "Cohere", self._input_type)
        return msgspec.json.encode({"model": model} | made)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the embeddings."""
        return read_answer(body, alias)

    def relay(self, envelope: Envelope) -> Relay:
        """Return a relay that no answer will ever use: embeddings are not streamed."""
        return ChatOverCohereRelay(envelope.model, False)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)


class EmbeddingsOverBedrock(EmbeddingsOverCohere):
    """Embeddings of models on Bedrock: each maker has a shape of its own, told apart by the model's id."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the model's request; raises Invalid for a model whose shape is not known."""
        body = decoded(envelope)
        if "cohere.embed" in model:
            return msgspec.json.encode(cohere_body(body, "Cohere on Bedrock", self._input_type))
        if "amazon.titan-embed-text" in model:
            return msgspec.json.encode(titan_body(body))
        raise refused("model", "Bedrock", f"{model!r} is no embedding model of Cohere or Amazon Titan")

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what AWS's error body says."""
        return converse_to_chat.read_fault(status, body)
