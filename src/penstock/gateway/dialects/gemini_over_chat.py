"""Gemini's generateContent for a provider that speaks OpenAI's chat completions, and for any other behind that."""

from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_chunks import ChatChunks
from penstock.gateway.dialects.chat_reading import decoded
from penstock.gateway.dialects.chat_to_gemini import signature_of
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini import ERRORS, Candidate, Response, ResponseAssembler
from penstock.gateway.dialects.gemini_request import translate_request
from penstock.gateway.dialects.openai import OpenAIUsage, read_fault
from penstock.gateway.model import Usage

FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
"""OpenAI's finish_reason → Gemini's finishReason; calls of tools end with STOP there."""


class _Said(msgspec.Struct):
    """A message, or what a chunk adds to one."""

    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    images: list[dict[str, Any]] | None = None
    extra_content: dict[str, Any] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class _Completion(msgspec.Struct):
    """A completion, or a chunk."""

    choices: list[_Choice] | None = None
    id: str | None = None
    model: str | None = None
    usage: OpenAIUsage | None = None
    error: Any = None


_completion = msgspec.json.Decoder(_Completion)
_encode = msgspec.json.Encoder().encode


def usage_json(usage: Usage) -> dict[str, int]:
    """Return usage in Gemini's shape, where thoughts are counted apart."""
    return {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": max(0, usage.output - usage.reasoning),
        "totalTokenCount": usage.input + usage.output,
        **({"thoughtsTokenCount": usage.reasoning} if usage.reasoning else {}),
        **({"cachedContentTokenCount": usage.cached} if usage.cached else {}),
    }


def _response(
    candidates: list[dict[str, Any]], alias: str, identity: str, usage: Usage | None
) -> dict[str, Any]:
    body: dict[str, Any] = {"candidates": candidates}
    if usage is not None:
        body["usageMetadata"] = usage_json(usage)
    return body | {"modelVersion": alias, "responseId": identity}


def _parts(said: _Said) -> list[dict[str, Any]]:
    """Return the parts of everything but tool calls."""
    out: list[dict[str, Any]] = []
    if said.reasoning_content:
        out.append({"text": said.reasoning_content, "thought": True})
    if text := said.content or said.refusal:
        out.append({"text": text})
    for image in said.images or ():
        url = (image.get("image_url") or {}).get("url")
        head, comma, data = str(url or "").partition(";base64,")
        if comma:
            out.append({"inlineData": {"mimeType": head.removeprefix("data:"), "data": data}})
    signature = signature_of({"extra_content": said.extra_content})
    if signature and not said.tool_calls:
        if not out:
            out.append({"text": ""})
        out[-1]["thoughtSignature"] = signature
    return out


def _function_call(call: dict[str, Any]) -> dict[str, Any] | None:
    """Return the part for a tool call, or None when its arguments are no JSON object."""
    function = call.get("function") or {}
    try:
        args = msgspec.json.decode(function.get("arguments") or "{}")
    except ERRORS:
        return None
    if not isinstance(args, dict):
        return None
    part: dict[str, Any] = {
        "functionCall": {"id": call.get("id"), "name": function.get("name"), "args": args}
    }
    if signature := signature_of(call):
        part["thoughtSignature"] = signature
    return part


def _ended(calls: list[dict[str, Any]], finish: str | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the parts of a candidate's tool calls, and its other members."""
    parts = [_function_call(call) for call in calls]
    more: dict[str, Any] = {"finishReason": FINISH.get(finish or "", "STOP")}
    if None in parts and finish != "length":
        more = {
            "finishReason": "MALFORMED_FUNCTION_CALL",
            "finishMessage": "The arguments of a function call were no JSON object.",
        }
    return [part for part in parts if part is not None], more


def logprobs_json(found: dict[str, Any] | None) -> dict[str, Any]:
    """Return the members of a candidate that tell log probabilities, for OpenAI's."""
    content = (found or {}).get("content")
    if not content:
        return {}
    chosen = [_logprob(each) for each in content]
    tops = [{"candidates": [_logprob(each) for each in one.get("top_logprobs") or ()]} for one in content]
    average = sum(each["logProbability"] for each in chosen) / len(chosen)
    return {
        "avgLogprobs": average,
        "logprobsResult": {"chosenCandidates": chosen, "topCandidates": tops},
    }


def _logprob(found: dict[str, Any]) -> dict[str, Any]:
    return {"token": found.get("token"), "logProbability": found.get("logprob") or 0.0}


def _candidate(index: int, parts: list[dict[str, Any]], more: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"parts": parts or [{"text": ""}], "role": "model"}, **more, "index": index}


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return Gemini's answer for a chat completion; raises Upstream when it is not one."""
    try:
        completion = _completion.decode(body)
    except ERRORS as error:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000]) from error
    if not completion.choices:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000])
    candidates = []
    for choice in completion.choices:
        said = choice.message or _Said()
        parts, more = _ended(said.tool_calls or [], choice.finish_reason)
        more |= logprobs_json(choice.logprobs)
        candidates.append(_candidate(choice.index, _parts(said) + parts, more))
    usage = completion.usage.usage() if completion.usage else None
    made = _response(candidates, alias, completion.id or "", usage or Usage())
    return Answer(_encode(made), usage, completion.model or "")


