"""Anthropic's messages as Vertex AI takes them: the model is in the path, the version in the body.

Source: https://docs.anthropic.com/en/api/claude-on-vertex-ai.
"""

import msgspec

from penstock.gateway.dialects.base import Answer, Dialect, Fault, Relay
from penstock.gateway.dialects.envelope import Envelope, raw_text
from penstock.gateway.dialects.gemini import read_fault as read_google_fault

VERSION = "vertex-2023-10-16"
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class OnVertex:
    """Any dialect whose bodies are Anthropic's messages."""

    def __init__(self, inner: Dialect, *, named: bool = False) -> None:
        """`named` keeps the model in the body."""
        self._inner = inner
        self._named = named

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the inner dialect's body, without its model unless it is to be named."""
        fields = _fields.decode(self._inner.request(envelope, model))
        if not self._named:
            fields.pop("model", None)
        fields.setdefault("anthropic_version", raw_text(VERSION))
        return _encode(fields)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the caller's answer."""
        return self._inner.answer(body, alias)

    def relay(self, envelope: Envelope) -> Relay:
        """Return a relay for one stream."""
        return self._inner.relay(envelope)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what an error says: Anthropic's own, or Google's before the model was reached."""
        found = self._inner.fault(status, body)
        return found if found.type else read_google_fault(status, body)
