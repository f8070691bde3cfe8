"""Counting tokens with a provider of another family than the caller's: the request is translated as if to be answered.

Shapes: https://docs.anthropic.com/en/api/messages-count-tokens, https://ai.google.dev/api/tokens,
https://docs.anthropic.com/en/api/claude-on-vertex-ai and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects.anthropic import AnthropicDialect
from penstock.gateway.dialects.base import Answer, Dialect, Fault, Relay
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini_over_chat import GeminiOverChat
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.model import Operation, Usage

Wrap = Callable[[dict[str, Any], str], dict[str, Any]]
"""(request that would be answered, model) → the request to count it."""
MESSAGES = ("model", "messages", "system", "tools", "tool_choice", "thinking")
"""What Anthropic counts; it refuses the rest."""
_COUNTED = ("contents", "systemInstruction", "tools")
_CONVERSED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class _Count(msgspec.Struct):
    input_tokens: int | None = None
    converse: int | None = msgspec.field(default=None, name="inputTokens")
    total: int | None = msgspec.field(default=None, name="totalTokens")


_count = msgspec.json.Decoder(_Count)


def for_anthropic(body: dict[str, Any], model: str) -> dict[str, Any]:  # noqa: ARG001 - it is in the body
    """Return Anthropic's request to count a message."""
    return {name: body[name] for name in MESSAGES if name in body}


def for_gemini(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the Gemini API's request, which holds the whole that would be answered."""
    return {"generateContentRequest": {"model": f"models/{model.removeprefix('models/')}"} | body}


def for_vertex(body: dict[str, Any], model: str) -> dict[str, Any]:  # noqa: ARG001 - it is in the path
    """Return Vertex AI's request, which has the same members one level higher."""
    return {name: body[name] for name in _COUNTED if name in body}


def for_bedrock(body: dict[str, Any], model: str) -> dict[str, Any]:  # noqa: ARG001 - it is in the path
    """Return Bedrock's request to count what Converse would be sent."""
    return {"input": {"converse": {name: body[name] for name in _CONVERSED if name in body}}}


def _read(body: bytes) -> int:
    try:
        found = _count.decode(body)
    except _ERRORS as error:
        raise Upstream("The provider's answer holds no token count.", body=body[:2000]) from error
    for tokens in (found.input_tokens, found.converse, found.total):
        if tokens is not None:
            return tokens
    raise Upstream("The provider's answer holds no token count.", body=body[:2000])


class _Counting:
    """What counting has in common: it costs no tokens, and there are no streams of counts."""

    def __init__(self, back: Dialect, wrap: Wrap) -> None:
        self._back = back
        self._wrap = wrap

    def _asked(self, chat: bytes, model: str) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(self._back.request(Envelope(chat), model))
        return _encode(self._wrap(body, model))

    def relay(self, envelope: Envelope) -> Relay:  # noqa: ARG002 - whatever was asked for
        """Raise Invalid: counts are not streamed."""
        raise Invalid("Counts are not streamed.", details={"param": "stream", "code": "invalid_value"})

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return self._back.fault(status, body)


class MessagesCount(_Counting):
    """Anthropic's count_tokens for a provider that counts what `back` makes of chat completions."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the provider's request; raises Invalid for what has no counterpart."""
        return self._asked(MessagesOverChat().request(envelope, model), model)

    def answer(self, body: bytes, alias: str) -> Answer:  # noqa: ARG002 - a count names no model
        """Return the count; raises Upstream for an answer without one."""
        return Answer(_encode({"input_tokens": _read(body)}), Usage(), "")


class GeminiCount(_Counting):
    """Gemini's countTokens for a provider that counts what `back` makes of chat completions."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the provider's request; raises Invalid for what has no counterpart."""
        return self._asked(GeminiOverChat().request(_inner(envelope), model), model)

    def answer(self, body: bytes, alias: str) -> Answer:  # noqa: ARG002 - a count names no model
        """Return the count; raises Upstream for an answer without one."""
        return Answer(_encode({"totalTokens": _read(body)}), Usage(), "")


def _inner(envelope: Envelope) -> Envelope:
    """Return the request to count, which may lie inside `generateContentRequest`."""
    for name in ("generateContentRequest", "generate_content_request"):
        raw = envelope.fields.get(name)
        if raw is not None and bytes(raw) != b"null":
            try:
                inner = _fields.decode(raw)
            except _ERRORS as error:
                raise Invalid(
                    f"{name} must be an object.", details={"param": name, "code": "invalid_value"}
                ) from error
            inner.pop("model", None)
            return Envelope(_encode(inner), model=envelope.model, stream=False)
    return envelope


class CountTokens(AnthropicDialect):
    """Anthropic's count_tokens for Anthropic's own API: passed through."""

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the count as it came; raises Upstream for an answer without one."""
        _read(body)
        return super().answer(body, alias)._replace(usage=Usage())


def counting(back: Dialect, wrap: Wrap) -> dict[Operation, Dialect]:
    """Return how both families' counting is carried to a provider that counts, `back` carrying its chat."""
    return {
        Operation.COUNT_TOKENS: MessagesCount(back, wrap),
        Operation.GEMINI_COUNT: GeminiCount(back, wrap),
    }
