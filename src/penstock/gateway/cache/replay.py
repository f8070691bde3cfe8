"""A kept answer as the stream its caller asked for."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.gateway.cache import replay_chat, replay_gemini, replay_messages, replay_responses
from penstock.gateway.model import Operation

_decode = msgspec.json.Decoder().decode
_STREAMS: dict[Operation, Callable[[dict[str, Any], bool], Iterator[bytes]]] = {
    Operation.CHAT: replay_chat.chat,
    Operation.COMPLETIONS: replay_chat.completion,
    Operation.MESSAGES: replay_messages.message,
    Operation.RESPONSES: replay_responses.response,
    Operation.GENERATE: replay_gemini.candidates,
}


def replay(operation: Operation, body: bytes, *, include_usage: bool = False) -> Iterator[bytes]:
    """Yield the server-sent events of the whole answer `body`, as the API of `operation` streams them.

    `include_usage` is what OpenAI's `stream_options` asked for. Raises Invalid for operations that do not stream.
    """
    stream = _STREAMS.get(operation)
    if stream is None:
        raise Invalid(f"{operation} is never streamed.", details={"param": "stream"})
    return stream(_decode(body), include_usage)
