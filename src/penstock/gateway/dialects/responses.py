"""OpenAI's Responses API in, the same out: bytes pass through; only the model's name is touched.

Shapes: https://platform.openai.com/docs/api-reference/responses and …/responses-streaming.
"""

from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import CAPTURE_LIMIT, Answer, Fault
from penstock.gateway.dialects.envelope import Envelope, raw_text
from penstock.gateway.dialects.openai import read_fault
from penstock.gateway.dialects.responses_echo import Expanded
from penstock.gateway.dialects.responses_sealing import MARK
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage

ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class ResponseUsage(msgspec.Struct):
    """The `usage` object."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def usage(self) -> Usage:
        """Return it as our noun."""
        given, made = self.input_tokens_details, self.output_tokens_details
        return Usage(
            self.input_tokens or 0,
            self.output_tokens or 0,
            (given.cached_tokens or 0) if given else 0,
            (given.cache_write_tokens or 0) if given else 0,
            (made.reasoning_tokens or 0) if made else 0,
        )


class _Head(msgspec.Struct):
    model: str | None = None
    usage: ResponseUsage | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw(b"")
    item: msgspec.Raw = msgspec.Raw(b"")
    output_index: int = 0
    delta: Any = None
    error: Any = None
    message: str | None = None


_head = msgspec.json.Decoder(_Head)
_event = msgspec.json.Decoder(_Event)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class ResponsesRelay:
    """Passes a stream through, event by event, with the caller's names of the model and of what came before."""

    __slots__ = (
        "_begun", "_changes", "_ended", "_events", "_items", "_partial", "_room", "complete", "fault", "model", "usage",
    )  # fmt: skip

    def __init__(self, changes: dict[str, msgspec.Raw]) -> None:
        """`changes` are members of each Response that are other than the provider's."""
        self._changes = changes
        self._events = EventBuffer()
        self._begun: dict[str, msgspec.Raw] = {}
        self._ended: bytes | None = None
        self._items: dict[int, msgspec.Raw] = {}
        self._partial: dict[int, list[str]] = {}
        self._room = CAPTURE_LIMIT
        self.usage: Usage | None = None
        self.model = ""
        self.fault: Fault | None = None
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """Return the caller's bytes for the events that `data` completes."""
        return b"".join([self._take(event) for event in self._events.feed(data)])

    def _take(self, raw: bytes) -> bytes:
        if not raw or self.fault is not None:
            return b""
        data = payload(raw)
        if not data or data == b"[DONE]":
            return raw + b"\n\n"
        try:
            event = _event.decode(data)
            if event.response:
                return self._response(event, data)
        except ERRORS:
            return raw + b"\n\n"  # not an event as we know it: it passes on unread
        if event.type == "error" or event.error is not None:
            self.fault = read_fault(data)
            return b""
        if event.item and event.type == "response.output_item.done":
            self._items[event.output_index] = event.item
            self._partial.pop(event.output_index, None)
        elif isinstance(event.delta, str) and self._room > 0:
            self._room -= len(event.delta)
            self._partial.setdefault(event.output_index, []).append(event.delta)
        return raw + b"\n\n"

    def _response(self, event: _Event, data: bytes) -> bytes:
        head = _head.decode(event.response)
        self.model = self.model or head.model or ""
        response = _fields.decode(event.response) | self._changes
        self._begun = response
        if event.type in ENDS:
            self._ended = _encode(response)
            self.usage = head.usage.usage() if head.usage is not None else None
            self.complete = event.type != "response.failed"
            if not self.complete:
                self.fault = read_fault(_encode({"error": head.error}))
        body = _fields.decode(data) | {"response": msgspec.Raw(_encode(response))}
        return b"event: %b\ndata: %b\n\n" % (event.type.encode(), _encode(body))

    def finish(self) -> bytes:
        """Return a last event that the provider did not end with a blank line."""
        rest = self._events.rest.strip()
        return self._take(rest) if rest else b""

    def output(self) -> bytes:
        """Return the Response; of one that did not end, what came of it, with the text of open items as `partial`."""
        if self._ended is not None:
            return self._ended
        made: dict[str, Any] = dict(self._begun)
        made["output"] = [item for _, item in sorted(self._items.items())]
        if self._partial:
            made["partial"] = ["".join(text) for _, text in sorted(self._partial.items())]
        return _encode(made)


def _changes(envelope: Envelope) -> dict[str, msgspec.Raw]:
    found = {"model": raw_text(envelope.model)}
    if isinstance(envelope, Expanded):
        found["previous_response_id"] = raw_text(envelope.previous)
    return found


class ResponsesDialect:
    """The Responses API for a provider that has it."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the caller's body with the target's model, without thoughts that another provider sealed."""
        changes: dict[str, msgspec.Raw] = {}
        if model != envelope.model:
            changes["model"] = raw_text(model)
        raw = envelope.fields.get("input")
        if raw is not None and MARK.encode() in bytes(raw):
            changes["input"] = _without_foreign(raw)
        return envelope.with_fields(changes) if changes else envelope.body

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the body with the caller's model name; raises Upstream when it is not a JSON object."""
        return self._answer(body, {"model": raw_text(alias)})

    def answer_to(self, envelope: Envelope, body: bytes) -> Answer:
        """Return the body with the caller's names; raises Upstream when it is not a JSON object."""
        return self._answer(body, _changes(envelope))

    @staticmethod
    def _answer(body: bytes, changes: dict[str, msgspec.Raw]) -> Answer:
        try:
            fields = _fields.decode(body)
        except ERRORS as error:
            raise Upstream("The provider's answer is not a JSON object.", body=body[:2000]) from error
        try:
            head = _head.decode(body)
        except ERRORS:
            head = _Head()  # a model or counts of an odd type
        usage = head.usage.usage() if head.usage is not None else None
        return Answer(_encode(fields | changes), usage, head.model or "")

    def relay(self, envelope: Envelope) -> ResponsesRelay:
        """Return a relay for one stream."""
        return ResponsesRelay(_changes(envelope))

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(body, status)


def _without_foreign(raw: msgspec.Raw) -> msgspec.Raw:
    try:
        items = msgspec.json.decode(raw)
    except ERRORS:
        return raw
    if not isinstance(items, list):
        return raw
    return msgspec.Raw(_encode([item for item in items if not _foreign(item)]))


def _foreign(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("encrypted_content") or "").startswith(MARK)