class _Open:
    """A candidate that is still being written: its tool calls wait until their arguments are whole."""

    __slots__ = ("calls", "finish", "logprobs")

    def __init__(self) -> None:
        self.calls: dict[int, dict[str, Any]] = {}
        self.finish: str | None = None
        self.logprobs: list[Any] = []

    def add(self, delta: dict[str, Any]) -> None:
        """Take a piece of a tool call in."""
        at = delta.get("index") or 0
        call = self.calls.setdefault(at, {"id": None, "function": {"name": "", "arguments": ""}})
        call["id"] = delta.get("id") or call["id"]
        if delta.get("extra_content"):
            call["extra_content"] = delta["extra_content"]
        function = delta.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


class GeminiOverChatRelay(ChatChunks):
    """Reads OpenAI's chunks, writes Gemini's events."""

    __slots__ = ("_alias", "_assembler", "_open")

    def __init__(self, alias: str) -> None:
        super().__init__(_completion)
        self._alias = alias
        self._assembler = ResponseAssembler()
        self._open: dict[int, _Open] = {}

    def _read(self, choice: _Choice) -> dict[str, Any] | None:
        opened = self._open.setdefault(choice.index, _Open())
        opened.finish = choice.finish_reason or opened.finish
        said = choice.delta or _Said()
        for call in said.tool_calls or ():
            opened.add(call)
        more = logprobs_json(choice.logprobs)
        parts = _parts(said)
        return _candidate(choice.index, parts, more) if parts or more else None

    def _written(self, made: list[dict[str, Any]], size: int) -> bytes:
        return self._event(made, size)

    def _event(self, candidates: list[dict[str, Any]], size: int, usage: Usage | None = None) -> bytes:
        identity = self._id or ""
        body = _response(candidates, self._alias, identity, usage)
        kept = [
            Candidate(
                index=each["index"],
                content=each["content"],
                finish_reason=each.get("finishReason"),
                finish_message=each.get("finishMessage"),
                logprobs_result=each.get("logprobsResult"),
            )
            for each in candidates
        ]
        self._assembler.add(Response(candidates=kept, model_version=self._alias, response_id=identity), size)
        return b"data: " + _encode(body) + b"\n\n"

    def _end(self) -> bytes:
        if self.complete or not self._open:
            return b""
        self.complete = True
        made = []
        for index, opened in sorted(self._open.items()):
            calls = [call for _, call in sorted(opened.calls.items())]
            parts, more = _ended(calls, opened.finish)
            made.append(_candidate(index, parts, more))
        return self._event(made, 0, self.usage or Usage())

    def finish(self) -> bytes:
        """Return the end of the answer when the provider left its own out."""
        out = self._rest()
        if not self.complete and self._open and all(each.finish for each in self._open.values()):
            out += self._end()
        return out

    def output(self) -> bytes:
        """Return the answer put together."""
        built = self._assembler.built()
        if self.usage is None:
            return built
        return _encode(msgspec.json.decode(built) | {"usageMetadata": usage_json(self.usage)})


class GeminiOverChat:
    """See `gemini_request` for the way there; the way back is here."""

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
        return _encode(made)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return Gemini's answer."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> GeminiOverChatRelay:
        """Return a relay for one stream."""
        return GeminiOverChatRelay(envelope.model)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(body, status)
