"""OpenAI's Responses API for a provider that speaks chat completions, and for any other behind that."""

import msgspec

from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_reading import decoded
from penstock.gateway.dialects.chat_to_responses import ResponsesOverChatRelay, translate_answer
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.openai import read_fault
from penstock.gateway.dialects.responses_request import translate_request


class ResponsesOverChat:
    """See `responses_request` for the way there and `chat_to_responses` for the way back."""

    def __init__(self, *, extensions: bool = True, ask_usage: bool = True) -> None:
        """`extensions=False` is for OpenAI's own API and its like, which refuse members they do not know.

        `ask_usage=False` is for servers that refuse `stream_options`: streams then carry no token counts.
        """
        self._extensions = extensions
        self._ask_usage = ask_usage

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the chat request; raises Invalid for what has no counterpart."""
        body = decoded(envelope)
        made = translate_request(body, model, stream=envelope.stream, extensions=self._extensions)
        if not self._ask_usage:
            made.pop("stream_options", None)
        return msgspec.json.encode(made)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the Response, without what the request would add to it; see `responses_echo`."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> ResponsesOverChatRelay:
        """Return a relay for one stream."""
        return ResponsesOverChatRelay(envelope)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(body, status)
