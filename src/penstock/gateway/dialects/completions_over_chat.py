"""OpenAI's older completions for a provider that has chat completions only: the prompt becomes a user's message.

From https://platform.openai.com/docs/api-reference/completions to …/chat. A model that was made for chat answers the
prompt rather than going on with it, and nobody can see token numbers or scores of the prompt through a chat.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects.base import CAPTURE_LIMIT, Answer, Fault
from penstock.gateway.dialects.chat_chunks import ChatChunks
from penstock.gateway.dialects.chat_reading import bad, decoded
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.openai import OpenAIUsage, read_fault, usage_json
from penstock.gateway.model import Usage

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "suffix": ("",),
    "echo": (False,),
    "best_of": (1,),
    "logprobs": (),
}
"""What a chat has nothing of, with the values at which it may be left out; None always is one."""
FINISH = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    """A chat completion, or a chunk of one."""

    choices: list[_Choice] | None = None
    id: str | None = None
    model: str | None = None
    usage: OpenAIUsage | None = None
    error: Any = None


_completion = msgspec.json.Decoder(_Completion)
_encode = msgspec.json.Encoder().encode


def _cannot(name: str, why: str) -> Invalid:
    return Invalid(
        f"{name} cannot be used here: {why}.",
        hint="Leave it out, or route the model to a provider that has completions of its own.",
        details={"param": name, "code": "unsupported_parameter"},
    )


def prompt_of(body: Mapping[str, Any]) -> str:
    """Return the one text of `prompt`; raises Invalid for token numbers and for several prompts."""
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        if prompt and all(isinstance(each, int | list) for each in prompt):
            raise _cannot("prompt", "the model's provider has chat alone, which takes no token numbers")
        if len(prompt) > 1:
            raise _cannot("prompt", "the model's provider has chat alone, which takes one prompt per call")
        prompt = prompt[0] if prompt else None
    if not isinstance(prompt, str) or not prompt:
        raise bad("prompt must be a text that is not empty.", "prompt")
    return prompt


def translate_request(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the chat request; members that both know go along, and the provider judges what it does not."""
    out: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt_of(body)}]}
    for name, value in body.items():
        if value is None or name in ("model", "prompt"):
            continue
        if name not in HARMLESS:
            out[name] = value
        elif value not in HARMLESS[name]:
            raise _cannot(name, "the model's provider has chat alone, which knows nothing of the kind")
    return out


def _text(said: _Said | None) -> str:
    return "" if said is None else said.content or said.refusal or ""


def _identity(identity: str | None) -> str:
    return f"cmpl-{(identity or '').removeprefix('chatcmpl-')}"


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    reason = None if finish is None else FINISH.get(finish, "stop")
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the completion for a chat completion; raises Upstream when it is not one."""
    try:
        found = _completion.decode(body)
        made = [_choice(each.index, _text(each.message), each.finish_reason) for each in found.choices or ()]
    except _ERRORS as error:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000]) from error
    if not made:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000])
    usage = found.usage.usage() if found.usage is not None else None
    out = {
        "id": _identity(found.id),
        "object": "text_completion",
        "created": clock.now_ns() // 1_000_000_000,
        "model": alias,
        "choices": sorted(made, key=lambda each: int(each["index"])),
        "usage": usage_json(usage or Usage()),
    }
    return Answer(_encode(out), usage, found.model or "")


class CompletionsOverChatRelay(ChatChunks):
    """Reads chunks of chat completions, writes those of completions."""

    __slots__ = ("_alias", "_created", "_finish", "_room", "_texts", "_with_usage")

    def __init__(self, alias: str, with_usage: bool) -> None:
        super().__init__(_completion)
        self._alias = alias
        self._with_usage = with_usage
        self._created = clock.now_ns() // 1_000_000_000
        self._texts: dict[int, list[str]] = {}
        self._finish: dict[int, str] = {}
        self._room = CAPTURE_LIMIT

    def _read(self, choice: _Choice) -> dict[str, Any] | None:
        text = _text(choice.delta)
        into = self._texts.setdefault(choice.index, [])
        if text and self._room > 0:
            into.append(text)
            self._room -= len(text)
        if choice.finish_reason is not None:
            self._finish[choice.index] = choice.finish_reason
        elif not text:
            return None  # a role, a thought: nothing that a completion would show
        return _choice(choice.index, text, choice.finish_reason)

    def _body(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": _identity(self._id),
            "object": "text_completion",
            "created": self._created,
            "model": self._alias,
            "choices": choices,
        }

    def _written(self, made: list[dict[str, Any]], size: int) -> bytes:  # noqa: ARG002 - what every relay gets
        return self._event(made)

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        body = self._body(choices)
        if self._with_usage:
            body["usage"] = usage
        return b"data: " + _encode(body) + b"\n\n"

    def _end(self) -> bytes:
        self.complete = True
        usage = self._event([], usage_json(self.usage or Usage())) if self._with_usage else b""
        return usage + b"data: [DONE]\n\n"

    def finish(self) -> bytes:
        """Return the end of the answer when the provider left its own out."""
        out = self._rest()
        if not self.complete and self._finish:
            out += self._end()
        return out

    def output(self) -> bytes:
        """Return the completion put together."""
        choices = [
            _choice(index, "".join(texts), self._finish.get(index))
            for index, texts in sorted(self._texts.items())
        ]
        body = self._body(choices)
        if self.usage is not None:
            body["usage"] = usage_json(self.usage)
        if self._room <= 0:
            body["truncated"] = True
        return _encode(body)


class CompletionsOverChat:
    """See `translate_request` for the way there and `translate_answer` for the way back."""

    def __init__(self, *, ask_usage: bool = True) -> None:
        """`ask_usage=False` is for servers that refuse `stream_options`: streams then carry no token counts."""
        self._ask_usage = ask_usage

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the chat request; raises Invalid for what has no counterpart."""
        made = translate_request(decoded(envelope), model)
        if envelope.stream and self._ask_usage:
            made["stream_options"] = {"include_usage": True}
        else:
            made.pop("stream_options", None)
        return _encode(made)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the completion."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> CompletionsOverChatRelay:
        """Return a relay for one stream."""
        return CompletionsOverChatRelay(envelope.model, envelope.include_usage)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(body, status)
