"""An answer of Gemini's generateContent, whole or streamed, as a chat answer. Pure.

From https://ai.google.dev/api/generate-content#generatecontentresponse to
https://platform.openai.com/docs/api-reference/chat/object. What only Gemini tells goes where Google's own
OpenAI-compatible endpoint puts it: `extra_content.google`; images that the model made go to `images`.
"""

from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Upstream
from penstock.core.ids import new_id
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.gemini import (
    ERRORS,
    Candidate,
    Response,
    ResponseAssembler,
    fault_of,
    response_decoder,
)
from penstock.gateway.dialects.openai import usage_json
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage

FINISH = {
    "FINISH_REASON_UNSPECIFIED": "stop",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
}
"""Gemini's finishReason → OpenAI's finish_reason; others are `stop`."""
FAILED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)  # fmt: skip
"""Reasons that mean there is no answer: chat has no word for them, so they are errors that can be tried again."""
METADATA = ("grounding_metadata", "citation_metadata", "url_context_metadata", "safety_ratings")
_encode = msgspec.json.Encoder().encode


def finish_of(reason: str, *, calls: bool) -> str:
    """Return OpenAI's finish_reason."""
    found = FINISH.get(reason, "stop")
    return "tool_calls" if calls and found == "stop" else found


def failure_of(candidate: Candidate) -> str:
    """Return what to say of a candidate that failed, or nothing."""
    reason = candidate.finish_reason or ""
    if reason not in FAILED:
        return ""
    return f"The model ended with {reason}" + (
        f": {candidate.finish_message}" if candidate.finish_message else "."
    )


class Said:
    """What some parts say, in chat's terms: a whole answer's, or those of one event."""

    __slots__ = ("calls", "images", "signature", "text", "thoughts")

    def __init__(self, parts: list[dict[str, Any]], first_call: int = 0) -> None:
        """Read `parts`; `first_call` is the index of the next tool call."""
        self.text: list[str] = []
        self.thoughts: list[str] = []
        self.images: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.signature = ""
        for part in parts:
            self._read(part, first_call)

    def _read(self, part: dict[str, Any], first_call: int) -> None:
        signature = part.get("thoughtSignature")
        call = part.get("functionCall")
        if isinstance(call, dict):
            self.calls.append(_tool_call(call, first_call + len(self.calls), signature))
            return
        if isinstance(signature, str):
            self.signature = signature
        text = part.get("text")
        if isinstance(text, str):
            (self.thoughts if part.get("thought") else self.text).append(text)
            return
        inline = part.get("inlineData")
        if isinstance(inline, dict) and not part.get("thought"):
            url = f"data:{inline.get('mimeType')};base64,{inline.get('data')}"
            self.images.append({"type": "image_url", "image_url": {"url": url}, "index": len(self.images)})
            return
        self.text.append(_ran(part))

    def extra(self, candidate: Candidate) -> dict[str, Any]:
        """Return extra_content: the signature of what is no tool call, and what Gemini tells beside the content."""
        google = {name: getattr(candidate, name) for name in METADATA if getattr(candidate, name) is not None}
        if self.signature:
            google["thought_signature"] = self.signature
        return {"extra_content": {"google": google}} if google else {}


def _tool_call(call: dict[str, Any], index: int, signature: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "index": index,
        "id": call.get("id") or new_id("call"),
        "type": "function",
        "function": {
            "name": call.get("name") or "",
            "arguments": _encode(call.get("args") or {}).decode(),
        },
    }
    if isinstance(signature, str):
        made["extra_content"] = {"google": {"thought_signature": signature}}
    return made


def _ran(part: dict[str, Any]) -> str:
    """Return code that Gemini ran, or what came of it, as Markdown."""
    code, result = part.get("executableCode"), part.get("codeExecutionResult")
    if isinstance(code, dict):
        return f"\n```{str(code.get('language') or '').lower()}\n{code.get('code') or ''}\n```\n"
    if isinstance(result, dict):
        return f"\n```\n{result.get('output') or ''}\n```\n"
    return ""


def logprobs_of(candidate: Candidate) -> dict[str, Any] | None:
    """Return the candidate's log probabilities in OpenAI's shape."""
    found = candidate.logprobs_result
    if found is None:
        return None
    tops = found.get("topCandidates") or []
    content = []
    for at, chosen in enumerate(found.get("chosenCandidates") or []):
        others = tops[at].get("candidates") or [] if at < len(tops) else []
        content.append(_logprob(chosen) | {"top_logprobs": [_logprob(each) for each in others]})
    return {"content": content, "refusal": None}


