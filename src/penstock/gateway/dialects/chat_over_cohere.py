"""Chat completions for Cohere's chat API (v2)."""

import msgspec

from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_reading import decoded
from penstock.gateway.dialects.chat_to_cohere import translate_request
from penstock.gateway.dialects.cohere_to_chat import ChatOverCohereRelay, read_fault, translate_answer
from penstock.gateway.dialects.envelope import Envelope


class ChatOverCohere:
    """See `chat_to_cohere` for the way there and `cohere_to_chat` for the way back."""

    def __init__(self, *, drop_params: bool = False) -> None:
        self._drop = drop_params

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return Cohere's request; raises Invalid for what has no counterpart."""
        return msgspec.json.encode(translate_request(decoded(envelope), model, drop=self._drop))

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the chat completion."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> ChatOverCohereRelay:
        """Return a relay for one stream."""
        return ChatOverCohereRelay(envelope.model, envelope.include_usage)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)
