"""Gemini in, Gemini out: bytes pass through; only the model's name is touched. Also what Gemini's dialects share.

Shapes: https://ai.google.dev/api/generate-content, …/tokens and …/embeddings. Proto JSON takes every member in camel
and in snake case, so all reading here does as well.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import CAPTURE_LIMIT, Answer, Fault
from penstock.gateway.dialects.envelope import Envelope, raw_text
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage

ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)s")
"""A `google.protobuf.Duration` as JSON writes it, in the `retryDelay` of a RetryInfo."""


class ModalityCount(msgspec.Struct, rename="camel"):
    """Tokens of one modality: TEXT, IMAGE, AUDIO, VIDEO, DOCUMENT."""

    modality: str | None = None
    token_count: int | None = None


_Details = list[ModalityCount] | None


def _of(details: _Details, modality: str) -> int:
    return sum(each.token_count or 0 for each in details or () if each.modality == modality)


class GeminiUsage(msgspec.Struct, rename="camel"):
    """The `usageMetadata` object."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: _Details = None
    cache_tokens_details: _Details = None
    candidates_tokens_details: _Details = None

    def usage(self) -> Usage:
        """Return it as our noun: Gemini counts thoughts apart, we count them as output.

        Cached audio and images are counted as cached alone.
        """
        thoughts = self.thoughts_token_count or 0
        audio, images = (
            max(0, _of(self.prompt_tokens_details, kind) - _of(self.cache_tokens_details, kind))
            for kind in ("AUDIO", "IMAGE")
        )
        return Usage(
            (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0),
            (self.candidates_token_count or 0) + thoughts,
            self.cached_content_token_count or 0,
            0,
            thoughts,
            audio_input=audio,
            image_input=images,
            audio_output=_of(self.candidates_tokens_details, "AUDIO"),
            image_output=_of(self.candidates_tokens_details, "IMAGE"),
        )


class Head(msgspec.Struct, rename="camel"):
    """What a whole answer says about itself."""

    model_version: str | None = None
    usage_metadata: GeminiUsage | None = None
    total_tokens: int | None = None
    """Of countTokens, which uses none itself."""

    def usage(self) -> Usage | None:
        """Tokens that the answer cost."""
        if self.total_tokens is not None:
            return Usage()
        return None if self.usage_metadata is None else self.usage_metadata.usage()


class Candidate(msgspec.Struct, rename="camel"):
    """One of an answer's candidates; `parts` stay as they come."""

    index: int = 0
    content: dict[str, Any] | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: dict[str, Any] | None = None
    grounding_metadata: Any = None
    citation_metadata: Any = None
    url_context_metadata: Any = None
    safety_ratings: Any = None

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The content's parts; what is no object is left out."""
        found = (self.content or {}).get("parts")
        return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


class Response(msgspec.Struct, rename="camel"):
    """A whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: dict[str, Any] | None = None
    usage_metadata: GeminiUsage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: dict[str, Any] | None = None

    @property
    def blocked(self) -> str:
        """Why the prompt was refused, or nothing."""
        return str((self.prompt_feedback or {}).get("blockReason") or "")


response_decoder = msgspec.json.Decoder(Response)
_head = msgspec.json.Decoder(Head)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_encode = msgspec.json.Encoder().encode


def snake(name: str) -> str:
    """Return a member's name in snake case."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def member(holder: Mapping[str, Any], name: str) -> Any:
    """Return the member `name` (in camel case) of a decoded object, whichever way it is written; None without it."""
    found = holder.get(name)
    return holder.get(snake(name)) if found is None else found


def fault_of(error: Mapping[str, Any], status: int = 0) -> Fault:
    """Return what a `google.rpc.Status` says; its most telling code is the reason among its details."""
    code, retry_after = str(error.get("status") or ""), None
    for detail in error.get("details") or ():
        if not isinstance(detail, dict):
            continue
        if detail.get("reason"):
            code = str(detail["reason"])
        if (found := _DURATION.fullmatch(str(detail.get("retryDelay")))) is not None:
            retry_after = float(found[1])
    message = str(error.get("message") or f"The provider answered {status}.")
    return Fault(message, "", code, retry_after=retry_after)


def read_fault(status: int, body: bytes) -> Fault:
    """Return what a Gemini-style error body says; streams that were not asked for events wrap it in a list."""
    try:
        found: Any = msgspec.json.decode(body)
    except ERRORS:
        found = None
    if isinstance(found, list) and found:
        found = found[0]
    inner = found.get("error") if isinstance(found, dict) else None
    if isinstance(inner, dict):
        return fault_of(inner, status)
    shown = body[:300].decode("utf-8", "replace").strip()
    return Fault(f"The provider answered {status}" + (f": {shown}" if shown else "."))


def renamed(body: bytes, old: str | None, alias: str) -> bytes:
    """Return `body` with `alias` as its modelVersion; every other byte stays where that can be done safely."""
    if old is None or old == alias:
        return body
    new = _encode(alias)
    for separator in (b": ", b":"):
        # Inside JSON strings quotes are escaped, so these bytes can only be a member.
        found = b'"modelVersion"' + separator + _encode(old)
        if body.count(found) == 1:
            return body.replace(found, b'"modelVersion"' + separator + new)
    return _encode(_fields.decode(body) | {"modelVersion": msgspec.Raw(new)})


