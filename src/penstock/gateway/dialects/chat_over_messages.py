"""Chat completions for a provider that speaks Anthropic's messages API."""

import msgspec

from penstock.core.errors import Invalid
from penstock.gateway.dialects.anthropic import read_fault
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_to_messages import DEFAULT_MAX_TOKENS, translate_request
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.messages_to_chat import ChatOverMessagesRelay, translate_answer


class ChatOverMessages:
    """See `chat_to_messages` for the way there and `messages_to_chat` for the way back."""

    def __init__(self, *, max_tokens: int = DEFAULT_MAX_TOKENS, drop_params: bool = False) -> None:
        self._max_tokens = max_tokens
        self._drop = drop_params

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the messages request; raises Invalid for what has no counterpart."""
        try:
            body = msgspec.json.decode(envelope.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Invalid("The body is not valid JSON.", details={"code": "bad_json"}) from error
        made = translate_request(body, model, max_tokens=self._max_tokens, drop=self._drop)
        return msgspec.json.encode(made)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the chat completion."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> ChatOverMessagesRelay:
        """Return a relay for one stream."""
        return ChatOverMessagesRelay(envelope.model, envelope.include_usage)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)
