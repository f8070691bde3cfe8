"""Which answers may be given again: whole ones, that ended by themselves, in a shape that can be replayed."""

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core import clock
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
CHAT_ENDS = ("stop", "tool_calls", "function_call")
MESSAGE_ENDS = ("end_turn", "tool_use", "stop_sequence")
LOST_IN_STREAMS = ("logprobs", "top_logprobs", "modalities", "audio", "web_search_options", "citations")
"""What a request may ask for that an answer put together from a stream does not hold."""

Body = dict[str, Any]


def storable(operation: Operation, body: bytes, envelope: Envelope, *, streamed: bool) -> bytes | None:
    """Return the answer as it may be kept, or None when it may not.

    Kept are objects without error, not cut short by a limit or a filter. One put together from a stream is brought
    into the shape of a whole one, unless the stream may have held more than was put together.
    """
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict) or found.get("error") or found.get("truncated"):
        return None
    if not _ENDS.get(operation, _any)(found):
        return None
    if not streamed:
        return body
    if any(name.encode() in envelope.body and _asks(envelope, name) for name in LOST_IN_STREAMS):
        return None
    mended = _MENDED.get(operation)
    return body if mended is None else _mend(mended, found, envelope)


def _asks(envelope: Envelope, name: str) -> bool:
    raw = envelope.fields.get(name)
    # Citations are asked for deep inside of messages; the others are members of the body.
    return name == "citations" if raw is None else bytes(raw) not in (b"null", b"false", b'["text"]')


def _mend(mended: Callable[[Body], bool], found: Body, envelope: Envelope) -> bytes | None:
    found["model"] = envelope.model
    return _encode(found) if mended(found) else None


def _any(_: Body) -> bool:
    return True


def _list(found: Body, name: str) -> list[Body]:
    value = found.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _choices_end(found: Body) -> bool:
    choices = _list(found, "choices")
    return bool(choices) and all(choice.get("finish_reason") in CHAT_ENDS for choice in choices)


def _message_ends(found: Body) -> bool:
    return found.get("type") == "message" and found.get("stop_reason") in MESSAGE_ENDS


def _response_ends(found: Body) -> bool:
    return found.get("status") == "completed"


def _candidates_end(found: Body) -> bool:
    candidates = _list(found, "candidates")
    return bool(candidates) and all(each.get("finishReason") == "STOP" for each in candidates)


def _mend_chat(found: Body) -> bool:
    found.setdefault("created", clock.now_ns() // 1_000_000_000)
    for choice in _list(found, "choices"):
        if not isinstance(choice.get("message"), dict):
            return False
        choice.setdefault("logprobs", None)
        choice["message"].setdefault("refusal", None)
    return True


def _mend_completion(found: Body) -> bool:
    found["object"] = "text_completion"
    found.setdefault("created", clock.now_ns() // 1_000_000_000)
    for choice in _list(found, "choices"):
        if "text" not in choice:
            return False
        choice.setdefault("logprobs", None)
    return True


def _mend_message(found: Body) -> bool:
    found.setdefault("stop_sequence", None)
    return all(_block_is_whole(block) for block in _list(found, "content")) and "usage" in found


def _block_is_whole(block: Body) -> bool:
    kind = block.get("type")
    if kind == "thinking":
        return bool(block.get("signature"))  # without it the caller could not send the block back
    if kind == "tool_use":
        return isinstance(block.get("input"), dict)
    return kind == "text" or (kind == "redacted_thinking" and bool(block.get("data")))


_ENDS: dict[Operation, Callable[[Body], bool]] = {
    Operation.CHAT: _choices_end,
    Operation.COMPLETIONS: _choices_end,
    Operation.MESSAGES: _message_ends,
    Operation.RESPONSES: _response_ends,
    Operation.GENERATE: _candidates_end,
}
_MENDED: dict[Operation, Callable[[Body], bool]] = {
    Operation.CHAT: _mend_chat,
    Operation.COMPLETIONS: _mend_completion,
    Operation.MESSAGES: _mend_message,
}
