"""Chat completions for Bedrock's Converse API."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_reading import decoded
from penstock.gateway.dialects.chat_to_converse import translate_request
from penstock.gateway.dialects.converse_to_chat import ChatOverConverseRelay, read_fault, translate_answer
from penstock.gateway.dialects.envelope import Envelope


class ChatOverConverse:
    """See `chat_to_converse` for the way there and `converse_to_chat` for the way back."""

    def __init__(self, *, defaults: Mapping[str, Any] | None = None, drop_params: bool = False) -> None:
        """`defaults` are members of Converse that every request gets unless the caller sends them."""
        self._defaults = dict(defaults or {})
        self._drop = drop_params

    def request(self, envelope: Envelope, model: str) -> bytes:  # noqa: ARG002 - the model is in Converse's path
        """Return the Converse request; raises Invalid for what has no counterpart."""
        return msgspec.json.encode(self._defaults | translate_request(decoded(envelope), drop=self._drop))

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the chat completion."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> ChatOverConverseRelay:
        """Return a relay for one stream."""
        return ChatOverConverseRelay(envelope.model, envelope.include_usage)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)
