"""Chat completions for a provider that speaks Gemini's API."""

import msgspec

from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_reading import decoded
from penstock.gateway.dialects.chat_to_gemini import translate_request
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini import read_fault
from penstock.gateway.dialects.gemini_to_chat import ChatOverGeminiRelay, translate_answer


class ChatOverGemini:
    """See `chat_to_gemini` for the way there and `gemini_to_chat` for the way back."""

    def __init__(self, *, drop_params: bool = False) -> None:
        self._drop = drop_params

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the generateContent request; raises Invalid for what has no counterpart."""
        return msgspec.json.encode(translate_request(decoded(envelope), model, drop=self._drop))

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the chat completion."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> ChatOverGeminiRelay:
        """Return a relay for one stream."""
        return ChatOverGeminiRelay(envelope.model, envelope.include_usage)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)