class _Whole:
    """A candidate being put together."""

    __slots__ = ("found", "more", "parts")

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.found = Candidate()
        self.more: dict[str, Any] = {}

    def add(self, candidate: Candidate) -> None:
        for part in candidate.parts:
            self._part(part)
        for name in Candidate.__struct_fields__[2:]:
            value = getattr(candidate, name)
            if value is not None:
                setattr(self.found, name, value)

    def _part(self, part: dict[str, Any]) -> None:
        last = self.parts[-1] if self.parts else None
        text = part.get("text")
        # A signature belongs to the part it came with; text goes on only behind text of the same kind.
        if (
            last is not None
            and isinstance(text, str)
            and isinstance(last.get("text"), str)
            and bool(last.get("thought")) == bool(part.get("thought"))
            and "thoughtSignature" not in last
        ):
            last |= part | {"text": last["text"] + text}
        else:
            self.parts.append(dict(part))

    def built(self, index: int) -> Candidate:
        """Return the candidate."""
        made = self.found
        made.index = index
        made.content = {"role": "model", "parts": self.parts}
        return made


class ResponseAssembler:
    """Puts a streamed answer together, up to a limit; what it builds reads like one that was not streamed."""

    __slots__ = ("_candidates", "_room", "blocked", "head")

    def __init__(self) -> None:
        self._candidates: dict[int, _Whole] = {}
        self._room = CAPTURE_LIMIT
        self.head = Response()
        self.blocked = False

    def add(self, event: Response, size: int) -> None:
        """Take an event in, `size` bytes long."""
        head = self.head
        head.prompt_feedback = event.prompt_feedback or head.prompt_feedback
        head.usage_metadata = event.usage_metadata or head.usage_metadata
        head.model_version = event.model_version or head.model_version
        head.response_id = event.response_id or head.response_id
        self.blocked = self.blocked or bool(event.blocked)
        self._room -= size
        for candidate in event.candidates or ():
            whole = self._candidates.setdefault(candidate.index, _Whole())
            if self._room <= 0:
                candidate.content = None
            whole.add(candidate)

    @property
    def usage(self) -> Usage | None:
        """Tokens so far: each event counts anew."""
        found = self.head.usage_metadata
        return None if found is None else found.usage()

    @property
    def finished(self) -> bool:
        """Whether every candidate has ended, or the prompt was refused."""
        return self.blocked or (
            bool(self._candidates) and all(each.found.finish_reason for each in self._candidates.values())
        )

    def built(self) -> bytes:
        """Return the answer as JSON."""
        head = self.head
        found: dict[str, Any] = {
            "candidates": [each.built(index) for index, each in sorted(self._candidates.items())],
            "promptFeedback": head.prompt_feedback,
            "usageMetadata": _without_nones(head.usage_metadata),
            "modelVersion": head.model_version,
            "responseId": head.response_id,
        }
        found["candidates"] = [_without_nones(each) for each in found["candidates"]]
        if self._room <= 0:
            found["truncated"] = True
        return _encode({name: value for name, value in found.items() if value is not None})


def _without_nones(found: msgspec.Struct | None) -> dict[str, Any] | None:
    if found is None:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return {name: value for name, value in plain.items() if value is not None}


class GeminiRelay:
    """Passes a stream through, event by event, with the caller's model name as modelVersion."""

    __slots__ = ("_alias", "_assembler", "_events", "complete", "fault")

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._events = EventBuffer()
        self._assembler = ResponseAssembler()
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
        """Return the caller's bytes for the events that `data` completes."""
        return b"".join([self._event(event) for event in self._events.feed(data)])

    def _event(self, event: bytes) -> bytes:
        data = payload(event)
        if not data:
            return event + b"\n\n" if event else b""
        try:
            found = response_decoder.decode(data)
        except ERRORS:
            return event + b"\n\n"
        if found.error is not None:
            self.fault = fault_of(found.error)
            return b""
        self._assembler.add(found, len(data))
        return b"data: " + renamed(data, found.model_version, self._alias) + b"\n\n"

    def finish(self) -> bytes:
        """Return a last event without a blank line. Gemini has no mark for the end: candidates have a reason then."""
        rest = self._events.rest.strip()
        out = self._event(rest) if rest else b""
        self.complete = self._assembler.finished
        return out

    def output(self) -> bytes:
        """Return the answer put together."""
        return self._assembler.built()


class GeminiDialect:
    """All of Gemini's operations for a provider that speaks Gemini's API."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the caller's body; names of the model inside it become the target's."""
        if model == envelope.model or b'"model"' not in envelope.body:
            return envelope.body
        changes: dict[str, msgspec.Raw] = {}
        name = raw_text(f"models/{model.removeprefix('models/')}")
        if "model" in envelope.fields:
            changes["model"] = name
        for holder in ("generateContentRequest", "generate_content_request"):
            if (raw := envelope.fields.get(holder)) is not None and bytes(raw)[:1] == b"{":
                changes[holder] = msgspec.Raw(_encode(_fields.decode(raw) | {"model": name}))
        if (raw := envelope.fields.get("requests")) is not None and bytes(raw)[:1] == b"[":
            try:
                requests = [each | {"model": name} for each in _list.decode(raw)]
            except msgspec.DecodeError:
                return envelope.body  # the provider says what is wrong with it
            changes["requests"] = msgspec.Raw(_encode(requests))
        return envelope.with_fields(changes) if changes else envelope.body

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the body with the caller's model name; raises Upstream when it is not a JSON object."""
        try:
            head = _head.decode(body)
        except ERRORS:
            head = Head()
            try:
                _fields.decode(body)
            except ERRORS as error:
                raise Upstream("The provider's answer is not a JSON object.", body=body[:2000]) from error
        return Answer(renamed(body, head.model_version, alias), head.usage(), head.model_version or "")

    def relay(self, envelope: Envelope) -> GeminiRelay:
        """Return a relay for one stream."""
        return GeminiRelay(envelope.model)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)