def _logprob(found: dict[str, Any]) -> dict[str, Any]:
    token = str(found.get("token") or "")
    return {"token": token, "logprob": found.get("logProbability") or 0.0, "bytes": list(token.encode())}


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the chat completion for an answer; raises Upstream when it is none, or one that failed."""
    try:
        found = response_decoder.decode(body)
    except ERRORS as error:
        raise Upstream("The provider's answer is not one of Gemini's.", body=body[:2000]) from error
    if not found.candidates and not found.blocked:
        raise Upstream("The provider's answer has no candidates.", body=body[:2000])
    usage = found.usage_metadata.usage() if found.usage_metadata else None
    choices = [_choice(candidate) for candidate in found.candidates or ()] or [_refusal(found)]
    made = {
        "id": f"chatcmpl-{found.response_id}" if found.response_id else new_id("chatcmpl"),
        "object": "chat.completion",
        "created": _created(),
        "model": alias,
        "choices": choices,
        "usage": usage_json(usage or Usage()),
    }
    return Answer(_encode(made), usage, found.model_version or "")


def _created() -> int:
    return clock.now_ns() // 1_000_000_000


def _choice(candidate: Candidate) -> dict[str, Any]:
    if failed := failure_of(candidate):
        raise Upstream(failed)
    said = Said(candidate.parts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(said.text) if said.text or not said.calls else None,
        "refusal": None,
    }
    if said.thoughts:
        message["reasoning_content"] = "".join(said.thoughts)
    if said.images:
        message["images"] = said.images
    if said.calls:
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"} for call in said.calls
        ]
    return {
        "index": candidate.index,
        "message": message | said.extra(candidate),
        "logprobs": logprobs_of(candidate),
        "finish_reason": finish_of(candidate.finish_reason or "", calls=bool(said.calls)),
    }


def _refused_text(found: Response) -> str:
    told = (found.prompt_feedback or {}).get("blockReasonMessage")
    return f"The prompt was blocked: {told or found.blocked}."


def _refusal(found: Response) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "refusal": _refused_text(found)}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": "content_filter"}


class ChatOverGeminiRelay:
    """Reads Gemini's events, writes OpenAI's chunks."""

    __slots__ = (
        "_alias", "_assembler", "_calls", "_created", "_events", "_id", "_images", "_open", "_with_usage", "complete",
        "fault",
    )  # fmt: skip

    def __init__(self, alias: str, with_usage: bool) -> None:
        self._alias = alias
        self._with_usage = with_usage
        self._events = EventBuffer()
        self._assembler = ResponseAssembler()
        self._created = _created()
        self._id = ""
        self._open: set[int] = set()
        """Choices whose first chunk is out."""
        self._calls: dict[int, int] = {}
        self._images: dict[int, int] = {}
        self.fault: Fault | None = None
        self.complete = False

    @property
    def usage(self) -> Usage | None:
        """Tokens so far."""
        return self._assembler.usage

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self._assembler.head.model_version or ""

    def feed(self, data: bytes) -> bytes:
        """Return the chunks for the events that `data` completes."""
        return b"".join([self._event(payload(event)) for event in self._events.feed(data)])

    def _event(self, data: bytes) -> bytes:
        if not data or self.fault is not None:
            return b""
        try:
            found = response_decoder.decode(data)
        except ERRORS as error:
            raise Upstream("The provider sent an event that is not JSON.", body=data[:2000]) from error
        if found.error is not None:
            self.fault = fault_of(found.error)
            return b""
        if not self._id:
            self._id = f"chatcmpl-{found.response_id}" if found.response_id else new_id("chatcmpl")
        self._assembler.add(found, len(data))
        out = [self._candidate(candidate) for candidate in found.candidates or ()]
        if found.blocked:
            out.append(self._start(0))
            out.append(self._chunk(0, {"refusal": _refused_text(found)}))
            out.append(self._chunk(0, {}, "content_filter"))
        return b"".join(out)

    def _start(self, index: int) -> bytes:
        if index in self._open:
            return b""
        self._open.add(index)
        return self._chunk(index, {"role": "assistant", "content": "", "refusal": None})

    def _candidate(self, candidate: Candidate) -> bytes:
        if failed := failure_of(candidate):
            self.fault = Fault(failed, "", candidate.finish_reason or "")
            return b""
        index = candidate.index
        calls = self._calls.get(index, 0)
        said = Said(candidate.parts, calls)
        self._calls[index] = calls + len(said.calls)
        out = [self._start(index)]
        if said.thoughts:
            out.append(self._chunk(index, {"reasoning_content": "".join(said.thoughts)}))
        delta: dict[str, Any] = said.extra(candidate)
        if text := "".join(said.text):
            delta["content"] = text
        if said.images:
            delta["images"] = self._numbered(index, said.images)
        if said.calls:
            delta["tool_calls"] = said.calls
        if delta:
            out.append(self._chunk(index, delta, logprobs=logprobs_of(candidate)))
        if candidate.finish_reason:
            reason = finish_of(candidate.finish_reason, calls=self._calls[index] > 0)
            out.append(self._chunk(index, {}, reason))
        return b"".join(out)

    def _numbered(self, index: int, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = self._images.get(index, 0)
        self._images[index] = first + len(images)
        return [image | {"index": first + at} for at, image in enumerate(images)]

    def _chunk(
        self, index: int, delta: dict[str, Any], finish: str | None = None, *, logprobs: Any = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._written([choice], None)

    def _written(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        body: dict[str, Any] = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._alias,
            "choices": choices,
        }
        if self._with_usage:
            body["usage"] = usage
        return b"data: " + _encode(body) + b"\n\n"

    def finish(self) -> bytes:
        """Return the end of the stream: Gemini has no mark of its own, only candidates that have ended."""
        out = self._event(payload(self._events.rest.strip()))
        if self.complete or self.fault is not None or not self._assembler.finished:
            return out
        self.complete = True
        if self._with_usage:
            out += self._written([], usage_json(self.usage or Usage()))
        return out + b"data: [DONE]\n\n"

    def output(self) -> bytes:
        """Return the answer put together; one that failed stays in Gemini's shape."""
        built = self._assembler.built()
        try:
            return translate_answer(built, self._alias).body
        except Upstream:
            return built
